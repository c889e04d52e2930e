r"""LightGCN trained as by its authors (He et al. 2020), "LightGCN: Simplifying and Powering Graph
Convolution Network for Recommendation", equations 3, 4, 8 and 15, with BPR in batches:

.. math::
    \frac{1}{B} \sum_{(u, i, j)} \Big[ - \log \sigma(\hat y_{ui} - \hat y_{uj})
    + \lambda (\lVert p_u \rVert^2 + \lVert q_i \rVert^2 + \lVert q_j \rVert^2) \Big],
    \qquad \hat y_{ui} = \langle \bar p_u, \bar q_i \rangle

with p, q the parameters and :math:`\bar p, \bar q` the embeddings after the propagation, which
equal the embeddings of :class:`torch_geometric.nn.models.LightGCN`. The sparse product is taken
from :mod:`graphpoison.sparse`, which is several times faster on a CPU.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ..._checks import in_range, positive_int
from ..._random import generator
from ...graphs import Interactions, normalised_interactions
from ...models.initialisation import embeddings
from ...sparse import Pattern, spmm
from ..base import VICTIM_STREAM, Victim
from .bpr import Triples
from .fitted import Factors


@dataclass(frozen=True)
class LightGCNBPR(Victim):
    r"""Embeddings averaged over the layers of a linear propagation, trained by Adam.

    Args:
        dim: embedding dimensions.
        layers: number of propagations.
        epochs: passes over the interactions; each pass draws new negative items.
        lr: learning rate.
        l2: the weight :math:`\lambda` of the squared parameters of a batch.
        batch_size: interactions per step.
        scale: standard deviation of the initial embeddings.
        name: name of the victim in tables.
        dtype: dtype of the parameters.
    """

    dim: int = 64
    layers: int = 3
    epochs: int = 100
    lr: float = 0.01
    l2: float = 1e-3
    batch_size: int = 4096
    scale: float = 0.1
    name: str = "lightgcn-bpr"
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        positive_int("dim", self.dim)
        positive_int("layers", self.layers)
        positive_int("epochs", self.epochs)
        positive_int("batch_size", self.batch_size)
        in_range("lr", self.lr, 0.0, float("inf"), open_low=True)
        in_range("l2", self.l2, 0.0, float("inf"))
        in_range("scale", self.scale, 0.0, float("inf"), open_low=True)

    def fit(self, graph: Interactions, seed: int) -> Factors:
        draw = generator(seed, VICTIM_STREAM)
        triples = Triples(graph, draw)
        device = graph.edge_index.device
        pattern = Pattern.of(graph.edge_index, graph.shape)
        ones = torch.ones(pattern.num_entries, dtype=self.dtype, device=device)
        entries = normalised_interactions(pattern, ones)
        users, items = (
            table.to(graph.edge_index.device).requires_grad_()
            for table in embeddings(graph.shape, self.dim, self.scale, draw, self.dtype)
        )
        optimizer = torch.optim.Adam([users, items], lr=self.lr)
        for _ in range(self.epochs):
            for user, item, drawn in triples.epoch(self.batch_size):
                far_users, far_items = propagated(pattern, entries, users, items, self.layers)
                difference = far_items[item] - far_items[drawn]
                margin = (far_users[user] * difference).sum(dim=1)
                squares = (users[user] ** 2 + items[item] ** 2 + items[drawn] ** 2).sum(dim=1)
                loss = (self.l2 * squares - logsigmoid(margin)).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        with torch.no_grad():
            return Factors(*propagated(pattern, entries, users, items, self.layers))


def propagated(
    pattern: Pattern, entries: Tensor, users: Tensor, items: Tensor, layers: int
) -> tuple[Tensor, Tensor]:
    """Embeddings of users [U, D] and items [I, D], averaged over the input and all layers."""
    total_users, total_items = users, items
    for _ in range(layers):
        users, items = (
            spmm(pattern, entries, items),
            spmm(pattern, entries, users, transposed=True),
        )
        total_users, total_items = total_users + users, total_items + items
    return total_users / (layers + 1), total_items / (layers + 1)
