"""Node features that multiply as a sparse matrix where most of them are zero."""

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from .sparse import Pattern, spmm

SPARSE_BELOW = 0.1  # the share of non-zeros under which the sparse product was the faster one


@dataclass(frozen=True, eq=False)
class Features:
    """A constant matrix ``x`` [N, F], e.g. a bag of words."""

    x: Tensor

    @property
    def num_features(self) -> int:
        return self.x.size(1)

    @cached_property
    def _sparse(self) -> tuple[Pattern, Tensor] | None:
        row, col = self.x.nonzero(as_tuple=True)
        if row.numel() >= SPARSE_BELOW * self.x.numel():
            return None
        shape = (self.x.size(0), self.x.size(1))
        return Pattern(row, col, shape), self.x[row, col]

    def matmul(self, dense: Tensor) -> Tensor:
        """``x @ dense`` for ``dense`` [F, D]."""
        return self.x @ dense if self._sparse is None else spmm(*self._sparse, dense)

    def transposed_matmul(self, dense: Tensor) -> Tensor:
        """``x.T @ dense`` for ``dense`` [N, D]."""
        if self._sparse is None:
            return self.x.t() @ dense
        return spmm(*self._sparse, dense, transposed=True)
