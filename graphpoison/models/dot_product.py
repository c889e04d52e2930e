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

import torch
from torch import Tensor

from ..graph import Pattern
from ..graph.sparse import Sampler, product, transpose_values, transposed_product
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
        self.space = Workspace(pattern, self.labels)

    def coordinates(self, params: Params) -> Params:
        return params

    def gradient(self, coordinates: Params) -> Params:
        if self.factors is None:
            return self._point(*coordinates).gradient
        leaves = as_leaves(coordinates)
        with torch.enable_grad():
            sides = self.factors(leaves)
        on_sides = self._point(*map(torch.detach, sides)).gradient
        return torch.autograd.grad(sides, leaves, on_sides)

    def _point(self, left: Tensor, right: Tensor) -> "LogLoss":
        return LogLoss(self.pattern, self.labels, left, right, self.space)

    def linearise(self, coordinates: Params) -> Linearisation:
        if self.factors is None:
            return self._point(*coordinates)
        leaves, (labels,) = as_leaves(coordinates), as_leaves((self.labels,))
        with torch.enable_grad():
            sides = self.factors(leaves)
            on_sides = _LogLossGradient.apply(self.pattern, self.space, labels, *sides)
            field = torch.autograd.grad(sides, leaves, on_sides, create_graph=True)
        return AutogradLinearisation(field, leaves, (labels,))

    def params(self, coordinates: Params) -> Params:
        return coordinates

    def params_reverse(self, coordinates: Params, cotangents: Params) -> tuple[Params, Cotangents]:
        return cotangents, (None,)

    def pull_back(self, cotangents: Cotangents) -> Cotangents:
        return cotangents


class Workspace:
    """Buffers of one number for each pair, written anew at every step.

    Fresh memory of this size costs more to map than the arithmetic on it does.
    """

    def __init__(self, pattern: Pattern, like: Tensor) -> None:
        self.scores = Sampler(pattern, like)
        self.changes = Sampler(pattern, like)
        self.residual = torch.empty_like(like)
        self.transposed_residual = torch.empty_like(like)
        self.curvature = torch.empty_like(like)
        self.transposed_curvature = torch.empty_like(like)


class LogLoss(Linearisation):
    """The field at ``A = left`` [U, D], ``B = right`` [I, D]; see above.

    Valid until ``space`` is used for another point.
    """

    def __init__(
        self, pattern: Pattern, labels: Tensor, left: Tensor, right: Tensor, space: Workspace
    ) -> None:
        self.pattern, self.left, self.right, self.space = pattern, left, right, space
        self.probability = space.scores(left, right).sigmoid_()
        torch.sub(self.probability, labels, out=space.residual).div_(labels.numel())
        transpose_values(pattern, space.residual, out=space.transposed_residual)

    @property
    def gradient(self) -> tuple[Tensor, Tensor]:
        """``(G B, G^T A)``."""
        on_left = product(self.pattern, self.space.residual, self.right)
        return on_left, transposed_product(self.pattern, self.space.transposed_residual, self.left)

    def reverse(self, cotangents: Params) -> tuple[Params, Cotangents]:
        """Cotangents of A and B, and of the labels."""
        pattern, left, right, space = self.pattern, self.left, self.right, self.space
        on_left, on_right = cotangents
        space.changes(on_left, right)
        change = space.changes(left, on_right, add=True)
        change.div_(-change.numel())  # the labels' cotangent, -s' / M
        probability = self.probability
        torch.addcmul(probability, probability, probability, value=-1.0, out=space.curvature)
        space.curvature.mul_(change)
        transpose_values(pattern, space.curvature, out=space.transposed_curvature)
        back_left = product(pattern, space.residual, on_right)
        back_left.sub_(product(pattern, space.curvature, right))
        back_right = transposed_product(pattern, space.transposed_residual, on_left)
        back_right.sub_(transposed_product(pattern, space.transposed_curvature, left))
        return (back_left, back_right), (change,)


class _LogLossGradient(torch.autograd.Function):
    """The field of :class:`LogLoss`, differentiable once."""

    @staticmethod
    def forward(ctx, pattern, space, labels, left, right):  # type: ignore[no-untyped-def]
        ctx.point = LogLoss(pattern, labels.detach(), left.detach(), right.detach(), space)
        return ctx.point.gradient

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, on_left, on_right):  # type: ignore[no-untyped-def]
        (back_left, back_right), (back_labels,) = ctx.point.reverse((on_left, on_right))
        return None, None, back_labels, back_left, back_right
