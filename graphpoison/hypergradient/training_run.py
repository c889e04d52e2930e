"""What hypergradients of a full-batch training run share: its settings and the run itself."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .._checks import choice, in_range, positive_int
from ..graph import PairState
from ..models import Params, Prepared
from ..models.training import Cotangents, Training, as_leaves, vjp
from ..tasks import Task
from .base import Hypergradient
from .divergence import finite, training_diverged
from .inner import Adam, Clipped, GradientDescent, InnerOptimizer
from .iterates import Iterate
from .meta_gradient import MetaGradient


@dataclass(frozen=True)
class TrainingRun(Hypergradient):
    """``steps`` full-batch updates of the surrogate; how they are differentiated is left open.

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
        FloatingPointError: training is not finite; names the step.
    """

    steps: int = 100
    lr: float = 0.1
    momentum: float = 0.0
    optimizer: Literal["sgd", "adam"] = "sgd"
    weight_decay: float = 0.0
    clip: float | None = None

    def __post_init__(self) -> None:
        positive_int("steps", self.steps)
        in_range("lr", self.lr, 0.0, float("inf"), open_low=True)
        in_range("momentum", self.momentum, 0.0, 1.0)
        in_range("weight_decay", self.weight_decay, 0.0, float("inf"))
        if choice("optimizer", self.optimizer, ["sgd", "adam"]) == "adam" and self.momentum:
            raise ValueError("momentum belongs to optimizer='sgd'; leave it at 0 with 'adam'.")
        if self.clip is not None:
            in_range("clip", self.clip, 0.0, float("inf"), open_low=True)

    def train(self, task: Task, state: PairState, params: Params) -> Params:
        training = task.training(task.prepare(state), params, linear=self._inner.linear)
        steps = self._steps(training, params)
        current = steps.start
        for _ in range(self.steps):
            current = steps.step(current)
        steps.refuse_divergence(current)
        return training.params(current[0])

    @property
    def _inner(self) -> InnerOptimizer:
        inner: InnerOptimizer = GradientDescent(self.lr, self.momentum, self.weight_decay)
        if self.optimizer == "adam":
            inner = Adam(self.lr, weight_decay=self.weight_decay)
        return inner if self.clip is None else Clipped(inner, self.clip)

    def _steps(self, training: Training, params: Params) -> "Steps":
        coordinates, inner = training.coordinates(params), self._inner
        return Steps(training, inner, (coordinates, inner.init(coordinates)), self.steps)


@dataclass(frozen=True, eq=False)
class Steps:
    """``count`` updates by ``inner``, the first from ``start``."""

    training: Training
    inner: InnerOptimizer
    start: Iterate
    count: int

    @torch.no_grad()
    def step(self, before: Iterate) -> Iterate:
        """The next iterate."""
        coordinates, state = before
        return self.inner.step(coordinates, self.field(before), state)

    @torch.no_grad()
    def field(self, before: Iterate) -> Params:
        """The gradient that an update follows."""
        coordinates, state = before
        return self.training.at_step(int(state[0])).gradient(coordinates)

    def refuse_divergence(self, last: Iterate) -> None:
        """Raise a FloatingPointError that names the step if ``last`` is not finite."""
        if not finite(*last):
            raise training_diverged(self.step, self.field, self.start, self.count)


def explicit(task: Task, params: Params, prepared: Prepared) -> tuple[Tensor, Params, Cotangents]:
    """The attack loss and its cotangents of the parameters and of ``prepared.tensors``."""
    leaves, inner = as_leaves(params), prepared.detached(requires_grad=True)
    loss = task.attack_loss(leaves, inner)
    found = vjp((loss,), (*leaves, *inner.tensors), (torch.ones_like(loss),))
    return loss.detach(), found[: len(leaves)], found[len(leaves) :]


def filled(cotangents: Cotangents, tensors: Params) -> Params:
    """The same with zeros like ``tensors`` for None."""
    return tuple(
        torch.zeros_like(tensor) if cotangent is None else cotangent
        for cotangent, tensor in zip(cotangents, tensors, strict=True)
    )


def meta_gradient(
    task: Task,
    state: PairState,
    prepared: Prepared,
    on_prepared: Cotangents,
    loss: Tensor,
    params: Params,
    residual: float | None = None,
) -> MetaGradient:
    """What ``on_prepared``, the cotangents of ``prepared.tensors``, say of every candidate."""
    cotangents = filled(on_prepared, prepared.tensors)
    return MetaGradient(
        loss=float(loss),
        params=params,
        state=state,
        gradient=task.pull_back(prepared, cotangents),
        residual=residual,
        features=task.pull_back_features(prepared, cotangents),
    )
