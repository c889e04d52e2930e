"""Training of link predictors whose scores are dot products, with the log loss in closed form."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..graph import Pattern
from .log_loss import Blocks, LogLoss
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
        self.labels = labels.detach()
        self.factors = factors
        self.tensors = (self.labels,)
        self.space = Blocks(pattern, self.labels)

    def coordinates(self, params: Params) -> Params:
        return params

    def gradient(self, coordinates: Params) -> Params:
        if self.factors is None:
            return LogLoss(self.space, *coordinates).gradient
        leaves = as_leaves(coordinates)
        with torch.enable_grad():
            sides = self.factors(leaves)
        on_sides = LogLoss(self.space, *map(torch.detach, sides)).gradient
        return torch.autograd.grad(sides, leaves, on_sides)

    def linearise(self, coordinates: Params) -> Linearisation:
        if self.factors is None:
            return LogLoss(self.space, *coordinates)
        leaves, (labels,) = as_leaves(coordinates), as_leaves((self.labels,))
        with torch.enable_grad():
            sides = self.factors(leaves)
            on_sides = _LogLossGradient.apply(self.space, labels, *sides)
            field = torch.autograd.grad(sides, leaves, on_sides, create_graph=True)
        return AutogradLinearisation(field, leaves, (labels,))

    def params(self, coordinates: Params) -> Params:
        return coordinates

    def params_reverse(self, coordinates: Params, cotangents: Params) -> tuple[Params, Cotangents]:
        return cotangents, (None,)

    def pull_back(self, cotangents: Cotangents) -> Cotangents:
        return cotangents


class _LogLossGradient(torch.autograd.Function):
    """The field of :class:`LogLoss`, differentiable once; the labels are those of ``space``."""

    @staticmethod
    def forward(ctx, space, labels, left, right):  # type: ignore[no-untyped-def]
        ctx.point = LogLoss(space, left.detach(), right.detach())
        return ctx.point.gradient

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, on_left, on_right):  # type: ignore[no-untyped-def]
        (back_left, back_right), (back_labels,) = ctx.point.reverse((on_left, on_right))
        return None, back_labels, back_left, back_right
