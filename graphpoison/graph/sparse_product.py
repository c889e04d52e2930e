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
from .reduce import Thin
from .sparse import Pattern


@dataclass(frozen=True, eq=False)
class SparseProduct:
    """``P[i, j] = wide[i] . thin[j] + thin[i] . wide[j]``.

    Args:
        wide: Tensor [S, N], transposed, so that its columns are those of a tile.
        pattern, values: where ``thin`` [N, S] is not zero, and what it is there.
    """

    wide: Tensor
    pattern: Pattern
    values: Tensor

    @classmethod
    def of(cls, parts: Sequence[Thin], scale: Tensor) -> "SparseProduct":
        """From factors of which every row is multiplied by ``scale`` [N]."""
        widths = [part.wide.size(1) for part in parts]
        wide = scale.new_empty(sum(widths), scale.numel())
        for rows, part in zip(wide.split(widths), parts, strict=True):
            rows.copy_(part.wide.t()).mul_(scale)
        row = torch.cat([part.row for part in parts])
        offsets = accumulate(widths[:-1], initial=0)
        col = torch.cat([part.col + at for part, at in zip(parts, offsets, strict=True)])
        values = torch.cat([part.values for part in parts]) * scale[row]
        order = torch.argsort(row * sum(widths) + col)
        pattern = Pattern(row[order], col[order], (scale.numel(), sum(widths)))
        return cls(wide, pattern, values[order])

    def at(self, pairs: Tensor) -> Tensor:
        """Values [K] at ``pairs`` [2, K]."""
        source, target = pairs
        return self._half(source, target) + self._half(target, source)

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

    def _half(self, source: Tensor, target: Tensor) -> Tensor:
        """``wide[source] . thin[target]``."""
        pointers, _ = self.pattern.csr
        low, high = pointers[target].long(), pointers[target + 1].long()
        count = high - low
        pair = torch.repeat_interleave(count)
        offset = torch.arange(pair.numel(), device=pair.device) - (count.cumsum(0) - count)[pair]
        entry = low[pair] + offset
        products = self.wide[self.pattern.col[entry], source[pair]] * self.values[entry]
        return products.new_zeros(source.numel()).index_add_(0, pair, products)
