"""Popularity: for every user, the score of an item is the number of users who have it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...graphs import Interactions
from ..base import FittedRecommender, Victim
from .histories import item_counts


@dataclass(frozen=True)
class Popularity(Victim):
    """Ranks items by their number of interactions, equally for all users.

    Args:
        name: name of the victim in tables.
        dtype: dtype of the scores.
    """

    name: str = "popularity"
    dtype: torch.dtype = torch.float32

    deterministic = True

    def fit(self, graph: Interactions, seed: int) -> "ItemCounts":
        return ItemCounts(item_counts(graph, self.dtype))


@dataclass(frozen=True, eq=False)
class ItemCounts(FittedRecommender):
    """Counts [I], which are the scores for every user."""

    counts: Tensor

    def scores(self, users: Tensor) -> Tensor:
        return self.counts.repeat(users.numel(), 1)
