r"""The exact meta-gradient, from stored iterates instead of a stored computation graph.

Training is run forwards once, keeping only the iterates. Then, from the last step to the first, the
graph of a single step is rebuilt and

.. math::
    \lambda_t = (\partial \Phi / \partial \theta)^\top \lambda_{t+1}, \qquad
    \frac{dL}{dw} \mathrel{+}= (\partial \Phi / \partial w)^\top \lambda_{t+1}

is taken. The result is that of differentiating through the whole unrolled run (Zügner and
Günnemann 2019, equation 4; thesis, section 3.6), while memory holds the iterates, or 2 sqrt(T) of
them where T are many, and the graph of one step.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch

from ..graph import PairState
from ..models import Params
from ..models.training import Cotangents, Training, accumulate
from ..tasks import Task
from .divergence import adjoint_diverged, finite
from .iterates import Iterates
from .meta_gradient import MetaGradient
from .training_run import TrainingRun, explicit, meta_gradient


@dataclass(frozen=True)
class Unrolled(TrainingRun):
    """Differentiate through ``steps`` full-batch updates of the surrogate.

    Args:
        steps: number of updates, T.
        lr: step size.
        momentum: heavy-ball momentum of gradient descent.
        optimizer: ``"sgd"`` or ``"adam"``.
        weight_decay: L2 penalty, added to the gradient.
        clip: the largest norm of the gradient, all parameters together and before weight decay, at
            each step; longer gradients are shortened to it. None leaves them as they are.

    Raises:
        ValueError: a setting out of range; momentum together with Adam.
        FloatingPointError: training or its derivative is not finite; names the step.
    """

    def at(self, task: Task, state: PairState, params: Params) -> MetaGradient:
        prepared = task.prepare(state)
        training = task.training(prepared, params, linear=self._inner.linear)
        steps = self._steps(training, params)
        iterates = Iterates.run(steps.step, steps.start, self.steps)
        steps.refuse_divergence(iterates.last)
        trained = training.params(iterates.last[0])
        loss, on_params, on_prepared = explicit(task, trained, prepared)
        walk = partial(self._backwards, training, iterates, on_params)
        with torch.no_grad():
            _, on_start, on_tensors = deque(walk(), maxlen=1).pop()
            on_prepared = accumulate(training.pull_back(on_tensors), on_prepared)
            if not finite((loss,), on_start, on_prepared):
                raise adjoint_diverged(float(loss), walk(), self.steps)
        return meta_gradient(task, state, prepared, on_prepared, loss, trained)

    def _backwards(
        self, training: Training, iterates: Iterates, on_params: Params
    ) -> Iterator[tuple[int, Params, Cotangents]]:
        """From the last step to the first: its number, and the cotangents before it."""
        inner, (coordinates, optimizer_state) = self._inner, iterates.last
        on_coordinates, on_tensors = training.params_reverse(coordinates, on_params)
        on_state = tuple(torch.zeros_like(tensor) for tensor in optimizer_state)
        for before, before_state in iterates.backwards():
            number = int(before_state[0])
            point = training.at_step(number).linearise(before)
            field = point.gradient if inner.needs_gradient else ()
            direct, on_field, on_state = inner.adjoint(
                before, field, before_state, on_coordinates, on_state
            )
            through, on_weights = point.reverse(on_field)
            on_coordinates = tuple(map(torch.add, direct, through))
            on_tensors = accumulate(on_tensors, on_weights)
            yield number + 1, on_coordinates, on_tensors
