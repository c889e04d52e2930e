r"""Matrix factorisation with the BPR loss (Rendle et al. 2009), trained by Adam in batches:

.. math::
    \frac{1}{B} \sum_{(u, i, j)} \big[ - \log \sigma(\hat y_{ui} - \hat y_{uj})
    + \lambda (\lVert p_u \rVert^2 + \lVert q_i \rVert^2 + \lVert q_j \rVert^2
    + b_i^2 + b_j^2) \big],
    \qquad \hat y_{ui} = \langle p_u, q_i \rangle + b_i
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import logsigmoid

from ..._checks import in_range, positive_int
from ..._random import generator
from ...graphs import Interactions
from ...models.initialisation import embeddings
from ..base import VICTIM_STREAM, Victim
from .bpr import Triples
from .fitted import Factors


@dataclass(frozen=True)
class MFBPR(Victim):
    r"""Factors of users and items and a bias of the items.

    Args:
        dim: dimensions of the factors.
        epochs: passes over the interactions; each pass draws new negative items.
        lr: learning rate of Adam.
        l2: the weight :math:`\lambda` of the squared parameters of a batch.
        batch_size: interactions per step.
        scale: standard deviation of the initial factors.
        name: name of the victim in tables.
        dtype: dtype of the parameters.
    """

    dim: int = 64
    epochs: int = 40
    lr: float = 0.005
    l2: float = 0.01
    batch_size: int = 4096
    scale: float = 0.1
    name: str = "mf-bpr"
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        positive_int("dim", self.dim)
        positive_int("epochs", self.epochs)
        positive_int("batch_size", self.batch_size)
        in_range("lr", self.lr, 0.0, float("inf"), open_low=True)
        in_range("l2", self.l2, 0.0, float("inf"))
        in_range("scale", self.scale, 0.0, float("inf"), open_low=True)

    def fit(self, graph: Interactions, seed: int) -> Factors:
        draw = generator(seed, VICTIM_STREAM)
        triples = Triples(graph, draw)
        users, items = (
            table.to(graph.edge_index.device).requires_grad_()
            for table in embeddings(graph.shape, self.dim, self.scale, draw, self.dtype)
        )
        bias = torch.zeros_like(items[:, 0], requires_grad=True)
        optimizer = torch.optim.Adam([users, items, bias], lr=self.lr)
        for _ in range(self.epochs):
            for user, item, drawn in triples.epoch(self.batch_size):
                p, q, other = users[user], items[item], items[drawn]
                b, c = bias[item], bias[drawn]
                margin = (p * (q - other)).sum(dim=1) + b - c
                squares = (p**2 + q**2 + other**2).sum(dim=1) + b**2 + c**2
                loss = (self.l2 * squares - logsigmoid(margin)).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return Factors(users.detach(), items.detach(), bias.detach())
