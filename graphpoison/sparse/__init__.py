"""Sparse matrices, their products spmm and sddmm, and low-rank gradients of all pairs."""

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
__dir__ = __all__.copy
