"""Graphs as weighted node pairs: the lowest floor, on which everything else stands."""

from .factored import FactoredGradient, Matrix
from .features import Features
from .pairs import PairState
from .propagation import Propagation, normalised_adjacency, normalised_interactions
from .reduce import FactorSum, PairTape, Thin
from .sparse import Pattern, sddmm, spmm

__all__ = [
    "FactorSum",
    "FactoredGradient",
    "Features",
    "Matrix",
    "PairState",
    "PairTape",
    "Pattern",
    "Propagation",
    "Thin",
    "normalised_adjacency",
    "normalised_interactions",
    "sddmm",
    "spmm",
]
