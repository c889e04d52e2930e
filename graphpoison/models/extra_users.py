"""Recommenders with fake users; real users have the initial parameters of a model without them."""

from dataclasses import dataclass
from functools import cached_property

import torch

from .._random import generator as seeded
from ..graphs import FakeUsers
from ..training.pair_scores import PairScores
from ..training.prepared import Params
from .base import PairwiseRecommender, Recommender


def with_extra_users(model: Recommender, users: FakeUsers) -> Recommender:
    """``model`` for a graph with the fake ``users``.

    Raises:
        TypeError: the users have fixed embeddings, and the model does not score pairs from tables
            of embeddings.
        ValueError: fixed embeddings do not fit the model.
    """
    if isinstance(model, PairwiseRecommender):
        return ExtraUsers(model, users.count, users.latent)
    if users.latent:
        raise TypeError(
            f"{model!r} does not score pairs from tables of user embeddings, which the fixed "
            "embeddings of fake users need; use CF, GMF, MLP or NeuMF."
        )
    return model


def user_tables(model: Recommender) -> tuple[int, ...]:
    """Indices of the parameters of ``model`` with one row for each user."""
    few, more = (model.init((users, 2), seeded(0), torch.float32) for users in (3, 4))
    return tuple(
        number
        for number, (a, b) in enumerate(zip(few, more, strict=True))
        if a.dim() and a.size(0) == 3 and b.size(0) == 4
    )


@dataclass(frozen=True, eq=False, repr=False)
class ExtraUsers(PairwiseRecommender):
    """``model`` with ``count`` users after the real ones.

    Real users, items and all other parameters have the initial values of ``model`` without extra
    users. Extra users have fresh embeddings that are trained. With ``latent``, their embeddings are
    fixed to these values and are no parameters (thesis, section 3.12, method 2).

    Args:
        model: the recommender.
        count: the number of extra users.
        latent: Tensors [count, D], one for each of the model's :func:`user_tables`, or none.

    Raises:
        ValueError: ``latent`` does not fit the model's tables.
    """

    model: PairwiseRecommender
    count: int
    latent: Params = ()

    def __post_init__(self) -> None:
        if not self.latent:
            return
        params = self.model.init((self.count, 2), seeded(0), torch.float32)
        wanted = [tuple(params[table].shape) for table in self.grown]
        found = [tuple(part.shape) for part in self.latent]
        if wanted != found:
            raise ValueError(
                f"the fake users' fixed embeddings are {found}, but {self.model!r} needs {wanted}: "
                "surrogate and victim must have user embeddings of the same size."
            )

    @cached_property
    def grown(self) -> tuple[int, ...]:
        """The model's :func:`user_tables`."""
        return user_tables(self.model)

    @property
    def embedding_params(self) -> tuple[int, ...]:
        return self.model.embedding_params

    @property
    def dropout(self) -> float:
        return self.model.dropout

    def __repr__(self) -> str:
        return f"{self.model!r} with {self.count} {'fixed' if self.latent else 'new'} users"

    def init(
        self, shape: tuple[int, int], generator: torch.Generator, dtype: torch.dtype
    ) -> Params:
        real = self.model.init((shape[0] - self.count, shape[1]), generator, dtype)
        if self.latent:
            return real
        extra = self.model.init((self.count, shape[1]), generator, dtype)
        return self._joined(real, tuple(extra[table] for table in self.grown))

    @property
    def scoring(self) -> PairScores:
        return self.model.scoring

    def score_params(self, params: Params) -> Params:
        return self.model.score_params(self._joined(params, self.latent) if self.latent else params)

    def _joined(self, params: Params, extra: Params) -> Params:
        joined = list(params)
        for table, rows in zip(self.grown, extra, strict=True):
            joined[table] = torch.cat([params[table], rows.to(params[table])])
        return tuple(joined)
