r"""Neural matrix factorisation: GMF and MLP side by side, added up at the output.

.. math::
    \hat y_{ui} = \sigma(h^\top (p_u \odot q_i) + w^\top z_L + b)

He et al. (2017), "Neural Collaborative Filtering", equation 12, with separate embeddings for the
two parts; z as in :mod:`.mlp`. The closed form of its training is
:mod:`graphpoison.training.mlp_pair_loss`.
"""

from dataclasses import dataclass

import torch

from .._checks import positive_int
from ..training import Params
from ..training.pair_scores import PairScores
from .base import PairwiseRecommender
from .initialisation import check_embeddings, check_layers, embeddings, glorot
from .mlp import MLP, first_layer


@dataclass(frozen=True)
class NeuMF(PairwiseRecommender):
    """GMF and MLP side by side, added up at the output.

    Parameters ``(P, Q, h [D])`` of GMF, then the parameters of :class:`MLP`.

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
        check_layers(self.layers, self.activation, least=1)
        if self.mlp_dim is not None:
            positive_int("mlp_dim", self.mlp_dim)

    @property
    def embedding_params(self) -> tuple[int, ...]:
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

    def score_params(self, params: Params) -> Params:
        users, items, output, *tower = params
        return (users * output, items, *first_layer(tuple(tower)))
