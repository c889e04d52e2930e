r"""Alternating least squares of weighted matrix factorisation, and its implicit derivative.

The loss over all entries of the interaction matrix X [U, I] is (Hu, Koren and Volinsky 2008)

.. math::
    L = \tfrac12 \sum_{u, i} c_{ui} (x_{ui} - s_{ui})^2
        + \tfrac{\lambda}{2} (\|P\|^2 + \|Q\|^2), \qquad
    s_{ui} = \langle p_u, q_i \rangle, \quad c_{ui} = 1 + \alpha x_{ui}

At a minimum :math:`F = \nabla L = 0`, so that a function g of the scores has the derivative

.. math::
    \frac{dg}{dX} = - \left(\frac{\partial F}{\partial X}\right)^\top v, \qquad
    H v = \nabla_{(P, Q)} g

with H the Hessian, which is applied by matrix products and inverted by conjugate gradients.
Rotations of P and Q leave the scores as they are: H is singular along them, and the right-hand side
has no part there.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

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

        def hessian(direction: Factors) -> Factors:
            change = weight * (direction[0] @ items.t() + users @ direction[1].t())
            return (
                change @ items + error @ direction[1] + l2 * direction[0],
                change.t() @ users + error.t() @ direction[0] + l2 * direction[1],
            )

        right = on_scores @ items, on_scores.t() @ users
        solution = conjugate_gradient(hessian, right, iterations, tolerance)
        change = solution[0] @ items.t() + users @ solution[1].t()
        return -change * (alpha * residual - weight), *[None] * 6


def conjugate_gradient(
    multiply: Callable[[Factors], Factors], right: Factors, iterations: int, tolerance: float
) -> Factors:
    """The solution of ``multiply(x) = right`` for pairs of factors."""
    found = torch.zeros_like(right[0]), torch.zeros_like(right[1])
    residual, direction = right, right
    square = _dot(residual, residual)
    target = tolerance**2 * square
    for _ in range(iterations):
        if not bool(square > target):
            break
        product = multiply(direction)
        step = square / _dot(direction, product)
        found = _add(found, step, direction)
        residual = _add(residual, -step, product)
        before, square = square, _dot(residual, residual)
        direction = _add(residual, square / before, direction)
    return found


def _dot(one: Factors, other: Factors) -> Tensor:
    return (one[0] * other[0]).sum() + (one[1] * other[1]).sum()


def _add(one: Factors, scale: Tensor, other: Factors) -> Factors:
    return one[0] + scale * other[0], one[1] + scale * other[1]
