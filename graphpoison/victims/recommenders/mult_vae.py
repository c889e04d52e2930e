r"""Mult-VAE (Liang et al. 2018), "Variational Autoencoders for Collaborative Filtering": a
multinomial likelihood (equation 2) and an annealed lower bound,

.. math::
    \max \; \sum_{i \in I_u} \log \pi_i(z_u)
    - \beta \, \mathrm{KL}\big(N(\mu_u, \mathrm{diag}(\sigma_u^2)) \,\|\, N(0, I)\big),
    \qquad z_u \sim N(\mu_u, \mathrm{diag}(\sigma_u^2))

with :math:`\mu_u, \log \sigma_u^2` from an encoder of the normalised interactions of a user, and
:math:`\pi` the softmax of a decoder. :math:`\beta` grows linearly to ``beta`` over the first
``anneal`` of the steps. The scores of a user are the logits at :math:`z_u = \mu_u`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, normalize

from ..._checks import in_range, positive_int
from ..._random import derive_seed, isolated_rng
from ...graphs import Interactions
from ..base import VICTIM_STREAM, FittedRecommender, Victim
from .fitted import USERS_AT_ONCE
from .histories import dense_rows


@dataclass(frozen=True)
class MultVAE(Victim):
    """The autoencoder I - hidden - dim - hidden - I with tanh, trained by Adam on batches of users.

    Users without interactions are left out of training; they are scored from a row of zeros.

    Args:
        hidden: units of the hidden layers.
        dim: dimensions of z.
        dropout: dropout rate of the inputs in training.
        beta: the weight of the divergence after annealing.
        anneal: the share of the steps over which the weight grows, in (0, 1].
        epochs: passes over the users.
        lr: learning rate.
        weight_decay: the L2 penalty in Adam's gradients.
        batch_size: users per step.
        name: name of the victim in tables.
        dtype: dtype of the parameters.
    """

    hidden: int = 600
    dim: int = 200
    dropout: float = 0.5
    beta: float = 0.5
    anneal: float = 0.5
    epochs: int = 30
    lr: float = 1e-3
    weight_decay: float = 0.0
    batch_size: int = 100
    name: str = "mult-vae"
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        for argument in ("hidden", "dim", "epochs", "batch_size"):
            positive_int(argument, getattr(self, argument))
        in_range("dropout", self.dropout, 0.0, 0.99)
        in_range("beta", self.beta, 0.0, float("inf"))
        in_range("anneal", self.anneal, 0.0, 1.0, open_low=True)
        in_range("lr", self.lr, 0.0, float("inf"), open_low=True)
        in_range("weight_decay", self.weight_decay, 0.0, float("inf"))

    def fit(self, graph: Interactions, seed: int) -> "FittedMultVAE":
        device = graph.edge_index.device
        with isolated_rng(derive_seed(seed, VICTIM_STREAM), device):
            module = Autoencoder(graph.num_items, self.hidden, self.dim)
            module = module.to(device=device, dtype=self.dtype)
            self._train(module, graph)
        return FittedMultVAE(graph, module.eval().requires_grad_(False), self.dtype)

    def _train(self, module: "Autoencoder", graph: Interactions) -> None:
        optimizer = torch.optim.Adam(
            module.parameters(), lr=self.lr, weight_decay=self.weight_decay
        )
        active = graph.edge_index[0].unique()
        steps = self.epochs * -(-active.numel() // self.batch_size)
        step = 0
        for _ in range(self.epochs):
            order = torch.randperm(active.numel()).to(active.device)
            for users in active[order].split(self.batch_size):
                rows = dense_rows(graph, users, self.dtype)
                logits, divergence = module.sampled(rows, self.dropout)
                weight = self.beta * min(1.0, step / (self.anneal * steps))
                likelihood = (rows * logits.log_softmax(dim=1)).sum(dim=1)
                loss = (weight * divergence - likelihood).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                step += 1


class Autoencoder(nn.Module):
    """Encoder and decoder with one hidden layer each.

    Args:
        num_items, hidden, dim: units of the layers, from the outer layers to the middle.
    """

    def __init__(self, num_items: int, hidden: int, dim: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(num_items, hidden), nn.Tanh(), nn.Linear(hidden, 2 * dim)
        )
        self.decoder = nn.Sequential(
            nn.Linear(dim, hidden), nn.Tanh(), nn.Linear(hidden, num_items)
        )
        for layer in (*self.encoder, *self.decoder):
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)
                nn.init.trunc_normal_(layer.bias, std=0.001)

    def forward(self, rows: Tensor) -> Tensor:
        """Logits [B, I] at the mean of z, for the interactions ``rows`` [B, I]."""
        mean, _ = self.encoder(normalize(rows)).chunk(2, dim=1)
        logits: Tensor = self.decoder(mean)
        return logits

    def sampled(self, rows: Tensor, share: float) -> tuple[Tensor, Tensor]:
        """Logits [B, I] at a drawn z, and the divergence [B] from the prior; ``share`` is the
        dropout rate of the inputs."""
        mean, log_variance = self.encoder(dropout(normalize(rows), share)).chunk(2, dim=1)
        drawn = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        divergence = (mean**2 + log_variance.exp() - log_variance - 1).sum(dim=1) / 2
        return self.decoder(drawn), divergence


@dataclass(frozen=True, eq=False)
class FittedMultVAE(FittedRecommender):
    """A trained autoencoder and the interactions that it encodes."""

    graph: Interactions
    module: Autoencoder
    dtype: torch.dtype

    def scores(self, users: Tensor) -> Tensor:
        with torch.no_grad():
            parts = users.split(USERS_AT_ONCE)
            return torch.cat([self.module(dense_rows(self.graph, p, self.dtype)) for p in parts])
