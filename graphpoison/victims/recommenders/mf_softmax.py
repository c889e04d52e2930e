r"""Matrix factorisation trained with the softmax over all items: the multinomial likelihood of
Liang et al. (2018), equation 2, of a dot product; Rendle (2022), "Item Recommendation from Implicit
Feedback", has the sampled form:

.. math::
    \min_{P, Q, b} \; - \sum_{(u, i)} \log \frac{\exp(\langle p_u, q_i \rangle + b_i)}
    {\sum_j \exp(\langle p_u, q_j \rangle + b_j)}

with the L2 penalty as a part of Adam's gradients.
"""

from dataclasses import dataclass

import torch

from ..._checks import in_range, positive_int
from ..._random import generator
from ...graphs import Interactions
from ..base import VICTIM_STREAM, Victim
from .fitted import Factors
from .histories import dense_rows, item_counts


@dataclass(frozen=True)
class MFSoftmax(Victim):
    """Factors of users and items and a bias of the items, trained by Adam on batches of users.

    The loss of a batch is the mean over its interactions.

    Args:
        dim: dimensions of the factors.
        epochs: passes over the users.
        lr: learning rate.
        weight_decay: the penalty, added to the gradients as ``weight_decay`` times the parameters.
        batch_size: users of a step.
        scale: standard deviation of the initial factors.
        name: what the table calls it.
        dtype: of the parameters.
    """

    dim: int = 64
    epochs: int = 20
    lr: float = 0.03
    weight_decay: float = 2e-4
    batch_size: int = 256
    scale: float = 0.1
    name: str = "mf-softmax"
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        positive_int("dim", self.dim)
        positive_int("epochs", self.epochs)
        positive_int("batch_size", self.batch_size)
        in_range("lr", self.lr, 0.0, float("inf"), open_low=True)
        in_range("weight_decay", self.weight_decay, 0.0, float("inf"))
        in_range("scale", self.scale, 0.0, float("inf"), open_low=True)

    def fit(self, graph: Interactions, seed: int) -> Factors:
        draw = generator(seed, VICTIM_STREAM)
        device = graph.edge_index.device
        users, items = (
            (self.scale * torch.randn(count, self.dim, generator=draw, dtype=self.dtype))
            .to(device)
            .requires_grad_()
            for count in graph.shape
        )
        bias = torch.zeros_like(item_counts(graph, self.dtype), requires_grad=True)
        optimizer = torch.optim.Adam(
            [users, items, bias], lr=self.lr, weight_decay=self.weight_decay
        )
        for _ in range(self.epochs):
            order = torch.randperm(graph.num_users, generator=draw).to(device)
            for batch in order.split(self.batch_size):
                target = dense_rows(graph, batch, self.dtype)
                logits = users[batch] @ items.t() + bias
                likelihood = (target * logits.log_softmax(dim=1)).sum()
                loss = -likelihood / target.sum().clamp(min=1)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return Factors(users.detach(), items.detach(), bias.detach())
