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
    r"""Approximate the meta-gradient without differentiating training (Meta-Approx, A-Meta).

    The result is the sum over the iterates :math:`\theta_t` of training of the direct gradient of
    the attack loss: the partial derivative w.r.t. the graph at fixed parameters. With
    :class:`~graphpoison.NodeClassification`, the objective of the task selects A-Meta-Train,
    A-Meta-Self or A-Meta-Both, and ``mix`` of the task is the paper's lambda. With a recommender's
    log loss of M pairs and scores :math:`s_{ui}`, the gradient w.r.t. the label of the pair (u, i)
    is :math:`-\frac{1}{M} \sum_t s_{ui}(\theta_t)`.

    Args:
        iterates: the T iterates of the sum. ``"before"`` each update, :math:`\theta_0, \dots,
            \theta_{T-1}`: Algorithm 3 of the thesis. ``"after"`` each update,
            :math:`\theta_1, \dots, \theta_T`: the equation of section 3.9 of the thesis and the
            equations of the paper (Zügner and Günnemann 2019).

    Raises:
        ValueError: a setting is out of range; the attack loss depends on the graph only through
            training: all terms of the sum are 0.
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
