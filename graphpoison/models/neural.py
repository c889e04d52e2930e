r"""Neural collaborative filtering (He et al. 2017): MLP over concatenated embeddings, and NeuMF.

.. math::
    \text{mlp: } \hat y_{ui} = \sigma(w^\top z_L + b) \qquad
    \text{neumf: } \hat y_{ui} = \sigma(h^\top (p_u \odot q_i) + w^\top z_L + b)

    z_1 = \phi(W_1^\top [p'_u ; q'_i] + b_1), \qquad z_l = \phi(W_l^\top z_{l-1} + b_l)

Equations 10 and 12 of the paper. NeuMF has embeddings of its own for either part.
"""

from dataclasses import dataclass

import torch

from .._checks import positive_int
from .activations import activation
from .base import PairwiseRecommender, check_embeddings, embeddings, feed_forward, glorot
from .pair_scores import PairScores
from .prepared import Params


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
        _check_tower(self.layers, self.activation)

    def init(
        self, shape: tuple[int, int], generator: torch.Generator, dtype: torch.dtype
    ) -> Params:
        tables = embeddings(shape, self.dim, self.scale, generator, dtype)
        return (*tables, *feed_forward((2 * self.dim, *self.layers, 1), generator, dtype))

    @property
    def scoring(self) -> PairScores:
        return PairScores(dot=False, tower="sum", activation=self.activation)

    def sides(self, params: Params) -> Params:
        return _first_layer(params)


@dataclass(frozen=True)
class NeuMF(PairwiseRecommender):
    """GMF and MLP side by side, added up at the output.

    Parameters ``(P, Q, h [D])`` of the former, then those of the latter as in :class:`MLP`.

    Args:
        dim: embedding dimensions D of the GMF part.
        layers: widths of the MLP part's hidden layers, at least one.
        mlp_dim: embedding dimensions of the MLP part; ``dim`` if left out.
        scale: standard deviation of the initial embeddings.
        activation: ``"relu"``, ``"tanh"`` or ``"sigmoid"``.
        dropout: the share of entries of the embeddings that each training step leaves out.
    """

    dim: int = 32
    layers: tuple[int, ...] = (32, 16, 8)
    mlp_dim: int | None = None
    scale: float = 0.1
    activation: str = "relu"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_embeddings(self.dim, self.scale, self.dropout)
        _check_tower(self.layers, self.activation)
        if self.mlp_dim is not None:
            positive_int("mlp_dim", self.mlp_dim)

    @property
    def tables(self) -> tuple[int, ...]:
        return 0, 1, 3, 4

    def init(
        self, shape: tuple[int, int], generator: torch.Generator, dtype: torch.dtype
    ) -> Params:
        tables = embeddings(shape, self.dim, self.scale, generator, dtype)
        output = 1.0 + glorot(self.dim, 1, generator, dtype).squeeze(1)
        tower = MLP(self.mlp_dim or self.dim, self.layers, self.scale, self.activation)
        return (*tables, output, *tower.init(shape, generator, dtype))

    @property
    def scoring(self) -> PairScores:
        return PairScores(dot=True, tower="sum", activation=self.activation)

    def sides(self, params: Params) -> Params:
        users, items, output, *tower = params
        return (users * output, items, *_first_layer(tuple(tower)))


def _first_layer(params: Params) -> Params:
    """The tower's first kernel, applied to either half of its input: two tables [U, H], [I, H]."""
    users, items, kernel, bias, *head = params
    dim = users.size(1)
    return (torch.addmm(bias, users, kernel[:dim]), items @ kernel[dim:], *head)


def _check_tower(layers: tuple[int, ...], name: str) -> None:
    if not layers:
        raise ValueError("layers must name at least one hidden layer, found ().")
    for width in layers:
        positive_int("layers", width)
    activation(name)
