"""The positions of the entries of a sparse matrix."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from .._ranks import ALONE, Ranks
from .csr import compress


@dataclass(frozen=True, eq=False)
class Pattern:
    """The positions of the entries of a sparse matrix: sorted by row, then column, each once.

    Args:
        row, col: LongTensor [E], strictly increasing in (row, col).
        shape: number of rows and columns.
        backend: how to multiply, one of :data:`~graphpoison.sparse.kernels.BACKENDS`.
        ranks: the processes that share the work on this matrix.
    """

    row: Tensor
    col: Tensor
    shape: tuple[int, int]
    backend: str = "auto"
    ranks: Ranks = ALONE

    @classmethod
    def of(cls, index: Tensor, shape: tuple[int, int], backend: str = "auto") -> "Pattern":
        """From rows and columns as one LongTensor [2, E]."""
        return cls(index[0], index[1], shape, backend)

    @property
    def num_entries(self) -> int:
        return self.row.numel()

    @cached_property
    def index(self) -> Tensor:
        """Rows and columns as one LongTensor [2, E]; no copy if both are views of this tensor."""
        whole = self.row._base
        if whole is not None and whole is self.col._base and whole.shape == (2, self.num_entries):
            parts = zip((self.row, self.col), whole, strict=True)
            if all(part.data_ptr() == row.data_ptr() for part, row in parts):
                return whole
        return torch.stack([self.row, self.col])

    @cached_property
    def codes(self) -> Tensor:
        """``row * shape[1] + col``, increasing, LongTensor [E]."""
        return self.row * self.shape[1] + self.col

    @cached_property
    def memo(self) -> dict[Any, Any]:
        """Values derived from this pattern that other modules keep with it."""
        return {}

    @cached_property
    def csr(self) -> tuple[Tensor, Tensor]:
        """Row pointers [R + 1] and columns [E], 32-bit if that suffices, as MKL expects."""
        return compress(self.row, self.col, self.shape[0])

    def entries_of(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Pointers [K + 1] and entries of the given ``rows`` [K], one row after the other."""
        pointers = self.csr[0].long()
        low = pointers[rows]
        count = pointers[rows + 1] - low
        stops = count.cumsum(0)
        offset = torch.repeat_interleave(low - stops + count, count)
        entry = offset + torch.arange(offset.numel(), device=offset.device)
        return torch.cat([stops.new_zeros(1), stops]), entry

    @cached_property
    def transposed(self) -> tuple[Tensor, Tensor, Tensor]:
        """Pointers and indices of the transpose, and where its entries are in this pattern."""
        order = torch.argsort(self.col, stable=True)
        pointers, indices = compress(self.col[order], self.row[order], self.shape[1])
        return pointers, indices, order


def positions(index: Tensor, size: int) -> Tensor:
    """LongTensor [size]: the position of each number below ``size`` in ``index`` [K], or -1."""
    place = index.new_full((size,), -1)
    place[index] = torch.arange(index.numel(), device=index.device)
    return place
