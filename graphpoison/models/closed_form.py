"""Recommenders whose trained scores are a function of the interactions, without training steps."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..graphs import PairState
from ..sparse import FactoredGradient, Pattern
from ..training import Params, PreparedPairs, TrainingField
from ..training.criteria import Criterion
from .base import Recommender


@dataclass(frozen=True, eq=False)
class PreparedMatrix(PreparedPairs):
    """The preparation of a closed form; its only tensor is the interaction matrix X [U, I].

    Args:
        implicit_candidates: whether the gradient is taken w.r.t. all pairs.
    """

    implicit_candidates: bool = False


ScoresWithRows = Callable[[Tensor, Tensor], Tensor]
"""``f(rows [N, I], users [n]) -> [n, I]``: scores after training on a matrix with more rows."""


@dataclass(frozen=True, eq=False, kw_only=True)
class PreparedRows(PreparedPairs):
    """The preparation of a closed form whose only tensor is the rows of fake users [N, I].

    Args:
        scores: the scores of real users, as a function of these rows.
    """

    scores: ScoresWithRows


class ClosedFormRecommender(Recommender):
    r"""A recommender with scores :math:`S = f(X)` of the interaction matrix X [U, I].

    All pairs take part in training: X is dense and takes memory for U x I numbers. The
    meta-gradient is the derivative of the attack loss through ``f``; there is no training to
    unroll.
    """

    @abstractmethod
    def trained_scores(self, matrix: Tensor, params: Params, users: Tensor | None = None) -> Tensor:
        """Scores [n, I] of ``users`` [n], or of all, after training on ``matrix`` [U, I].

        Differentiable once w.r.t. ``matrix``. ``params`` is the result of ``init``.
        """

    def with_rows(self, matrix: Tensor, params: Params) -> ScoresWithRows:
        """Return the scores of users of ``matrix`` [U, I] as a function of rows below ``matrix``.

        Differentiable once w.r.t. these rows.
        """

        def scores(rows: Tensor, users: Tensor) -> Tensor:
            return self.trained_scores(torch.cat([matrix, rows]), params, users)

        return scores

    def settled(self, l2: float) -> "ClosedFormRecommender":
        """The model with the penalty ``l2``, unless it has a penalty already."""
        return self

    @property
    def embedding_params(self) -> tuple[int, ...]:
        return ()

    @property
    def takes_all_pairs(self) -> bool:
        return True

    def init(
        self, shape: tuple[int, int], generator: torch.Generator, dtype: torch.dtype
    ) -> Params:
        return ()

    @property
    def is_closed_form(self) -> bool:
        return True

    @final
    def prepare(self, criterion: Criterion, state: PairState, weight: Tensor) -> PreparedPairs:
        dense = torch.zeros(state.shape, dtype=weight.dtype, device=weight.device)
        matrix = dense.index_put(tuple(state.index), weight)
        return PreparedMatrix(
            weight, (matrix,), state.pattern, implicit_candidates=state.implicit_candidates
        )

    @final
    def scores(self, params: Params, graph: Pattern, entries: Tensor, pairs: Pattern) -> Tensor:
        users, row = pairs.row.unique(return_inverse=True)
        return self.trained_scores(entries, params, users)[row, pairs.col]

    @final
    def user_scores(
        self, params: Params, prepared: PreparedPairs, users: Tensor, hidden: Tensor
    ) -> Tensor:
        if isinstance(prepared, PreparedRows):
            return prepared.scores(prepared.tensors[0], users)
        (matrix,) = prepared.tensors
        if hidden.size(1):
            zero = torch.zeros((), dtype=matrix.dtype, device=matrix.device)
            matrix = matrix.index_put(tuple(hidden), zero)
        return self.trained_scores(matrix, params, users)

    @final
    def closed_form(
        self, criterion: Criterion, prepared: PreparedPairs, params: Params
    ) -> TrainingField | None:
        raise ValueError(
            f"{self!r} has no training steps to take; its scores are a function of the "
            "interactions. Give the task an objective such as Degrade()."
        )

    @final
    def pair_gradient(
        self, prepared: PreparedPairs, cotangents: Params
    ) -> Tensor | FactoredGradient:
        assert isinstance(prepared, PreparedMatrix)
        if prepared.implicit_candidates:
            return FactoredGradient.of_matrix(cotangents[0])
        return super().pair_gradient(prepared, cotangents)
