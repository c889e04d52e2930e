r"""Batches for the Bayesian personalised ranking loss, BPR-Opt (Rendle et al. 2009):

.. math::
    - \sum_{(u, i, j)} \log \sigma(\hat y_{ui} - \hat y_{uj})

where user u has item i but not item j. Item j is drawn uniformly, anew in each epoch.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from ...graphs import Interactions


class Triples:
    """Draws (user, item, item that the user does not have) for each interaction.

    Interactions of users who have all items are left out.

    Args:
        graph: the interactions, sorted.
        generator: a generator on the CPU; draws are moved to the device of ``graph``.
    """

    def __init__(self, graph: Interactions, generator: torch.Generator) -> None:
        row, column = graph.edge_index
        counts = torch.bincount(row, minlength=graph.num_users)
        self._first = counts.cumsum(0) - counts
        self._free = graph.num_items - counts
        before = torch.arange(row.numel(), device=row.device) - self._first[row]
        # Number of free items below each item of a user, plus an offset that ascends over users.
        self._codes = row * (graph.num_items + 1) + column - before
        self._stride = graph.num_items + 1
        self._pairs = graph.edge_index[:, self._free[row] > 0]
        self._generator = generator

    def epoch(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Batches of users, items and drawn items, LongTensors [B], in random order."""
        device, total = self._pairs.device, self._pairs.size(1)
        order = torch.randperm(total, generator=self._generator).to(device)
        users, items = self._pairs[:, order]
        drawn = self.free_items(users)
        for start in range(0, total, batch_size):
            part = slice(start, start + batch_size)
            yield users[part], items[part], drawn[part]

    def free_items(self, users: Tensor) -> Tensor:
        """For each of ``users`` [B], an item drawn uniformly among the user's free items: [B]."""
        uniform = torch.rand(users.numel(), generator=self._generator, dtype=torch.float64)
        rank = (uniform.to(users.device) * self._free[users]).long()
        codes = users * self._stride + rank
        skipped = torch.searchsorted(self._codes, codes, right=True) - self._first[users]
        return rank + skipped
