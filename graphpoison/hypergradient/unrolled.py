r"""The exact meta-gradient, from stored iterates instead of a stored computation graph.

Training is run forwards once, keeping only the iterates. Then, from the last step to the first, the
adjoint of each step is taken:

.. math::
    \lambda_t = (\partial \Phi / \partial \theta)^\top \lambda_{t+1}, \qquad
    \frac{dL}{dw} \mathrel{+}= (\partial \Phi / \partial w)^\top \lambda_{t+1}

The adjoint of the training gradient is a closed form where the model has one, else autograd on the
graph of that one step. The result equals differentiation through the whole unrolled run (Zügner and
Günnemann 2019, equation 4; thesis, section 3.6), while memory holds the iterates, or 2 sqrt(T) of
them where T are many, and the graph of one step.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from ..graphs import PairState
from ..tasks import Task
from ..training import Params, Training
from ..training.divergence import adjoint_diverged, finite
from ..training.field import Cotangents, accumulate
from ..training.iterates import Iterates
from ..training.run import Run
from .base import Hypergradient, direct_gradient, meta_gradient
from .meta_gradient import MetaGradient


@dataclass(frozen=True)
class Unrolled(Hypergradient):
    """Differentiate through all updates of training.

    Raises:
        FloatingPointError: training or its derivative is not finite; names the step.
    """

    def through(
        self, task: Task[Any], training: Training, state: PairState, params: Params
    ) -> MetaGradient:
        prepared = task.prepare(state)
        field = task.training_field(prepared, params, training.inner.linear)
        run = Run.of(training, field, params)
        iterates = Iterates.run(run.step, run.start, run.count)
        run.refuse_divergence(iterates.last)
        trained = field.params(iterates.last[0])
        loss, on_params, on_prepared = direct_gradient(task, trained, prepared)
        walk = partial(_backwards, run, iterates, on_params)
        with torch.no_grad():
            _, on_start, on_tensors = deque(walk(), maxlen=1).pop()
            on_prepared = accumulate(field.tensors_vjp(on_tensors), on_prepared)
            if not finite((loss,), on_start, on_prepared):
                raise adjoint_diverged(float(loss), walk(), run.count)
        return meta_gradient(task, state, prepared, on_prepared, loss, trained)


def _backwards(
    run: Run, iterates: Iterates, on_params: Params
) -> Iterator[tuple[int, Params, Cotangents]]:
    """From the last step to the first: its number, and the cotangents before it."""
    inner, (coordinates, optimizer_state) = run.inner, iterates.last
    on_coordinates, on_tensors = run.field.params_vjp(coordinates, on_params)
    on_state = tuple(torch.zeros_like(tensor) for tensor in optimizer_state)
    for before, before_state in iterates.backwards():
        number = int(before_state[0])
        point = run.field.at_step(number).linearise(before)
        gradient = point.gradient if inner.needs_gradient else ()
        direct, on_gradient, on_state = inner.adjoint(
            before, gradient, before_state, on_coordinates, on_state
        )
        through, on_weights = point.vjp(on_gradient)
        on_coordinates = tuple(map(torch.add, direct, through))
        on_tensors = accumulate(on_tensors, on_weights)
        yield number + 1, on_coordinates, on_tensors
