"""Graphs as values: read from PyG once, checked, and never changed in place.

:func:`read_graph` makes a :class:`NodeGraph` of ``Data`` and :class:`Interactions` of
``HeteroData``. :mod:`.writing` is the only module that writes to PyG graphs. :class:`PairState` is
a graph under attack: its pairs with weights, and which of them are candidates.
"""

from .fake_users import FakeUsers
from .features import Features
from .interactions import EdgeType, Interactions, read_interactions
from .nodes import NodeGraph, read_nodes
from .pairs import PairState
from .propagation import Propagation, normalised_adjacency, normalised_interactions
from .reading import Graph, read_graph

__all__ = [
    "EdgeType",
    "FakeUsers",
    "Features",
    "Graph",
    "Interactions",
    "NodeGraph",
    "PairState",
    "Propagation",
    "normalised_adjacency",
    "normalised_interactions",
    "read_graph",
    "read_interactions",
    "read_nodes",
]
__dir__ = __all__.copy
