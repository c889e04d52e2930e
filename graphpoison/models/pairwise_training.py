"""Training of models that score single pairs, with the log loss in closed form."""

from collections.abc import Callable

import torch

from .all_pairs_loss import Tiles
from .log_loss import Blocks
from .prepared import Params
from .tower_loss import Towers
from .training import AutogradLinearisation, Cotangents, Linearisation, Training, as_leaves


class PairwiseTraining(Training):
    """The mean log loss of pairs; coordinates are the parameters.

    Args:
        space: the training pairs with their labels.
        sides: maps parameters to what pairs are scored from, see
            :class:`~graphpoison.models.pair_scores.PairScores`; None where they are that.
    """

    def __init__(
        self, space: Blocks | Tiles | Towers, sides: Callable[[Params], Params] | None = None
    ) -> None:
        self.space = space
        self.sides = sides
        self.tensors = (space.labels,)

    def coordinates(self, params: Params) -> Params:
        return params

    def gradient(self, coordinates: Params) -> Params:
        if self.sides is None:
            return self.space.point(*coordinates).gradient
        leaves = as_leaves(coordinates)
        with torch.enable_grad():
            sides = self.sides(leaves)
        on_sides = self.space.point(*map(torch.detach, sides)).gradient
        return torch.autograd.grad(sides, leaves, on_sides)

    def linearise(self, coordinates: Params) -> Linearisation:
        if self.sides is None:
            return self.space.point(*coordinates)
        leaves, (labels,) = as_leaves(coordinates), as_leaves(self.tensors)
        with torch.enable_grad():
            sides = self.sides(leaves)
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
    """The field at some sides, differentiable once; the labels are those of ``space``."""

    @staticmethod
    def forward(ctx, space, labels, *sides):  # type: ignore[no-untyped-def]
        ctx.point = space.point(*map(torch.detach, sides))
        return ctx.point.gradient

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, *on_sides):  # type: ignore[no-untyped-def]
        back, (back_labels,) = ctx.point.reverse(on_sides)
        return None, back_labels, *back
