r"""The normalised adjacency of a weighted graph, differentiable in its weights.

.. math::
    \hat A = D^{-1/2} (A + I) D^{-1/2}, \qquad D_{ii} = 1 + \sum_j A_{ij}

for a homogeneous graph. Interactions are normalised without self-loops, so that degrees may be 0.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..sparse.factored import FactoredGradient
from ..sparse.low_rank import PairTape, reduce_factors
from ..sparse.pattern import Pattern
from ..sparse.products import spmm
from ..sparse.sparse_product import SparseProduct
from .pairs import PairState


@dataclass(frozen=True, eq=False)
class Propagation:
    """``A_hat`` on the listed pairs (both directions) and the self-loops.

    Args:
        pattern: the positions of the entries of ``A_hat``.
        values: Tensor [2M + N], the entries of ``A_hat``.
        weight: Tensor [M], the edge weights from which ``values`` are computed.
        degree: Tensor [N], weighted degrees plus one.
        tape: collects the factors of the gradient of all pairs; None without implicit candidates.
    """

    pattern: Pattern
    values: Tensor
    weight: Tensor
    degree: Tensor
    tape: PairTape | None = None

    def __call__(self, dense: Tensor) -> Tensor:
        """``A_hat @ dense`` for ``dense`` [N, D]."""
        return spmm(self.pattern, self.values, dense, tape=self.tape)

    def with_values(self, values: Tensor) -> "Propagation":
        """The same matrix with other entries ``values``, e.g. a leaf tensor."""
        return replace(self, values=values)

    def all_pairs(self, grad_degree: Tensor) -> FactoredGradient:
        r"""The gradient w.r.t. the weight of every pair, from the tape's factors.

        With :math:`\partial L/\partial \hat A = \sum_k G_k H_k^\top`, a pair (i, j) enters
        :math:`\hat A` at (i, j) and at (j, i), each scaled by :math:`(d_i d_j)^{-1/2}`, and enters
        both degrees:

        .. math::
            \frac{\partial L}{\partial w_{ij}} = \sum_k \frac{G_{k,i} \cdot H_{k,j} +
            G_{k,j} \cdot H_{k,i}}{\sqrt{d_i d_j}} + \frac{\partial L}{\partial d_i} +
            \frac{\partial L}{\partial d_j}
        """
        if self.tape is None:
            raise ValueError("this propagation has no tape: its graph has no implicit candidates.")
        scale = self.degree.detach().rsqrt()
        thin, dense = reduce_factors(self.tape)
        thin = [*self.tape.sparse_terms, *thin]
        none = scale.new_empty(scale.numel(), 0)
        return FactoredGradient.symmetric(
            torch.cat([none, *(left for left, _ in dense)], dim=1) * scale.unsqueeze(1),
            torch.cat([none, *(right for _, right in dense)], dim=1) * scale.unsqueeze(1),
            grad_degree.detach(),
            SparseProduct.of(thin, scale) if thin else None,
        )


def normalised_adjacency(state: PairState, weight: Tensor) -> Propagation:
    """``A_hat`` of the graph with ``weight`` [M] on the listed pairs of ``state``."""
    num_nodes = state.shape[0]
    source, target = state.index
    nodes = torch.arange(num_nodes, device=source.device)
    row = torch.cat([source, target, nodes])
    col = torch.cat([target, source, nodes])
    order = torch.argsort(row * num_nodes + col)
    pattern = Pattern(row[order], col[order], (num_nodes, num_nodes), state.pattern.backend)
    entries = torch.cat([weight, weight, weight.new_ones(num_nodes)])[order]
    degree = weight.new_zeros(num_nodes).index_add(0, pattern.row, entries)
    scale = degree.rsqrt()  # the self-loop keeps every degree at 1 or more
    values = entries * scale[pattern.row] * scale[pattern.col]
    return Propagation(
        pattern, values, weight, degree, PairTape() if state.implicit_candidates else None
    )


def normalised_interactions(pattern: Pattern, weight: Tensor) -> Tensor:
    r"""Entries [M] of :math:`D_U^{-1/2} W D_I^{-1/2}` for user-item ``weight`` [M] on ``pattern``.

    Entries of a node whose weights are all 0 are 0, and so are their derivatives.
    """
    users, items = (
        weight.new_zeros(size).index_add(0, nodes, weight)
        for size, nodes in zip(pattern.shape, (pattern.row, pattern.col), strict=True)
    )
    return weight * _inverse_root(users)[pattern.row] * _inverse_root(items)[pattern.col]


def _inverse_root(degree: Tensor) -> Tensor:
    """``degree ** -0.5``, and 0 for 0. The root is never taken of 0: its infinite derivative there
    would be multiplied by 0, which is NaN."""
    present = degree > 0
    return torch.where(present, degree, 1.0).rsqrt() * present
