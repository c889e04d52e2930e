"""Conditions on the poisoned graph that keep an attack unnoticed."""

from .base import (
    Constraint,
    Predicate,
    admissible,
    check_constraints,
    combine,
    on_features,
    unlisted_additions,
)
from .connectivity import Connectivity
from .cooccurrence import cooccurring_features
from .degree_distribution import DegreeDistribution
from .nodes import NodeBudget, NoSingletons, OffLimits

__all__ = [
    "Connectivity",
    "Constraint",
    "DegreeDistribution",
    "NoSingletons",
    "NodeBudget",
    "OffLimits",
    "Predicate",
    "admissible",
    "check_constraints",
    "combine",
    "cooccurring_features",
    "on_features",
    "unlisted_additions",
]
__dir__ = __all__.copy
