"""What hypergradients of a full-batch training run share: its settings and the run itself."""

from collections.abc import Callable
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
from .inner import Adam, GradientDescent, InnerOptimizer
from .iterates import Iterate, Iterates
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

    Raises:
        ValueError: a setting out of range; momentum together with Adam.
    """

    steps: int = 100
    lr: float = 0.1
    momentum: float = 0.0
    optimizer: Literal["sgd", "adam"] = "sgd"
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        positive_int("steps", self.steps)
        in_range("lr", self.lr, 0.0, float("inf"), open_low=True)
        in_range("momentum", self.momentum, 0.0, 1.0)
        in_range("weight_decay", self.weight_decay, 0.0, float("inf"))
        if choice("optimizer", self.optimizer, ["sgd", "adam"]) == "adam" and self.momentum:
            raise ValueError("momentum belongs to optimizer='sgd'; leave it at 0 with 'adam'.")

    def train(self, task: Task, state: PairState, params: Params) -> Params:
        training = task.training(task.prepare(state), params, linear=self._inner.linear)
        return training.params(self._run(training, params).last[0])

    @property
    def _inner(self) -> InnerOptimizer:
        if self.optimizer == "adam":
            return Adam(self.lr, weight_decay=self.weight_decay)
        return GradientDescent(self.lr, self.momentum, self.weight_decay)

    def _run(self, training: Training, params: Params) -> Iterates:
        step, start = self._stepper(training, params)
        with torch.no_grad():
            return Iterates.run(step, start, self.steps)

    def _stepper(
        self, training: Training, params: Params
    ) -> tuple[Callable[[Iterate], Iterate], Iterate]:
        """One update, and the iterate that the first is made from."""
        inner = self._inner

        def step(before: Iterate) -> Iterate:
            coordinates, state = before
            return inner.step(coordinates, training.gradient(coordinates), state)

        start = training.coordinates(params)
        return step, (start, inner.init(start))


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


def refuse_non_finite(result: MetaGradient, cotangents: Cotangents) -> None:
    """Raise a FloatingPointError if the loss or a cotangent is not finite."""
    finite = all(bool(torch.isfinite(part).all()) for part in cotangents if part is not None)
    if not finite or result.loss != result.loss:
        raise FloatingPointError(
            f"the meta-gradient is not finite (attack loss {result.loss:g}): training diverged; "
            "use a smaller lr, fewer steps or momentum closer to 0."
        )
