"""The meta-gradient of a surrogate in closed form."""

from dataclasses import dataclass
from typing import Any

from ..graphs import PairState
from ..tasks import Task
from ..training import Params, Training
from .base import Hypergradient
from .meta_gradient import MetaGradient


@dataclass(frozen=True)
class ClosedForm(Hypergradient):
    r"""Differentiate the closed form of the trained scores, exactly.

    .. math::
        \frac{dL}{dX} = \left(\frac{\partial f}{\partial X}\right)^\top
        \frac{\partial L}{\partial S}, \qquad S = f(X)

    For a surrogate in closed form every hypergradient computes this derivative. ``ClosedForm``
    accepts no other surrogate.

    Raises:
        ValueError: the surrogate is trained in steps.
    """

    def through(
        self, task: Task[Any], training: Training, state: PairState, params: Params
    ) -> MetaGradient:
        raise ValueError(
            f"{task.describe()} has a surrogate that is trained in steps; use Unrolled() or "
            "Implicit(), or a surrogate in closed form such as 'ease'."
        )
