r"""The approximate meta-gradient: each iterate is treated as a constant.

.. math::
    \nabla_w^{\text{meta}} \approx \sum_t
    \frac{\partial\, \text{attack\_loss}(\tilde\theta_t, w)}{\partial w}

where :math:`\tilde\theta_t` are the iterates of training, detached (thesis, section 3.9 and
Algorithm 3; Zügner and Günnemann 2019, section 4.2, equations 7 and 8). There is no reverse pass,
so that no iterate is stored.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from .._checks import choice
from ..graphs import PairState
from ..tasks import Task
from ..training import Params, Training
from ..training.field import Cotangents, accumulate
from ..training.run import Run
from .base import Hypergradient, VanishedGradientError, direct_gradient, meta_gradient
from .meta_gradient import MetaGradient


@dataclass(frozen=True)
class Approximate(Hypergradient):
    r"""Sum the direct gradient of the attack loss over training (Meta-Approx, A-Meta).

    With :class:`~graphpoison.NodeClassification` the task's objective selects A-Meta-Train,
    A-Meta-Self or A-Meta-Both; lambda is ``mix``. With a recommender's log loss of M pairs, the
    gradient w.r.t. a label is :math:`-\frac{1}{M} \sum_t s_{ui}(\tilde\theta_t)`.

    Args:
        iterates: ``"before"`` each update, :math:`\theta_0, \dots, \theta_{T-1}`, as in Algorithm 3
            of the thesis; or ``"after"`` it, :math:`\theta_1, \dots, \theta_T`, as in the equation
            of its section 3.9 and of the paper.

    Raises:
        ValueError: a setting is out of range; the attack loss depends on the graph only through
            training, so that all terms of the sum are 0.
        FloatingPointError: training is not finite; the message names the step.
    """

    iterates: Literal["before", "after"] = "before"

    def __post_init__(self) -> None:
        choice("iterates", self.iterates, ["before", "after"])

    def through(
        self, task: Task[Any], training: Training, state: PairState, params: Params
    ) -> MetaGradient:
        prepared = task.prepare(state)
        field = task.training_field(prepared, params, training.inner.linear)
        run = Run.of(training, field, params)
        current = run.start
        total: Cotangents = (None,) * len(prepared.tensors)
        for _ in range(run.count):
            following = run.step(current)
            chosen = current if self.iterates == "before" else following
            total = accumulate(total, direct_gradient(task, field.params(chosen[0]), prepared)[2])
            current = following
        run.refuse_divergence(current)
        trained = field.params(current[0])
        with torch.no_grad():
            loss = task.attack_loss(trained, prepared.detached(requires_grad=False))
        found = meta_gradient(task, state, prepared, total, loss, trained)
        if isinstance(found.gradient, Tensor) and not bool(found.gradient.any()):
            raise VanishedGradientError(
                f"{task.describe()} has an attack loss that depends on the graph only through "
                "training, which Approximate leaves out; use objective='train' or Unrolled."
            )
        return found
