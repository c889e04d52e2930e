"""Estimates of time and memory of an attack from the sizes of the graph, without the graph."""

from .ahead import estimate_ahead
from .measuring import calibrate
from .model import Cluster, Coefficients, estimate_by_size
from .nodes import NodeWorkload
from .recommenders import RankingWorkload, RecommenderWorkload
from .workload import Workload

__all__ = [
    "Cluster",
    "Coefficients",
    "NodeWorkload",
    "RankingWorkload",
    "RecommenderWorkload",
    "Workload",
    "calibrate",
    "estimate_ahead",
    "estimate_by_size",
]
__dir__ = __all__.copy
