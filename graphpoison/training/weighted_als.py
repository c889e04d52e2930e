r"""Alternating least squares of weighted matrix factorisation, and its implicit derivative.

The loss over all entries of the interaction matrix X [U, I] is (Hu, Koren and Volinsky 2008)

.. math::
    L = \tfrac12 \sum_{u, i} c_{ui} (x_{ui} - s_{ui})^2
        + \tfrac{\lambda}{2} (\|P\|^2 + \|Q\|^2), \qquad
    s_{ui} = \langle p_u, q_i \rangle, \quad c_{ui} = 1 + \alpha x_{ui}

At a minimum :math:`F = \nabla L = 0`. By implicit differentiation, the derivative of a function g
of the scores is

.. math::
    \frac{dg}{dX} = - \left(\frac{\partial F}{\partial X}\right)^\top v, \qquad
    H v = \nabla_{(P, Q)} g

with H the Hessian. Products with H are computed by matrix products, and the linear system is solved
by conjugate gradients. Rotations of P and Q do not change the scores: H is singular in the
directions of rotations, and the right-hand side has no component in these directions.
"""

from typing import Any

import torch
from torch import Tensor

from .linear_solvers import conjugate_gradient

Factors = tuple[Tensor, Tensor]


def least_squares(matrix: Tensor, fixed: Tensor, l2: float, alpha: float) -> Tensor:
    """The rows [U, D] that minimise the loss of ``matrix`` [U, I] for ``fixed`` factors [I, D]."""
    count, dim = fixed.shape
    outer = (fixed.unsqueeze(2) * fixed.unsqueeze(1)).view(count, dim * dim)
    ridge = l2 * torch.eye(dim, dtype=matrix.dtype, device=matrix.device)
    systems = (alpha * (matrix @ outer)).view(-1, dim, dim) + fixed.t() @ fixed + ridge
    right = (matrix * (1 + alpha * matrix)) @ fixed
    solved: Tensor = torch.linalg.solve(systems, right)
    return solved


def alternate(matrix: Tensor, start: Tensor, l2: float, alpha: float, sweeps: int) -> Factors:
    """P [U, D] and Q [I, D] after ``sweeps`` of alternating least squares from Q = ``start``."""
    items = start
    users = least_squares(matrix, items, l2, alpha)
    for _ in range(sweeps):
        items = least_squares(matrix.t(), users, l2, alpha)
        users = least_squares(matrix, items, l2, alpha)
    return users, items


class FactorisedScores(torch.autograd.Function):
    """Scores [U, I] at the end of :func:`alternate`, differentiable w.r.t. the matrix."""

    @staticmethod
    def forward(
        ctx: Any,
        matrix: Tensor,
        start: Tensor,
        l2: float,
        alpha: float,
        sweeps: int,
        iterations: int,
        tolerance: float,
    ) -> Tensor:
        users, items = alternate(matrix, start, l2, alpha, sweeps)
        ctx.save_for_backward(matrix, users, items)
        ctx.settings = l2, alpha, iterations, tolerance
        return users @ items.t()

    @staticmethod
    def backward(ctx: Any, on_scores: Tensor) -> tuple[Tensor | None, ...]:
        matrix, users, items = ctx.saved_tensors
        l2, alpha, iterations, tolerance = ctx.settings
        weight = 1 + alpha * matrix
        residual = users @ items.t() - matrix
        error = weight * residual

        sizes = users.numel(), items.numel()

        def hessian(direction: Tensor) -> Tensor:
            on_users, on_items = (
                part.view_as(like)
                for part, like in zip(direction.split(sizes), (users, items), strict=True)
            )
            change = weight * (on_users @ items.t() + users @ on_items.t())
            return torch.cat(
                [
                    (change @ items + error @ on_items + l2 * on_users).flatten(),
                    (change.t() @ users + error.t() @ on_users + l2 * on_items).flatten(),
                ]
            )

        right = torch.cat([(on_scores @ items).flatten(), (on_scores.t() @ users).flatten()])
        found = conjugate_gradient(hessian, right, iterations, tolerance).split(sizes)
        change = found[0].view_as(users) @ items.t() + users @ found[1].view_as(items).t()
        return -change * (alpha * residual - weight), *[None] * 6
