"""Products of two skinny factors, one of which is mostly zeros.

Few nodes are labelled, so half of the factors of a graph convolution's gradient are indicators of
the labelled nodes or of their neighbours. As sparse matrices, these factors cost almost nothing to
multiply; a dense product over all N^2 pairs would take most of the time of a meta-step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import torch
from torch import Tensor

from .kernels import multiply
from .low_rank import SparseFactor
from .pattern import Pattern

FEW = 8  # if fewer than one in 8 columns is needed, they are selected before the product


@dataclass(frozen=True, eq=False)
class SparseTerm:
    """Dot products of rows of ``thin``, mostly zeros, and columns of ``wide``.

    Args:
        wide: Tensor [S, C], transposed, so that its columns are the columns of a tile.
        pattern, values: positions of the nonzero entries of ``thin`` [N, S], and their values.
    """

    wide: Tensor
    pattern: Pattern
    values: Tensor

    @cached_property
    def row_bounds(self) -> Tensor:
        """A bound [N] of ``thin[i] . wide[j]`` for all j:
        ``sum_s |thin[i, s]| max_j |wide[s, j]|``."""
        most = torch.maximum(self.wide.amax(dim=1), -self.wide.amin(dim=1))
        terms = self.values.abs() * most[self.pattern.col]
        return terms.new_zeros(self.pattern.shape[0]).index_add_(0, self.pattern.row, terms)

    @property
    def is_zero(self) -> bool:
        """Whether all terms of the dot products, and so all values, are 0."""
        return not bool(self.row_bounds.any())


@dataclass(frozen=True, eq=False)
class SparseProduct(SparseTerm):
    """``P[i, j] = wide[i] . thin[j] + thin[i] . wide[j]``, with C = N."""

    @classmethod
    def of(cls, parts: Sequence[SparseFactor], scale: Tensor) -> "SparseProduct":
        """From factors; row i of each factor is multiplied by ``scale[i]``, with ``scale`` [N]."""
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

    def add_to(self, block: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
        """``block`` plus the values at ``rows`` x ``cols``."""
        for to, these, those in ((block, rows, cols), (block.t(), cols, rows)):
            to += _product(self.pattern, self.values, self.wide, these, those)
        return block

    def bounds(self) -> tuple[Tensor, Tensor]:
        """``c`` [N], twice: no value at (i, j) is larger than ``c[i] + c[j]``."""
        return self.row_bounds, self.row_bounds


@dataclass(frozen=True, eq=False)
class SparseRows(SparseTerm):
    """``P[i, j] = thin[i] . wide[j]``, for rows and columns of different kinds."""

    @classmethod
    def of(cls, parts: Sequence[SparseFactor], num_rows: int) -> "SparseRows":
        """The sum of ``thin @ wide.T`` over ``parts``, whose ``wide`` are [F, K]."""
        wide = torch.cat([part.wide.t() for part in parts])
        return cls(wide, *_side_by_side(parts, num_rows))

    def at(self, pairs: Tensor) -> Tensor:
        """Values [K] at ``pairs`` [2, K]."""
        return dots(self.pattern, self.values, self.wide, pairs)

    def add_to(self, block: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
        """``block`` plus the values at ``rows`` x ``cols``."""
        return block.add_(_product(self.pattern, self.values, self.wide, rows, cols))

    def bounds(self) -> tuple[Tensor, Tensor]:
        """``c`` [N] and ``d`` [F]: no value at (i, j) is larger than ``c[i] + d[j]``."""
        return self.row_bounds, self.wide.new_zeros(self.wide.size(1))


def _product(pattern: Pattern, values: Tensor, wide: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
    """``thin[rows] @ wide[:, cols]``."""
    pointers, entry = pattern.entries_of(rows)
    part = pattern.col[entry]
    late = FEW * cols.numel() > wide.size(1) and part.numel() < wide.size(0)
    dense = wide if late else wide.index_select(1, cols)
    product = multiply("auto", pointers, part, values[entry], dense.size(0), dense)
    return product.index_select(1, cols) if late else product


def dots(pattern: Pattern, values: Tensor, wide: Tensor, pairs: Tensor) -> Tensor:
    """``thin[i] . wide[j]`` [K] for ``pairs`` [2, K], with ``values`` on ``pattern`` as ``thin``
    [N, S] and ``wide`` [S, *]."""
    row, column = pairs
    pointers, entry = pattern.entries_of(row)
    pair = torch.repeat_interleave(pointers.diff())
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
