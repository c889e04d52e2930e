"""Tasks: the training problem on a graph, and the objective of the attacker."""

from .base import Task
from .node_classification import NodeClassification
from .objectives import Bystanders, Degrade, Demote, Objective, Promote
from .recommendation import Recommendation

__all__ = [
    "Bystanders",
    "Degrade",
    "Demote",
    "NodeClassification",
    "Objective",
    "Promote",
    "Recommendation",
    "Task",
]
__dir__ = __all__.copy
