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

from dataclasses import dataclass

import torch

from ..graph import PairState
from ..models import Params
from ..models.training import accumulate
from ..tasks import Task
from .meta_gradient import MetaGradient
from .training_run import TrainingRun, explicit, filled, refuse_non_finite


@dataclass(frozen=True)
class Unrolled(TrainingRun):
    """Differentiate through ``steps`` full-batch updates of the surrogate.

    Args:
        steps: number of updates, T.
        lr: step size.
        momentum: heavy-ball momentum of gradient descent.
        optimizer: ``"sgd"`` or ``"adam"``.
        weight_decay: L2 penalty, added to the gradient.

    Raises:
        ValueError: a setting out of range; momentum together with Adam.
        FloatingPointError: training or its derivative is not finite (lower ``lr``).
    """

    def at(self, task: Task, state: PairState, params: Params) -> MetaGradient:
        prepared = task.prepare(state)
        training = task.training(prepared, params, linear=self._inner.linear)
        iterates = self._run(training, params)
        coordinates, optimizer_state = iterates.last
        trained = training.params(coordinates)
        loss, on_params, on_prepared = explicit(task, trained, prepared)
        on_coordinates, on_tensors = training.params_reverse(coordinates, on_params)
        on_state = tuple(torch.zeros_like(tensor) for tensor in optimizer_state)
        with torch.no_grad():
            for before, before_state in iterates.backwards():
                point = training.linearise(before)
                field = point.gradient if self._inner.needs_gradient else ()
                direct, on_field, on_state = self._inner.adjoint(
                    before, field, before_state, on_coordinates, on_state
                )
                through, on_weights = point.reverse(on_field)
                on_coordinates = tuple(map(torch.add, direct, through))
                on_tensors = accumulate(on_tensors, on_weights)
            on_prepared = accumulate(training.pull_back(on_tensors), on_prepared)
        gradient = task.pull_back(prepared, filled(on_prepared, prepared.tensors))
        result = MetaGradient(float(loss), trained, state, gradient)
        refuse_non_finite(result, on_prepared)
        return result
