r"""Matrix factorisation with a dot product (Koren, Bell and Volinsky 2009).

.. math:: \hat y_{ui} = \sigma(\langle p_u, q_i \rangle)

The closed form of its training is :mod:`graphpoison.training.sparse_pair_loss`.
"""

from dataclasses import dataclass

import torch

from ..training import Params
from ..training.pair_scores import PairScores
from .base import PairwiseRecommender
from .initialisation import check_embeddings, embeddings


@dataclass(frozen=True)
class CF(PairwiseRecommender):
    """Matrix factorisation with a dot product; parameters ``(P [U, D], Q [I, D])``.

    Args:
        dim: embedding dimensions D.
        scale: standard deviation of the initial embeddings.
        dropout: the share of entries of the embeddings that each training step leaves out.
    """

    dim: int = 32
    scale: float = 0.1
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_embeddings(self.dim, self.scale, self.dropout)

    def init(
        self, shape: tuple[int, int], generator: torch.Generator, dtype: torch.dtype
    ) -> Params:
        return embeddings(shape, self.dim, self.scale, generator, dtype)

    @property
    def scoring(self) -> PairScores:
        return PairScores()

    def score_params(self, params: Params) -> Params:
        return params
