r"""The exact meta-gradient, from stored iterates instead of a stored computation graph.

Training is run forwards once, keeping only the iterates. Then, from the last step to the first, the
adjoint of each step is taken:

.. math::
    \lambda_t = (\partial \Phi / \partial \theta)^\top \lambda_{t+1}, \qquad
    \frac{dL}{dw} \mathrel{+}= (\partial \Phi / \partial w)^\top \lambda_{t+1}

The adjoint of the training gradient is a closed form where the model has one, else autograd on the
graph of that one step. The result equals differentiation through the whole unrolled run (Zügner and
Günnemann 2019, equation 4; thesis, section 3.6). Memory holds the iterates (2 sqrt(T) of them if T
is large) and the graph of one step.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from .._checks import positive_int
from .._ranks import Ranks
from ..graphs import PairState
from ..tasks import Task
from ..training import Params, Training
from ..training.divergence import adjoint_diverged, finite
from ..training.field import Cotangents, accumulate
from ..training.iterates import Iterate, Iterates
from ..training.run import Run
from .base import Hypergradient, direct_gradient, meta_gradient
from .meta_gradient import MetaGradient

OnIterate = tuple[Params, Cotangents]
"""Cotangents of the coordinates and of the field's tensors."""


@dataclass(frozen=True)
class Unrolled(Hypergradient):
    r"""Differentiate through all updates of training.

    Args:
        stops: numbers of steps; the attack loss is the mean over the parameters after these steps,
            :math:`\frac{1}{S} \sum_s L(\theta_{t_s}, w)`. The last one must be the number of
            training steps. () for the end of training only. A victim may stop anywhere: flips that
            hurt at several stops depend less on the length of training.

    Raises:
        TypeError, ValueError: the stops are not increasing integers from 1 on, or the last one is
            not the number of training steps.
        FloatingPointError: training or its derivative is not finite; the message names the step.
    """

    stops: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        stops = tuple(positive_int("stops", stop) for stop in self.stops)
        if any(stop >= after for stop, after in pairwise(stops)):
            raise ValueError(f"stops must increase, found {stops}.")
        object.__setattr__(self, "stops", stops)

    def refuse(self, training: Training) -> None:
        if self.stops and self.stops[-1] != training.steps:
            raise ValueError(
                f"the last of stops={self.stops} must be the number of training steps, found "
                f"steps={training.steps}."
            )

    def through(
        self, task: Task[Any], training: Training, state: PairState, params: Params
    ) -> MetaGradient:
        self.refuse(training)
        prepared = task.prepare(state)
        field = task.training_field(prepared, params, training.inner.linear)
        if training.inner.entrywise:
            field = field.over_ranks(params)
        run = Run.of(training, field, params)
        iterates, stopped = self._run(run, task.ranks)
        losses: list[Tensor] = []
        on_prepared: Cotangents = (None,) * len(prepared.tensors)
        on_stops: dict[int, OnIterate] = {}
        for count, coordinates in stopped.items():
            trained = field.params(coordinates)
            loss, on_params, direct = direct_gradient(task, trained, prepared, 1 / len(stopped))
            losses.append(loss)
            with torch.no_grad():
                on_prepared = accumulate(on_prepared, direct)
                on_stops[count] = field.params_vjp(coordinates, on_params)
        loss = torch.stack(losses).mean()
        walk = partial(_backwards, run, iterates, on_stops)
        with torch.no_grad():
            _, on_start, on_tensors = deque(walk(), maxlen=1).pop()
            on_prepared = accumulate(field.tensors_vjp(on_tensors), on_prepared)
            is_finite = finite((loss,), on_start, on_prepared)
            if field.ranks.any(not is_finite, loss.device):
                raise adjoint_diverged(float(loss), walk(), run.count, task.ranks)
        return meta_gradient(task, state, prepared, on_prepared, loss, trained)

    def loss(self, task: Task[Any], training: Training, state: PairState, params: Params) -> float:
        if not self.stops or task.is_closed_form:
            return super().loss(task, training, state, params)
        prepared = task.prepare(state)
        field = task.training_field(prepared, params, training.inner.linear)
        _, stopped = self._run(Run.of(training, field, params), task.ranks)
        with torch.no_grad():
            losses = [task.attack_loss(field.params(end), prepared) for end in stopped.values()]
        return float(torch.stack(losses).mean())

    def _run(self, run: Run, ranks: Ranks) -> tuple[Iterates, dict[int, Params]]:
        """All iterates, and the coordinates after each stop and after the last step."""
        stopped: dict[int, Params] = {}

        def step(before: Iterate) -> Iterate:
            after = run.recorded_step(before)
            if self.stops and (count := int(after[1][0])) in self.stops:
                stopped[count] = after[0]
            return after

        iterates = Iterates.run(step, run.recorded_start, run.count, ranks)
        run.refuse_divergence(iterates.last)
        stopped[run.count] = iterates.last[0]
        return iterates, stopped


def _backwards(
    run: Run, iterates: Iterates, on_stops: Mapping[int, OnIterate]
) -> Iterator[tuple[int, Params, Cotangents]]:
    """Yields, from the last step to the first, its number and the cotangents before it."""
    following = iterates.last[1]
    on_coordinates, on_end_tensors = on_stops[run.count]
    on_tensors = accumulate((None,) * len(on_end_tensors), on_end_tensors)
    on_state = tuple(map(torch.zeros_like, run.state(following)))
    for before, recorded in iterates.backwards():
        before_state = run.state(recorded)
        number, gradient = int(before_state[0]), following[len(before_state) :]
        following = recorded
        point = run.field.at_step(number).linearise(before)
        direct, on_gradient, on_state = run.inner.adjoint(
            before, gradient, before_state, on_coordinates, on_state
        )
        through, on_weights = point.vjp(on_gradient)
        on_coordinates = tuple(map(torch.add, direct, through))
        on_tensors = accumulate(on_tensors, on_weights)
        if number in on_stops:
            on_end, on_end_tensors = on_stops[number]
            on_coordinates = tuple(map(torch.add, on_coordinates, on_end))
            on_tensors = accumulate(on_tensors, on_end_tensors)
        yield number + 1, on_coordinates, on_tensors
