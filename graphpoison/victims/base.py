"""The interface of a victim: a model trained from scratch on a graph, clean or poisoned."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

VICTIM_STREAM = 2**31
"""Stream of random numbers of victims, so that surrogates of the same seed start differently."""
USERS_AT_ONCE = 256


class Victim(ABC):
    """A model and its training.

    To write your own victim, set ``name`` and define :meth:`fit`.

    Attributes:
        name: name of the victim in tables and checkpoints.
        deterministic: whether the result is the same for all seeds, so that one seed is enough.
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
            seed: seed of the initialisation and of all other random numbers.

        Returns:
            For nodes, a :class:`FittedNodes` or any object with ``logits()``. For interactions, a
            :class:`FittedRecommender` or any object with ``scores(users)`` or ``pairs(index)``.
        """


class FittedNodes(ABC):
    """A trained node classifier."""

    @abstractmethod
    def logits(self) -> Tensor:
        """Logits [N, C] of all nodes of the training graph."""


class FittedRecommender(ABC):
    """A trained recommender: a higher score ranks an item higher.

    Attributes:
        log_odds: whether scores are log-odds of an interaction. ``evaluate`` leaves out log loss
            and accuracy of other scores, unless they are named as metrics.
    """

    log_odds: bool = True

    @abstractmethod
    def scores(self, users: Tensor) -> Tensor:
        """Scores [U', I] of ``users``, LongTensor [U'], for all items, seen items included."""

    def pairs(self, index: Tensor) -> Tensor:
        """Scores [K] of the pairs (user, item) ``index`` [2, K]; by default from :meth:`scores`,
        for one batch of users at a time."""
        return scores_of_pairs(self.scores, index)


def scores_of_pairs(scores: Callable[[Tensor], Tensor], index: Tensor) -> Tensor:
    """Scores [K] of ``index`` [2, K], from ``scores(users)`` [U', I] in batches of users."""
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
