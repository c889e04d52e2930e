"""A training run: the updates of an optimiser along a field."""

from dataclasses import dataclass

import torch

from .divergence import finite, training_diverged
from .field import TrainingField
from .iterates import Iterate
from .optimizers import InnerOptimizer
from .prepared import Params
from .settings import Training


@dataclass(frozen=True, eq=False)
class Run:
    """``count`` updates by ``inner`` along ``field``, the first from ``start``."""

    field: TrainingField
    inner: InnerOptimizer
    start: Iterate
    count: int

    @classmethod
    def of(cls, training: Training, field: TrainingField, params: Params) -> "Run":
        """The run of ``training`` along ``field`` from ``params``."""
        coordinates, inner = field.coordinates(params), training.inner
        return cls(field, inner, (coordinates, inner.init(coordinates)), training.steps)

    @torch.no_grad()
    def step(self, before: Iterate) -> Iterate:
        """The next iterate."""
        coordinates, state = before
        return self.inner.step(coordinates, self.gradient(before), state)

    @property
    def recorded_start(self) -> Iterate:
        """The first iterate for :meth:`recorded_step`."""
        coordinates, state = self.start
        return coordinates, (*state, *map(torch.zeros_like, self._recorded(coordinates)))

    @torch.no_grad()
    def recorded_step(self, before: Iterate) -> Iterate:
        """The next iterate. Its state ends with the gradient of this step, if the adjoint of the
        step uses the gradient."""
        coordinates, state = before[0], self.state(before[1])
        gradient = self.gradient((coordinates, state))
        coordinates, state = self.inner.step(coordinates, gradient, state)
        return coordinates, (*state, *self._recorded(gradient))

    def state(self, recorded: Params) -> Params:
        """The optimiser's state, without the gradient that follows it in a recorded state."""
        return recorded[: len(self.start[1])]

    def _recorded(self, gradient: Params) -> Params:
        return gradient if self.inner.needs_gradient else ()

    @torch.no_grad()
    def gradient(self, before: Iterate) -> Params:
        """The gradient that the update of the iterate ``before`` uses."""
        coordinates, state = before
        return self.field.at_step(int(state[0])).gradient(coordinates)

    def train(self) -> Params:
        """The parameters after all updates.

        Raises:
            FloatingPointError: training diverged; the message names the step.
        """
        current = self.start
        for _ in range(self.count):
            current = self.step(current)
        self.refuse_divergence(current)
        return self.field.params(current[0])

    def refuse_divergence(self, last: Iterate) -> None:
        """Raise a FloatingPointError that names the step if ``last`` is not finite."""
        ranks = self.field.ranks
        if ranks.any(not finite(*last), last[0][0].device):
            raise training_diverged(self.step, self._whole_gradient, self.start, self.count, ranks)

    def _whole_gradient(self, before: Iterate) -> Params:
        """:meth:`gradient`, from all ranks that hold parts of it."""
        gradient = self.gradient(before)
        return gradient if self.field.ranks.size == 1 else self.field.params(gradient)
