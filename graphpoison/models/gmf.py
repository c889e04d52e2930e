r"""Generalised matrix factorisation.

.. math:: \hat y_{ui} = \sigma(h^\top (p_u \odot q_i))

He et al. (2017), "Neural Collaborative Filtering", equation 9; with ``layers`` the product goes
through a feed-forward head, as in section 4.2 of the thesis (two hidden layers). The closed form of
its training is :mod:`graphpoison.training.sparse_pair_loss`; with ``layers`` it is
:mod:`graphpoison.training.mlp_pair_loss`.
"""

from dataclasses import dataclass

import torch

from ..training import Params
from ..training.pair_scores import PairScores
from .base import PairwiseRecommender
from .initialisation import check_embeddings, check_layers, embeddings, feed_forward, glorot


@dataclass(frozen=True)
class GMF(PairwiseRecommender):
    """Generalised matrix factorisation; parameters ``(P, Q, h [D])`` or ``(P, Q, W1, b1, ...)``.

    Args:
        dim: embedding dimensions D.
        layers: widths of hidden layers between the product and the output; none by default.
        scale: standard deviation of the initial embeddings.
        activation: of hidden layers: ``"relu"``, ``"tanh"`` or ``"sigmoid"``.
        dropout: the share of entries of the embeddings that each training step leaves out.
    """

    dim: int = 32
    layers: tuple[int, ...] = ()
    scale: float = 0.1
    activation: str = "relu"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_embeddings(self.dim, self.scale, self.dropout)
        check_layers(self.layers, self.activation)

    def init(
        self, shape: tuple[int, int], generator: torch.Generator, dtype: torch.dtype
    ) -> Params:
        tables = embeddings(shape, self.dim, self.scale, generator, dtype)
        if not self.layers:
            return (*tables, 1.0 + glorot(self.dim, 1, generator, dtype).squeeze(1))
        return (*tables, *feed_forward((self.dim, *self.layers, 1), generator, dtype))

    @property
    def scoring(self) -> PairScores:
        if not self.layers:
            return PairScores()
        return PairScores(dot=False, tower="product", activation=self.activation)

    def score_params(self, params: Params) -> Params:
        if self.layers:
            return params
        users, items, output = params
        return users * output, items
