"""Tasks: the training problem on a graph, and the objective of the attacker."""

from .base import Task
from .node_classification import NodeClassification
from .recommendation import Recommendation

__all__ = ["NodeClassification", "Recommendation", "Task"]
