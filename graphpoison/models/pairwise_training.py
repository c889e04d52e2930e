"""Training of models that score single pairs, with the log loss in closed form."""

from collections.abc import Callable

import torch

from .all_pairs_loss import Tiles
from .log_loss import Blocks
from .prepared import Params
from .tower_loss import Towers
from .training import Cotangents, Linearisation, Training, as_leaves, vjp


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
        return self.linearise(coordinates).gradient

    def linearise(self, coordinates: Params) -> Linearisation:
        if self.sides is None:
            return self.space.point(*coordinates)
        return _SidesPoint(self.space, self.sides, coordinates)

    def params(self, coordinates: Params) -> Params:
        return coordinates

    def params_reverse(self, coordinates: Params, cotangents: Params) -> tuple[Params, Cotangents]:
        return cotangents, (None,)

    def pull_back(self, cotangents: Cotangents) -> Cotangents:
        return cotangents


class _SidesPoint(Linearisation):
    r"""The field at coordinates c of which the sides are a function S.

    With g the field of the sides and J the derivative of S, it is :math:`J^\top g`. Its derivative
    in a direction :math:`\dot c` needs that of g in the direction :math:`J \dot c` alone:

    .. math::
        J^\top \, \nabla g \, (J \dot c) + \nabla_c \langle g, J \dot c \rangle
    """

    def __init__(
        self,
        space: Blocks | Tiles | Towers,
        function: Callable[[Params], Params],
        coordinates: Params,
    ) -> None:
        self.function, self.leaves = function, as_leaves(coordinates)
        with torch.enable_grad():
            self.sides = function(self.leaves)
        self.point = space.point(*map(torch.detach, self.sides))

    @property
    def gradient(self) -> Params:
        return torch.autograd.grad(self.sides, self.leaves, self.point.gradient, retain_graph=True)

    def reverse(self, cotangents: Params) -> tuple[Params, Cotangents]:
        with torch.enable_grad():
            _, change, *_ = torch.func.jvp(
                lambda *leaves: self.function(leaves), self.leaves, cotangents
            )
        gradient, derivative, on_tensors = self.point.both(tuple(map(torch.detach, change)))
        back = vjp((*self.sides, *change), self.leaves, (*derivative, *gradient))
        return back, on_tensors
