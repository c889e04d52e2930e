r"""Training of dot-product link predictors with the log loss, in closed form.

With scores :math:`s_e = \langle A_u, B_i \rangle` of the M listed pairs e = (u, i), labels y and
:math:`g_e = (\sigma(s_e) - y_e) / M`, the loss has the gradients

.. math::
    \nabla_A = G B, \qquad \nabla_B = G^\top A

where ``G`` is the sparse matrix of g. Its derivative in a direction :math:`(\dot A, \dot B)` needs
nothing but the same two products: with :math:`\dot s = \langle \dot A_u, B_i \rangle + \langle A_u,
\dot B_i \rangle` and :math:`h = \sigma'(s) \dot s / M`, it is :math:`(H B + G \dot B, H^\top A +
G^\top \dot A)`, and :math:`-\dot s / M` for the labels.
"""

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from ..graph import Pattern
from ..graph.sparse import product, sddmm, transpose_values, transposed_product
from .prepared import Params
from .training import AutogradLinearisation, Cotangents, Linearisation, Training, as_leaves

Factors = Callable[[Params], tuple[Tensor, Tensor]]


class DotProductTraining(Training):
    """The mean log loss of ``pattern`` with ``labels``; coordinates are the parameters.

    Args:
        pattern: the M training pairs.
        labels: Tensor [M], soft labels.
        factors: maps parameters to ``A`` [U, D] and ``B`` [I, D]; None where they are the
            parameters themselves.
    """

    def __init__(self, pattern: Pattern, labels: Tensor, factors: Factors | None = None) -> None:
        self.pattern = pattern
        self.labels = labels.detach()
        self.factors = factors
        self.tensors = (self.labels,)

    def coordinates(self, params: Params) -> Params:
        return params

    def gradient(self, coordinates: Params) -> Params:
        if self.factors is None:
            return LogLoss(self.pattern, self.labels, *coordinates).gradient
        leaves = as_leaves(coordinates)
        with torch.enable_grad():
            sides = self.factors(leaves)
        on_sides = LogLoss(self.pattern, self.labels, *map(torch.detach, sides)).gradient
        return torch.autograd.grad(sides, leaves, on_sides)

    def linearise(self, coordinates: Params) -> Linearisation:
        if self.factors is None:
            return LogLoss(self.pattern, self.labels, *coordinates)
        leaves, (labels,) = as_leaves(coordinates), as_leaves((self.labels,))
        with torch.enable_grad():
            sides = self.factors(leaves)
            on_sides = _LogLossGradient.apply(self.pattern, labels, *sides)
            field = torch.autograd.grad(sides, leaves, on_sides, create_graph=True)
        return AutogradLinearisation(field, leaves, (labels,))

    def params(self, coordinates: Params) -> Params:
        return coordinates

    def params_reverse(self, coordinates: Params, cotangents: Params) -> tuple[Params, Cotangents]:
        return cotangents, (None,)

    def pull_back(self, cotangents: Cotangents) -> Cotangents:
        return cotangents


class LogLoss(Linearisation):
    """The field at ``A = left`` [U, D], ``B = right`` [I, D]; see above."""

    def __init__(self, pattern: Pattern, labels: Tensor, left: Tensor, right: Tensor) -> None:
        self.pattern, self.left, self.right = pattern, left, right
        self.probability = sddmm(pattern, left, right).sigmoid_()
        self.residual = torch.sub(self.probability, labels).div_(labels.numel())

    @cached_property
    def _transposed_residual(self) -> Tensor:
        return transpose_values(self.pattern, self.residual)

    @property
    def gradient(self) -> tuple[Tensor, Tensor]:
        """``(G B, G^T A)``."""
        on_left = product(self.pattern, self.residual, self.right)
        return on_left, transposed_product(self.pattern, self._transposed_residual, self.left)

    def reverse(self, cotangents: Params) -> tuple[Params, Cotangents]:
        """Cotangents of A and B, and of the labels."""
        pattern, left, right = self.pattern, self.left, self.right
        on_left, on_right = cotangents
        change = sddmm(pattern, torch.cat([on_left, left], 1), torch.cat([right, on_right], 1))
        change.div_(-change.numel())  # the labels' cotangent, -s' / M
        curvature = torch.addcmul(
            self.probability, self.probability, self.probability, value=-1.0
        ).mul_(change)
        back_left = product(pattern, self.residual, on_right)
        product(pattern, curvature, right, out=back_left, alpha=-1.0)
        back_right = transposed_product(pattern, self._transposed_residual, on_left)
        curvature = transpose_values(pattern, curvature)
        transposed_product(pattern, curvature, left, out=back_right, alpha=-1.0)
        return (back_left, back_right), (change,)


class _LogLossGradient(torch.autograd.Function):
    """The field of :class:`LogLoss`, differentiable once."""

    @staticmethod
    def forward(ctx, pattern, labels, left, right):  # type: ignore[no-untyped-def]
        ctx.point = LogLoss(pattern, labels.detach(), left.detach(), right.detach())
        return ctx.point.gradient

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, on_left, on_right):  # type: ignore[no-untyped-def]
        (back_left, back_right), (back_labels,) = ctx.point.reverse((on_left, on_right))
        return None, back_labels, back_left, back_right
