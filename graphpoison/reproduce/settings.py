"""The experiment behind every table: what the thesis says, and what it leaves out.

The thesis names the architectures, the data sets, the numbers of perturbations and T = 100 for node
classification. T, learning rate, optimiser, embedding sizes and initialisation of the recommenders
are ours; ``docs/results/search.md`` says how they were found. Unseen pairs are 20%, as the
accuracies of Table 4.11, all of them multiples of 1/40,381, imply; in Tables 4.2 to 4.6 all pairs
are training pairs, as their percentages imply.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from .._checks import choice
from ..hypergradient import Unrolled
from ..models import CF, GMF, LinearGCN, NeuMF
from .experiment import (
    DataSet,
    Experiment,
    NodeExperiment,
    RecommenderExperiment,
    Trained,
    Users,
)

TEN = (0, 2_000, 4_000, 6_000, 8_000, 10_000)
