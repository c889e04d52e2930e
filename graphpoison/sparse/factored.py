r"""The gradient w.r.t. all pairs as a product of skinny factors, searched in tiles.

A message-passing layer's gradient w.r.t. every pair of nodes has low rank. Keeping the factors,
scoring a tile of rows at a time and carrying a running top-k finds the exact best pairs out of all
N^2 in O(N x rank) memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

Admissible = Callable[[Tensor, Tensor], Tensor]
"""``admissible(source, target)`` -> BoolTensor of their broadcast shape."""

TILE_ENTRIES = 2**20
ASKED = 256  # more pairs than wanted that a constraint is asked for at first
FEW = 64  # single pairs cost at least so many times what entries of a tile do


class ResidualTerm(Protocol):
    """A matrix that is known at single entries, and added to a tile."""

    def at(self, pairs: Tensor) -> Tensor:
        """Values [K] at ``pairs`` [2, K]."""

    def add_to(self, block: Tensor, start: int, stop: int, first: int) -> Tensor:
        """``block`` plus the values of rows ``start:stop`` and columns from ``first`` on."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """An addend that is stored entry by entry, ``values`` [R, C]."""

    values: Tensor

    def at(self, pairs: Tensor) -> Tensor:
        return self.values[pairs[0], pairs[1]]

    def add_to(self, block: Tensor, start: int, stop: int, first: int) -> Tensor:
        return block.add_(self.values[start:stop, first:])


@dataclass(frozen=True, eq=False)
class FactoredGradient:
    """``gradient[i, j] = left[i] . right[j]``, plus what a factor of mostly zeros adds.

    Args:
        left: Tensor [R, K].
        right: Tensor [C, K].
        upper: only pairs with i < j exist (homogeneous graphs, each pair once).
        residual_term: what is added to the product of the factors.
    """

    left: Tensor
    right: Tensor
    upper: bool
    residual_term: ResidualTerm | None = None

    @classmethod
    def of_matrix(cls, values: Tensor) -> "FactoredGradient":
        """``values`` [R, C] as they are, where there are no factors."""
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

    def at(self, pairs: Tensor) -> Tensor:
        """Values [K] at ``pairs`` [2, K], one by one or, of many, picked from tiles."""
        rows, cols = self.shape
        entries = rows * cols // (2 if self.upper else 1)
        if FEW * pairs.size(1) > entries:
            return self._picked(pairs)
        blocks = pairs.split(16_384, dim=1)
        values = torch.cat(
            [(self.left[source] * self.right[target]).sum(dim=1) for source, target in blocks]
        )
        return values if self.residual_term is None else values + self.residual_term.at(pairs)

    def _picked(self, pairs: Tensor) -> Tensor:
        """The same, from every tile that holds one of ``pairs``."""
        source, order = pairs[0].sort()
        target = pairs[1][order]
        edges = self._tile_rows()
        bounds = torch.searchsorted(source, torch.tensor(edges, device=source.device)).tolist()
        values = self.left.new_empty(pairs.size(1))
        tiles = zip(pairwise(edges), pairwise(bounds), strict=True)
        for (start, stop), (low, high) in tiles:
            if low < high:
                first = start if self.upper else 0
                block = self._block(start, stop, first)
                found = block[source[low:high] - start, target[low:high] - first]
                values[order[low:high]] = found
        return values

    def dense(self) -> Tensor:
        """All values: [N (N - 1) / 2] in the order (0, 1), (0, 2), ... or [R * C] row by row."""
        product = self._block(0, self.shape[0], 0)
        if not self.upper:
            return product.flatten()
        row, col = torch.triu_indices(*self.shape, offset=1, device=product.device)
        return product[row, col]

    def topk(
        self, k: int, excluded: Tensor, admissible: Admissible | None = None
    ) -> tuple[Tensor, Tensor]:
        """The ``k`` largest values among pairs that are neither excluded nor inadmissible.

        Args:
            k: how many pairs at most.
            excluded: LongTensor of increasing codes ``i * C + j`` to leave out.
            admissible: which pairs may be taken; None for all.

        Returns:
            values [k'] decreasing and pairs [2, k'], with k' <= k where fewer are left.
        """
        cols = self.shape[1]
        best = self.left.new_empty(0)
        codes = excluded.new_empty(0)
        edges = self._tile_rows()
        limits = torch.tensor(edges, device=excluded.device) * cols
        bounds = torch.searchsorted(excluded, limits).tolist()
        tiles = zip(pairwise(edges), pairwise(bounds), strict=True)
        for (start, stop), (low, high) in tiles:
            tile, first = self._tile(start, stop, excluded[low:high])
            enough = float(best[-1]) if 0 < k == best.numel() else -torch.inf
            values, place = _admissible(tile, (start, first), k, enough, admissible)
            width = cols - first
            row = torch.div(place, width, rounding_mode="floor") + start
            codes = torch.cat([codes, row * cols + place % width + first])
            best, order = _largest(torch.cat([best, values]), k)
            codes = codes[order]
        return best, torch.stack([torch.div(codes, cols, rounding_mode="floor"), codes % cols])

    def _tile_rows(self) -> list[int]:
        """The rows at which tiles begin, and the number of rows."""
        rows, cols = self.shape
        return [*range(0, rows, max(1, TILE_ENTRIES // max(cols, 1))), rows]

    def _tile(self, start: int, stop: int, skip: Tensor) -> tuple[Tensor, int]:
        """Values of rows ``start`` to ``stop``, and the first column that the tile holds."""
        first = start if self.upper else 0
        tile = self._block(start, stop, first)
        cols = self.shape[1]
        row = torch.div(skip, cols, rounding_mode="floor") - start
        col = skip % cols - first
        tile[row, col] = -torch.inf
        if self.upper:
            corner = tile[:, : stop - start]
            below = torch.ones_like(corner, dtype=torch.bool).tril_()
            corner.masked_fill_(below, -torch.inf)
        return tile, first

    def _block(self, start: int, stop: int, first: int) -> Tensor:
        """Values of rows ``start`` to ``stop`` and columns from ``first`` on."""
        block = self.left[start:stop] @ self.right[first:].t()
        return (
            block
            if self.residual_term is None
            else self.residual_term.add_to(block, start, stop, first)
        )


def _admissible(
    tile: Tensor, corner: tuple[int, int], k: int, enough: float, admissible: Admissible | None
) -> tuple[Tensor, Tensor]:
    """The ``k`` largest admissible values of ``tile`` above ``enough``, and their places.

    ``admissible`` is asked for the largest values alone, and for all only if too few of these are
    admissible: a test of degrees refuses some dozens of pairs before it allows one.

    Args:
        tile: Tensor [R, C] of finite values, and -inf for pairs that may not be taken.
        corner: the row and the column at which the tile begins.
    """
    flat, (top, left) = tile.flatten(), corner

    def allowed(place: Tensor) -> Tensor:
        row = torch.div(place, tile.size(1), rounding_mode="floor")
        assert admissible is not None
        return admissible(row + top, place % tile.size(1) + left)

    if admissible is None:
        values, place = _largest(flat, k)
    elif enough > -torch.inf and float(flat.max()) <= enough:
        return flat[:0], torch.empty(0, dtype=torch.long, device=flat.device)
    else:
        bound = max(enough, _exceeded(tile, k + ASKED))
        place = (flat > bound).nonzero().squeeze(1)
        place = place[allowed(place)]
        if bound > enough and place.numel() < k:
            place = (flat > enough).nonzero().squeeze(1)
            place = place[allowed(place)]
        values, order = _largest(flat[place], k)
        place = place[order]
    found = values > enough
    return values[found], place[found]


def _exceeded(tile: Tensor, count: int) -> float:
    """A number that about ``count`` values of ``tile`` exceed: the largest of a row each."""
    tops = tile.amax(dim=1)
    return float(tops.topk(count).values[-1]) if tops.numel() > count else -torch.inf


def _largest(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    if k == 1 and values.numel():
        best, position = values.max(dim=0)
        return best.unsqueeze(0), position.unsqueeze(0)
    top = values.topk(min(k, values.numel()))
    return top.values, top.indices
