r"""Matrix factorisation and generalised matrix factorisation.

.. math::
    \text{cf: } \hat y_{ui} = \sigma(\langle p_u, q_i \rangle) \qquad
    \text{gmf: } \hat y_{ui} = \sigma(h^\top (p_u \odot q_i))

GMF is He et al. (2017), "Neural Collaborative Filtering", equation 9; with ``layers`` the product
goes through a feed-forward head, as in section 4.2 of the thesis (two hidden layers).
"""

from dataclasses import dataclass

import torch

from .._checks import positive_int
from .activations import activation
from .base import PairwiseRecommender, check_embeddings, embeddings, feed_forward, glorot
from .pair_scores import PairScores
from .prepared import Params


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

    def sides(self, params: Params) -> Params:
        return params


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
        for width in self.layers:
            positive_int("layers", width)
        activation(self.activation)

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

    def sides(self, params: Params) -> Params:
        if self.layers:
            return params
        users, items, output = params
        return users * output, items
