"""Sparse matrices, the two primitives on them, and gradients of all pairs as low-rank factors."""

from .factored import FactoredGradient, Matrix
from .low_rank import FactorSum, PairTape, SparseFactor
from .pattern import Pattern
from .products import sddmm, spmm

__all__ = [
    "FactorSum",
    "FactoredGradient",
    "Matrix",
    "PairTape",
    "Pattern",
    "SparseFactor",
    "sddmm",
    "spmm",
]
