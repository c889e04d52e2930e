"""``A @ dense``, with the rows of A divided among ranks.

Each row is summed by a single rank, so the result does not depend on the number of ranks.
"""

from itertools import pairwise

import torch
from torch import Tensor

from .pattern import Pattern
from .products import product


class SharedProduct:
    """Products with one matrix, outside autograd.

    Args:
        pattern: the positions of the entries of A.
        values: Tensor [E], the entries.
    """

    def __init__(self, pattern: Pattern, values: Tensor) -> None:
        self.pattern, self.values, self.ranks = pattern, values, pattern.ranks
        if self.ranks.size == 1:
            return
        size, pointers = self.ranks.size, pattern.csr[0].long()
        wanted = torch.arange(1, size, device=pointers.device) * pattern.num_entries // size
        cuts = [0, *torch.searchsorted(pointers, wanted).tolist(), pattern.shape[0]]
        self.counts = [stop - start for start, stop in pairwise(cuts)]
        start, stop = cuts[self.ranks.rank : self.ranks.rank + 2]
        own = slice(int(pointers[start]), int(pointers[stop]))
        if "own rows" not in pattern.memo:
            shape = stop - start, pattern.shape[1]
            row, col = pattern.row[own] - start, pattern.col[own]
            pattern.memo["own rows"] = Pattern(row, col, shape, pattern.backend)
        self.pattern, self.values = pattern.memo["own rows"], values[own]

    def __call__(self, dense: Tensor) -> Tensor:
        """``A @ dense``."""
        own = product(self.pattern, self.values, dense)
        return own if self.ranks.size == 1 else self.ranks.gather(own, self.counts)

    def powers(self, dense: Tensor, count: int) -> list[Tensor]:
        """``A^h @ dense`` of a square matrix for h = 0 to ``count``."""
        found = [dense]
        for _ in range(count):
            found.append(self(found[-1]))
        return found
