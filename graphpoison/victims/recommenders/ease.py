r"""EASE (Steck 2019), "Embarrassingly Shallow Autoencoders for Sparse Data", equation 8:

.. math::
    \min_B \lVert X - X B \rVert_F^2 + \lambda \lVert B \rVert_F^2, \quad B_{ii} = 0
    \qquad \Rightarrow \qquad
    B_{ij} = - \frac{P_{ij}}{P_{jj}}, \quad P = (X^\top X + \lambda I)^{-1}

with X [U, I] the interactions. The scores of a user are :math:`x_u B`.
"""

from dataclasses import dataclass

import torch

from ..._checks import in_range
from ...graphs import Interactions
from ..base import Victim
from .fitted import USERS_AT_ONCE, ItemWeights
from .histories import dense_rows


@dataclass(frozen=True)
class EASE(Victim):
    r"""The linear autoencoder in closed form, with memory O(I^2) and time O(I^3).

    Args:
        l2: the weight :math:`\lambda` of the squared weights, above 0.
        name: name of the victim in tables.
        dtype: dtype of the matrices.
    """

    l2: float = 500.0
    name: str = "ease"
    dtype: torch.dtype = torch.float32

    deterministic = True

    def __post_init__(self) -> None:
        in_range("l2", self.l2, 0.0, float("inf"), open_low=True)

    def fit(self, graph: Interactions, seed: int) -> ItemWeights:
        every = torch.arange(graph.num_users, device=graph.edge_index.device)
        size = (graph.num_items, graph.num_items)
        gram = torch.zeros(size, dtype=self.dtype, device=every.device)
        for users in every.split(USERS_AT_ONCE):
            rows = dense_rows(graph, users, self.dtype)
            gram.addmm_(rows.t(), rows)
        gram.diagonal().add_(self.l2)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
        weights = inverse.div_(-inverse.diagonal().clone())
        weights.fill_diagonal_(0)
        return ItemWeights(graph, weights)
