"""Solvers of linear systems with a symmetric matrix that is given by its products with vectors."""

from collections.abc import Callable

import torch
from torch import Tensor

Multiply = Callable[[Tensor], Tensor]
"""Maps a vector [P] to the product [P] of a symmetric matrix with it."""


def conjugate_gradient(
    multiply: Multiply, right: Tensor, iterations: int, tolerance: float
) -> Tensor:
    """An approximate solution [P] by conjugate gradients (Hestenes and Stiefel 1952).

    It stops after ``iterations`` products, when the norm of the residual is at most ``tolerance``
    times the norm of ``right``, or at a direction of non-positive curvature, if the matrix is not
    positive definite. The matrix may be singular if ``right`` is in its range.
    """
    solution, residual = torch.zeros_like(right), right
    direction, square = residual, residual.dot(residual)
    enough = tolerance**2 * square
    for _ in range(iterations):
        if square <= enough:
            break
        product = multiply(direction)
        curvature = direction.dot(product)
        if curvature <= 0:
            break
        length = square / curvature
        solution = solution + length * direction
        residual = residual - length * product
        square, before = residual.dot(residual), square
        direction = residual + square / before * direction
    return solution


def neumann_series(
    multiply: Multiply, right: Tensor, iterations: int, tolerance: float, step: float
) -> Tensor:
    r"""The first terms of the Neumann series, a vector [P]:

    .. math:: \eta \sum_{k} (I - \eta H)^k b

    with :math:`\eta` = ``step``. The series converges if all eigenvalues of the matrix lie between
    0 and :math:`2 / \eta`. It stops at the tolerance, or after ``iterations`` products.
    """
    solution, residual = torch.zeros_like(right), right
    enough = tolerance * right.norm()
    for _ in range(iterations):
        if residual.norm() <= enough:
            break
        solution = solution + step * residual
        residual = right - multiply(solution)
    return solution


def relative_residual(multiply: Multiply, solution: Tensor, right: Tensor) -> float:
    """The norm of the residual, as a share of the norm of ``right``; 0 if ``right`` is 0."""
    scale = right.norm()
    if not scale > 0:
        return 0.0
    return float((right - multiply(solution)).norm() / scale)
