"""What the attacker must leave alone to stay unnoticed."""

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
from .degree_distribution import DegreeDistribution
from .nodes import NodeBudget, NoSingletons

__all__ = [
    "Connectivity",
    "Constraint",
    "DegreeDistribution",
    "NoSingletons",
    "NodeBudget",
    "Predicate",
    "admissible",
    "check_constraints",
    "combine",
    "on_features",
    "unlisted_additions",
]
