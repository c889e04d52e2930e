"""The interface of a victim: a model trained from scratch by somebody who trusts the graph."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

VICTIM_STREAM = 2**31
"""Keeps a victim's initialisation apart from a surrogate's of the same seed."""
USERS_AT_ONCE = 256


class Victim(ABC):
    """A model and how it is trained.

    To make a victim of one's own, set ``name`` and write :meth:`fit`.

    Attributes:
        name: what tables and checkpoints call the victim.
        deterministic: whether ``seed`` makes no difference, so that one seed is enough.
    """

    name: str
    deterministic: bool = False

    @abstractmethod
    def fit(self, graph: Any, seed: int) -> Any:
        """The model after training from a fresh initialisation.

        Args:
            graph: a :class:`~graphpoison.NodeGraph` or
                :class:`~graphpoison.Interactions`, clean or poisoned. Its tensors must not be
                changed: some may be the tensors of the user's ``Data``.
            seed: of the initialisation and of all else that is random.

        Returns:
            A :class:`FittedNodes` or :class:`FittedRecommender`, or any object with ``logits()``,
            or with one of ``scores(users)`` and ``pairs(index)``.
        """


class FittedNodes(ABC):
    """A trained node classifier."""

    @abstractmethod
    def logits(self) -> Tensor:
        """Logits [N, C] of all nodes of the graph trained on."""


class FittedRecommender(ABC):
    """A trained recommender: a higher score ranks an item higher."""

    @abstractmethod
    def scores(self, users: Tensor) -> Tensor:
        """Scores [U', I] of ``users``, LongTensor [U'], for all items; seen items are not left
        out."""

    def pairs(self, index: Tensor) -> Tensor:
        """Scores [K] of the pairs (user, item) ``index`` [2, K]; by default from :meth:`scores`,
        a batch of users at a time."""
        return scores_of_pairs(self.scores, index)


def scores_of_pairs(scores: Callable[[Tensor], Tensor], index: Tensor) -> Tensor:
    """Scores [K] of ``index`` [2, K], from ``scores(users)`` [U', I] of some users at a time."""
    users, place = index[0].unique(return_inverse=True)
    order = place.argsort(stable=True)
    counts = torch.bincount(place, minlength=users.numel())
    stops = counts.cumsum(0)
    found: list[Tensor] = []
    for start in range(0, users.numel(), USERS_AT_ONCE):
        stop = min(start + USERS_AT_ONCE, users.numel())
        block = scores(users[start:stop])
        low = int(stops[start] - counts[start])
        chosen = order[low : int(stops[stop - 1])]
        found.append(block[place[chosen] - start, index[1, chosen]])
    if not found:
        return torch.empty(0, device=index.device)
    values = torch.cat(found)
    return torch.empty_like(values).index_copy(0, order, values)
