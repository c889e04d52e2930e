"""Fitted recommenders: two tables of factors, weights between items, or a NumPy function."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...graphs import Interactions
from ..base import FittedRecommender
from .histories import dense_rows

USERS_AT_ONCE = 1024


@dataclass(frozen=True, eq=False)
class Factors(FittedRecommender):
    r"""Scores :math:`\langle p_u, q_i \rangle + b_i`.

    Args:
        users: P [U, D].
        items: Q [I, D].
        bias: b [I], or None for 0.
    """

    users: Tensor
    items: Tensor
    bias: Tensor | None = None

    def scores(self, users: Tensor) -> Tensor:
        found = self.users[users] @ self.items.t()
        return found if self.bias is None else found + self.bias


@dataclass(frozen=True, eq=False)
class ItemWeights(FittedRecommender):
    r"""Scores :math:`\sum_{j \in I_u} B_{ji}` from the items :math:`I_u` of a user.

    Args:
        graph: the training interactions.
        weights: B [I, I], dense.
    """

    graph: Interactions
    weights: Tensor

    def scores(self, users: Tensor) -> Tensor:
        rows = (
            dense_rows(self.graph, part, self.weights.dtype) for part in users.split(USERS_AT_ONCE)
        )
        return torch.cat([part @ self.weights for part in rows])


@dataclass(frozen=True, eq=False)
class SparseItemWeights(FittedRecommender):
    r"""Scores :math:`\sum_{j \in I_u} B_{ji}` with a sparse B, computed by SciPy.

    Args:
        matrix: SciPy CSR matrix [U, I] of the interactions.
        weights: B, SciPy CSR matrix [I, I].
    """

    matrix: Any
    weights: Any

    def scores(self, users: Tensor) -> Tensor:
        found = self.matrix[users.cpu().numpy()] @ self.weights
        return torch.from_numpy(found.toarray()).to(users.device)


@dataclass(frozen=True, eq=False)
class ArrayScores(FittedRecommender):
    """Scores from a NumPy function, with a check of their shape.

    Args:
        function: takes users, an integer array [U'], and returns their scores [U', I].
        num_items: number of items I.
        name: name of the victim in messages.
    """

    function: Callable[[Any], Any]
    num_items: int
    name: str

    def scores(self, users: Tensor) -> Tensor:
        found = torch.as_tensor(self.function(users.cpu().numpy()))
        wanted = (users.numel(), self.num_items)
        if tuple(found.shape) != wanted:
            raise ValueError(
                f"victim {self.name!r} gave scores of shape {tuple(found.shape)}; return one row "
                f"for each user and one column for each item, {wanted}."
            )
        return found.to(users.device)
