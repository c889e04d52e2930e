r"""A multi-layer perceptron over concatenated embeddings.

.. math::
    \hat y_{ui} = \sigma(w^\top z_L + b), \qquad
    z_1 = \phi(W_1^\top [p_u ; q_i] + b_1), \qquad z_l = \phi(W_l^\top z_{l-1} + b_l)

He et al. (2017), "Neural Collaborative Filtering", equation 10. The closed form of its training is
:mod:`graphpoison.training.mlp_pair_loss`.
"""

from dataclasses import dataclass

import torch

from ..training import Params
from ..training.pair_scores import PairScores
from .base import PairwiseRecommender
from .initialisation import check_embeddings, check_layers, embeddings, feed_forward


@dataclass(frozen=True)
class MLP(PairwiseRecommender):
    """CF with a feed-forward head: embeddings, concatenated, through a tower (NCF's MLP).

    Parameters ``(P [U, D], Q [I, D], W1 [2 D, H1], b1 [H1], ..., w [HL, 1], b [1])``.

    Args:
        dim: embedding dimensions D.
        layers: widths of the hidden layers, at least one.
        scale: standard deviation of the initial embeddings.
        activation: ``"relu"``, ``"tanh"`` or ``"sigmoid"``.
        dropout: the share of entries of the embeddings that each training step leaves out.
    """

    dim: int = 32
    layers: tuple[int, ...] = (32, 16, 8)
    scale: float = 0.1
    activation: str = "relu"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_embeddings(self.dim, self.scale, self.dropout)
        check_layers(self.layers, self.activation, least=1)

    def init(
        self, shape: tuple[int, int], generator: torch.Generator, dtype: torch.dtype
    ) -> Params:
        tables = embeddings(shape, self.dim, self.scale, generator, dtype)
        return (*tables, *feed_forward((2 * self.dim, *self.layers, 1), generator, dtype))

    @property
    def scoring(self) -> PairScores:
        return PairScores(dot=False, tower="sum", activation=self.activation)

    def score_params(self, params: Params) -> Params:
        return first_layer(params)


def first_layer(params: Params) -> Params:
    """The tower's first kernel, applied to either half of its input: two tables [U, H], [I, H]."""
    users, items, kernel, bias, *head = params
    dim = users.size(1)
    return (torch.addmm(bias, users, kernel[:dim]), items @ kernel[dim:], *head)
