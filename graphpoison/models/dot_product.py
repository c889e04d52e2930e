"""Training of link predictors whose scores are dot products, with the log loss in closed form."""

from collections.abc import Callable

import torch
from torch import Tensor

from .all_pairs_loss import Tiles
from .log_loss import Blocks
from .prepared import Params
from .training import AutogradLinearisation, Cotangents, Linearisation, Training, as_leaves

Factors = Callable[[Params], tuple[Tensor, Tensor]]


class DotProductTraining(Training):
    """The mean log loss of dot products; coordinates are the parameters.

    Args:
        space: the training pairs with their labels.
        factors: maps parameters to ``A`` [U, D] and ``B`` [I, D]; None where they are the
            parameters themselves.
    """

    def __init__(self, space: Blocks | Tiles, factors: Factors | None = None) -> None:
        self.space = space
        self.factors = factors
        self.tensors = (space.labels,)

    def coordinates(self, params: Params) -> Params:
        return params

    def gradient(self, coordinates: Params) -> Params:
        if self.factors is None:
            return self.space.point(*coordinates).gradient
        leaves = as_leaves(coordinates)
        with torch.enable_grad():
            sides = self.factors(leaves)
        on_sides = self.space.point(*map(torch.detach, sides)).gradient
        return torch.autograd.grad(sides, leaves, on_sides)

    def linearise(self, coordinates: Params) -> Linearisation:
        if self.factors is None:
            return self.space.point(*coordinates)
        leaves, (labels,) = as_leaves(coordinates), as_leaves(self.tensors)
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
    """The field at two sides, differentiable once; the labels are those of ``space``."""

    @staticmethod
    def forward(ctx, space, labels, left, right):  # type: ignore[no-untyped-def]
        ctx.point = space.point(left.detach(), right.detach())
        return ctx.point.gradient

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, on_left, on_right):  # type: ignore[no-untyped-def]
        (back_left, back_right), (back_labels,) = ctx.point.reverse((on_left, on_right))
        return None, back_labels, back_left, back_right
