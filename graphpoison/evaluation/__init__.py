"""Evaluation of attacks: victims are retrained, measured and compared."""

from .paired_runs import distinct_seeds, evaluate
from .transfer import transfer_matrix

__all__ = ["distinct_seeds", "evaluate", "transfer_matrix"]
__dir__ = __all__.copy
