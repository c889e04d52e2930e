r"""LightGCN (He et al. 2020), "Simplifying and Powering Graph Convolution Network for
Recommendation", equations 3, 4 and 7, over weighted interactions.

.. math::
    P^{(k+1)} = \hat R \, Q^{(k)}, \qquad Q^{(k+1)} = \hat R^\top P^{(k)}, \qquad
    \hat R_{ui} = \frac{w_{ui}}{\sqrt{\sum_j w_{uj} \sum_v w_{vi}}}

    \hat y_{ui} = \sigma(\langle \bar p_u, \bar q_i \rangle), \qquad
    \bar p_u = \frac{1}{K + 1} \sum_{k=0}^{K} p_u^{(k)}

The scores equal :class:`torch_geometric.nn.models.LightGCN` with ``edge_index`` in both
directions. An edge weight acts twice: through the propagation, and as the label of its pair. The
closed form of training is :mod:`graphpoison.training.propagated_pairs`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .._checks import positive_int
from ..graphs import normalised_interactions
from ..sparse import Pattern, sddmm, spmm
from ..training.criteria import Criterion
from ..training.pair_scores import PairScores
from ..training.pairwise import closed_form_loss
from ..training.prepared import Params, PreparedPairs
from ..training.propagated_pairs import PropagatedField
from .base import Recommender
from .initialisation import check_embeddings, embeddings


@dataclass(frozen=True)
class LightGCN(Recommender):
    """Embeddings, averaged over the layers of a linear propagation; parameters ``(P, Q)``.

    A node whose weights are all 0 takes no part in the propagation, as in PyG. Its meta-gradient
    leaves out the derivative through the propagation, because the one-sided derivative is infinite.

    Args:
        dim: embedding dimensions D.
        layers: number of propagations K.
        scale: standard deviation of the initial embeddings.
        dropout: the share of entries of the embeddings that each training step leaves out.
    """

    dim: int = 32
    layers: int = 2
    scale: float = 0.1
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_embeddings(self.dim, self.scale, self.dropout)
        positive_int("layers", self.layers)

    def init(
        self, shape: tuple[int, int], generator: torch.Generator, dtype: torch.dtype
    ) -> Params:
        return embeddings(shape, self.dim, self.scale, generator, dtype)

    def entries(self, graph: Pattern, weight: Tensor) -> Tensor:
        return normalised_interactions(graph, weight)

    def scores(self, params: Params, graph: Pattern, entries: Tensor, pairs: Pattern) -> Tensor:
        users, items = params
        total_users, total_items = users, items
        for _ in range(self.layers):
            users, items = (
                spmm(graph, entries, items),
                spmm(graph, entries, users, transposed=True),
            )
            total_users, total_items = total_users + users, total_items + items
        return sddmm(pairs, total_users, total_items) / (self.layers + 1) ** 2

    def closed_form(
        self, criterion: Criterion, prepared: PreparedPairs, params: Params
    ) -> PropagatedField | None:
        targets, entries = prepared.tensors
        loss = closed_form_loss(criterion, PairScores(), prepared.pattern, targets)
        if loss is None:
            return None
        return PropagatedField(loss, targets, prepared.pattern, entries, self.layers)
