"""Products of two skinny factors of which one is mostly zeros.

Training sees few labelled nodes, so that half of the factors of a graph convolution's gradient are
indicators of those nodes, or of their neighbours. Multiplied as sparse matrices they cost next to
nothing, where a dense product over all N^2 pairs would take most of a meta-step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from .kernels import multiply
from .low_rank import SparseFactor
from .pattern import Pattern


@dataclass(frozen=True, eq=False)
class SparseProduct:
    """``P[i, j] = wide[i] . thin[j] + thin[i] . wide[j]``.

    Args:
        wide: Tensor [S, N], transposed, so that its columns are the columns of a tile.
        pattern, values: positions of the nonzero entries of ``thin`` [N, S], and their values.
    """

    wide: Tensor
    pattern: Pattern
    values: Tensor

    @classmethod
    def of(cls, parts: Sequence[SparseFactor], scale: Tensor) -> "SparseProduct":
        """From factors of which every row is multiplied by ``scale`` [N]."""
        widths = [part.wide.size(1) for part in parts]
        wide = scale.new_empty(sum(widths), scale.numel())
        for rows, part in zip(wide.split(widths), parts, strict=True):
            rows.copy_(part.wide.t()).mul_(scale)
        pattern, values = _side_by_side(parts, scale.numel())
        return cls(wide, pattern, values * scale[pattern.row])

    def at(self, pairs: Tensor) -> Tensor:
        """Values [K] at ``pairs`` [2, K]."""
        pattern, values, wide = self.pattern, self.values, self.wide
        return dots(pattern, values, wide, pairs.flip(0)) + dots(pattern, values, wide, pairs)

    def add_to(self, block: Tensor, start: int, stop: int, first: int) -> Tensor:
        """``block`` plus the values of rows ``start:stop`` and columns from ``first`` on."""
        pointers, indices = self.pattern.csr
        low, high = int(pointers[start]), int(pointers[stop])
        rows = self.wide.index_select(0, indices[low:high])[:, first:]
        rows = rows.mul_(self.values[low:high].unsqueeze(1))
        block.index_add_(0, self.pattern.row[low:high] - start, rows)
        return block.add_(self._product(first, self.wide[:, start:stop]).t())

    def _product(self, first: int, dense: Tensor) -> Tensor:
        """``thin[first:] @ dense`` for ``dense`` [S, *]."""
        pointers, indices = self.pattern.csr
        low = int(pointers[first])
        part = pointers[first:] - pointers[first]
        columns = self.pattern.shape[1]
        return multiply("auto", part, indices[low:], self.values[low:], columns, dense)


@dataclass(frozen=True, eq=False)
class SparseRows:
    """``P[i, j] = thin[i] . wide[j]``, rows and columns being of different kinds.

    Args:
        wide: Tensor [S, F], transposed, so that its columns are the columns of a tile.
        pattern, values: positions of the nonzero entries of ``thin`` [N, S], and their values.
    """

    wide: Tensor
    pattern: Pattern
    values: Tensor

    @classmethod
    def of(cls, parts: Sequence[SparseFactor], num_rows: int) -> "SparseRows":
        """The sum of ``thin @ wide.T`` over ``parts``, whose ``wide`` are [F, K]."""
        wide = torch.cat([part.wide.t() for part in parts])
        return cls(wide, *_side_by_side(parts, num_rows))

    def at(self, pairs: Tensor) -> Tensor:
        """Values [K] at ``pairs`` [2, K]."""
        return dots(self.pattern, self.values, self.wide, pairs)

    def add_to(self, block: Tensor, start: int, stop: int, first: int) -> Tensor:
        """``block`` plus the values of rows ``start:stop`` and columns from ``first`` on."""
        pointers, indices = self.pattern.csr
        low, high = int(pointers[start]), int(pointers[stop])
        part = pointers[start : stop + 1] - pointers[start]
        wide = self.wide[:, first:]
        return block.add_(
            multiply("auto", part, indices[low:high], self.values[low:high], wide.size(0), wide)
        )


def dots(pattern: Pattern, values: Tensor, wide: Tensor, pairs: Tensor) -> Tensor:
    """``thin[i] . wide[j]`` [K] for ``pairs`` [2, K], with ``values`` on ``pattern`` as ``thin``
    [N, S] and ``wide`` [S, *]."""
    pointers, _ = pattern.csr
    row, column = pairs
    low, high = pointers[row].long(), pointers[row + 1].long()
    count = high - low
    pair = torch.repeat_interleave(count)
    offset = torch.arange(pair.numel(), device=pair.device) - (count.cumsum(0) - count)[pair]
    entry = low[pair] + offset
    products = wide[pattern.col[entry], column[pair]] * values[entry]
    return products.new_zeros(row.numel()).index_add_(0, pair, products)


def _side_by_side(parts: Sequence[SparseFactor], num_rows: int) -> tuple[Pattern, Tensor]:
    """The sparse sides of ``parts`` as one matrix: its nonzero positions, and their values."""
    widths = [part.wide.size(1) for part in parts]
    row = torch.cat([part.row for part in parts])
    offsets = accumulate(widths[:-1], initial=0)
    col = torch.cat([part.col + at for part, at in zip(parts, offsets, strict=True)])
    order = torch.argsort(row * sum(widths) + col)
    pattern = Pattern(row[order], col[order], (num_rows, sum(widths)))
    return pattern, torch.cat([part.values for part in parts])[order]
