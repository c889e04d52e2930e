"""Popularity: the score of an item is the number of users who have it, the same for all users."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...graphs import Interactions
from ..base import FittedRecommender, Victim
from .histories import item_counts


@dataclass(frozen=True)
class Popularity(Victim):
    """Items by their number of interactions; no user is different from another.

    Args:
        name: what the table calls it.
        dtype: of the scores.
    """

    name: str = "popularity"
    dtype: torch.dtype = torch.float32

    deterministic = True

    def fit(self, graph: Interactions, seed: int) -> "ItemCounts":
        return ItemCounts(item_counts(graph, self.dtype))


@dataclass(frozen=True, eq=False)
class ItemCounts(FittedRecommender):
    """Counts [I] that are the scores of every user."""

    counts: Tensor

    def scores(self, users: Tensor) -> Tensor:
        return self.counts.repeat(users.numel(), 1)
