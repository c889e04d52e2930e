r"""The meta-gradient as if no iterate depended on the one before it.

.. math::
    \nabla_w^{\text{meta}} \approx \sum_t
    \frac{\partial\, \text{attack\_loss}(\tilde\theta_t, w)}{\partial w}

where :math:`\tilde\theta_t` are the iterates of training, detached (thesis, section 3.9 and
Algorithm 3; Zügner and Günnemann 2019, section 4.2, equations 7 and 8). Nothing is walked
backwards, so that no iterate is kept.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .._checks import choice
from ..graph import PairState
from ..models import Params
from ..models.training import Cotangents, accumulate
from ..tasks import Task
from .meta_gradient import MetaGradient
from .training_run import TrainingRun, explicit, meta_gradient


@dataclass(frozen=True)
class Approximate(TrainingRun):
    r"""Sum the explicit gradient of the attack loss over training (Meta-Approx, A-Meta).

    With :class:`~graphpoison.NodeClassification` this is A-Meta-Train, A-Meta-Self or A-Meta-Both
    by the task's objective, lambda being its ``mix``. With a recommender's log loss of M pairs the
    gradient w.r.t. a label is :math:`-\frac{1}{M} \sum_t s_{ui}(\tilde\theta_t)`.

    Args:
        steps: number of updates, T.
        lr: step size.
        momentum: heavy-ball momentum of gradient descent.
        optimizer: ``"sgd"`` or ``"adam"``.
        weight_decay: L2 penalty, added to the gradient.
        clip: the largest norm of the gradient at each step, see :class:`Unrolled`.
        iterates: ``"before"`` each update, :math:`\theta_0, \dots, \theta_{T-1}`, as in Algorithm 3
            of the thesis; or ``"after"`` it, :math:`\theta_1, \dots, \theta_T`, as in the equation
            of its section 3.9 and of the paper.

    Raises:
        ValueError: a setting out of range; momentum together with Adam; the attack loss depends on
            the graph through training alone, so that there is nothing to sum.
        FloatingPointError: training is not finite; names the step.
    """

    iterates: Literal["before", "after"] = "before"

    def __post_init__(self) -> None:
        super().__post_init__()
        choice("iterates", self.iterates, ["before", "after"])

    def at(self, task: Task, state: PairState, params: Params) -> MetaGradient:
        prepared = task.prepare(state)
        training = task.training(prepared, params, linear=self._inner.linear)
        steps = self._steps(training, params)
        current = steps.start
        total: Cotangents = (None,) * len(prepared.tensors)
        for _ in range(self.steps):
            following = steps.step(current)
            chosen = current if self.iterates == "before" else following
            total = accumulate(total, explicit(task, training.params(chosen[0]), prepared)[2])
            current = following
        steps.refuse_divergence(current)
        trained = training.params(current[0])
        with torch.no_grad():
            loss = task.attack_loss(trained, prepared.detached(requires_grad=False))
        found = meta_gradient(task, state, prepared, total, loss, trained)
        if isinstance(found.gradient, Tensor) and not bool(found.gradient.any()):
            raise ValueError(
                f"{task.describe()} has an attack loss that depends on the graph through training "
                "alone, which Approximate leaves out; use objective='train' or Unrolled."
            )
        return found
