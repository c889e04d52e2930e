r"""Matrix factorisation with the softmax over all items: the multinomial likelihood of Liang et al.
(2018), equation 2, with dot products as logits; Rendle (2022), "Item Recommendation from Implicit
Feedback", has the sampled form:

.. math::
    \min_{P, Q, b} \; - \sum_{(u, i)} \log \frac{\exp(\langle p_u, q_i \rangle + b_i)}
    {\sum_j \exp(\langle p_u, q_j \rangle + b_j)}
    + \lambda \big( \lVert P \rVert^2 + \lVert Q \rVert^2 + \lVert b \rVert^2 \big)
"""

from dataclasses import dataclass

import torch

from ..._checks import in_range, positive_int
from ..._random import generator
from ...graphs import Interactions
from ...models.initialisation import embeddings
from ..base import VICTIM_STREAM, Victim
from .fitted import Factors
from .histories import dense_rows, item_counts


@dataclass(frozen=True)
class MFSoftmax(Victim):
    r"""Factors of users and items and a bias of the items, trained by Adam on batches of users.

    The loss of a batch includes the penalty of its users and its share of the penalty of the items;
    the loss is divided by the number of interactions in the batch.

    Args:
        dim: dimensions of the factors.
        epochs: passes over the users.
        lr: learning rate.
        l2: the weight :math:`\lambda` of the squared parameters.
        batch_size: users per step.
        scale: standard deviation of the initial factors.
        name: name of the victim in tables.
        dtype: dtype of the parameters.
    """

    dim: int = 64
    epochs: int = 30
    lr: float = 0.02
    l2: float = 6.0
    batch_size: int = 256
    scale: float = 0.1
    name: str = "mf-softmax"
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
        device = graph.edge_index.device
        users, items = (
            table.to(graph.edge_index.device).requires_grad_()
            for table in embeddings(graph.shape, self.dim, self.scale, draw, self.dtype)
        )
        bias = torch.zeros_like(item_counts(graph, self.dtype), requires_grad=True)
        optimizer = torch.optim.Adam([users, items, bias], lr=self.lr)
        for _ in range(self.epochs):
            order = torch.randperm(graph.num_users, generator=draw).to(device)
            for batch in order.split(self.batch_size):
                target = dense_rows(graph, batch, self.dtype)
                chosen = users[batch]
                logits = chosen @ items.t() + bias
                likelihood = (target * logits.log_softmax(dim=1)).sum()
                share = batch.numel() / graph.num_users
                squares = (chosen**2).sum() + share * ((items**2).sum() + (bias**2).sum())
                loss = (self.l2 * squares - likelihood) / target.sum().clamp(min=1)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return Factors(users.detach(), items.detach(), bias.detach())
