"""Tasks: what is trained on the graph, and what the attacker wants of it."""

from .base import Task
from .node_classification import NodeClassification
from .recommendation import Recommendation

__all__ = ["NodeClassification", "Recommendation", "Task"]
