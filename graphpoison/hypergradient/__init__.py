"""Hypergradients: derivatives of the attack loss w.r.t. the graph, through training."""

from .approximate import Approximate
from .base import Hypergradient
from .implicit import Implicit
from .meta_gradient import Flips, MetaGradient
from .training_run import TrainingRun
from .unrolled import Unrolled
from .usual import INTERACTIONS, NODES

__all__ = [
    "INTERACTIONS",
    "NODES",
    "Approximate",
    "Flips",
    "Hypergradient",
    "Implicit",
    "MetaGradient",
    "TrainingRun",
    "Unrolled",
]
