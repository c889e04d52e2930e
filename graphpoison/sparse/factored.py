r"""The gradient w.r.t. all pairs as a product of skinny factors.

A message-passing layer's gradient w.r.t. every pair of nodes has low rank. From the factors,
:func:`.search.largest` finds the exact best of all N^2 pairs in O(N x rank) memory.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from .._ranks import ALONE, Ranks
from .search import Admissible, largest

TILE_ENTRIES = 2**20
FEW = 64  # a single pair costs at least this number of times as much as an entry of a tile


class ResidualTerm(Protocol):
    """A matrix that can be evaluated at single entries, and added to a tile."""

    def at(self, pairs: Tensor) -> Tensor:
        """Values [K] at ``pairs`` [2, K]."""

    def add_to(self, block: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
        """``block`` plus the values at ``rows`` x ``cols``."""

    def bounds(self) -> tuple[Tensor, Tensor]:
        """``c`` [R] and ``d`` [C]: no value at (i, j) is larger than ``c[i] + d[j]``."""

    @property
    def is_zero(self) -> bool:
        """Whether all values are 0."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """A residual term that stores all its ``values`` [R, C]."""

    values: Tensor

    def at(self, pairs: Tensor) -> Tensor:
        return self.values[pairs[0], pairs[1]]

    def add_to(self, block: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
        return block.add_(self.values[rows.unsqueeze(1), cols])

    def bounds(self) -> tuple[Tensor, Tensor]:
        return self.values.amax(dim=1), torch.zeros_like(self.values[0])

    @property
    def is_zero(self) -> bool:
        return not bool(self.values.any())


@dataclass(frozen=True, eq=False)
class FactoredGradient:
    """``gradient[i, j] = left[i] . right[j]``, plus an optional residual term.

    Args:
        left: Tensor [R, K].
        right: Tensor [C, K].
        upper: whether the matrix is symmetric and only pairs with i < j exist (homogeneous graphs,
            each pair once).
        residual_term: a matrix that is added to the product of the factors, or None.
    """

    left: Tensor
    right: Tensor
    upper: bool
    residual_term: ResidualTerm | None = None

    @classmethod
    def of_matrix(cls, values: Tensor) -> "FactoredGradient":
        """The matrix ``values`` [R, C], without factors."""
        return cls(values[:, :0], values[:0].t(), upper=False, residual_term=Matrix(values))

    @classmethod
    def symmetric(
        cls, left: Tensor, right: Tensor, node: Tensor, residual_term: ResidualTerm | None = None
    ) -> "FactoredGradient":
        """``left[i] . right[j] + left[j] . right[i] + node[i] + node[j]`` for i < j."""
        ones = torch.ones_like(node)
        return cls(
            left=torch.cat([left, right, torch.stack([node, ones], dim=1)], dim=1).contiguous(),
            right=torch.cat([right, left, torch.stack([ones, node], dim=1)], dim=1).contiguous(),
            upper=True,
            residual_term=residual_term,
        )

    @property
    def shape(self) -> tuple[int, int]:
        return self.left.size(0), self.right.size(0)

    @property
    def is_finite(self) -> bool:
        """Whether the factors, and the bounds of the residual term, are finite."""
        parts = [self.left, self.right]
        if self.residual_term is not None:
            parts += self.residual_term.bounds()
        return all(bool(part.isfinite().all()) for part in parts)

    @property
    def is_zero(self) -> bool:
        """Whether every term is 0."""
        if self.residual_term is not None and not self.residual_term.is_zero:
            return False
        return not bool((self.left.any(dim=0) & self.right.any(dim=0)).any())

    def at(self, pairs: Tensor) -> Tensor:
        """Values [K] at ``pairs`` [2, K], one by one or, for many pairs, read from tiles."""
        rows, cols = self.shape
        entries = rows * cols // (2 if self.upper else 1)
        if FEW * pairs.size(1) > entries:
            return self._picked(pairs)
        return self.one_by_one(pairs)

    def one_by_one(self, pairs: Tensor) -> Tensor:
        """Values [K] at ``pairs`` [2, K]; the bits of a value do not depend on the other pairs."""
        blocks = pairs.split(16_384, dim=1)
        values = torch.cat(
            [(self.left[source] * self.right[target]).sum(dim=1) for source, target in blocks]
        )
        return values if self.residual_term is None else values + self.residual_term.at(pairs)

    def _picked(self, pairs: Tensor) -> Tensor:
        """The values at ``pairs``, read from every tile that contains one of the pairs."""
        source, order = pairs[0].sort()
        target = pairs[1][order]
        edges = self._tile_rows()
        nodes, others = self._lines()
        bounds = torch.searchsorted(source, torch.tensor(edges, device=source.device)).tolist()
        values = self.left.new_empty(pairs.size(1))
        tiles = zip(pairwise(edges), pairwise(bounds), strict=True)
        for (start, stop), (low, high) in tiles:
            if low < high:
                first = start if self.upper else 0
                block = self.block(nodes[start:stop], others[first:])
                found = block[source[low:high] - start, target[low:high] - first]
                values[order[low:high]] = found
        return values

    def dense(self) -> Tensor:
        """All values: [N (N - 1) / 2] in the order (0, 1), (0, 2), ... if upper, else [R * C]."""
        product = self.block(*self._lines())
        if not self.upper:
            return product.flatten()
        row, col = torch.triu_indices(*self.shape, offset=1, device=product.device)
        return product[row, col]

    def topk(
        self,
        k: int,
        excluded: Tensor,
        admissible: Admissible | None = None,
        ranks: Ranks = ALONE,
    ) -> tuple[Tensor, Tensor]:
        """The ``k`` largest values among pairs that are neither excluded nor inadmissible.

        Args:
            k: how many pairs at most.
            excluded: LongTensor of increasing codes ``i * C + j`` to leave out.
            admissible: which pairs may be taken; None for all.
            ranks: the processes that share the search; all have the same gradient.

        Returns:
            values [k'] decreasing and pairs [2, k'], with k' <= k if fewer are left.
        """
        return largest(self, k, excluded, admissible, ranks)

    def _tile_rows(self) -> list[int]:
        """The rows at which tiles begin, and the number of rows."""
        rows, cols = self.shape
        return [*range(0, rows, max(1, TILE_ENTRIES // max(cols, 1))), rows]

    def _lines(self) -> tuple[Tensor, Tensor]:
        """All rows and all columns."""
        rows, cols = (torch.arange(size, device=self.left.device) for size in self.shape)
        return rows, cols

    def block(self, rows: Tensor, cols: Tensor) -> Tensor:
        """Values at ``rows`` x ``cols``, as a new tensor."""
        block = self.left[rows] @ self.right[cols].t()
        return block if self.residual_term is None else self.residual_term.add_to(block, rows, cols)
