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
from typing import Literal

import torch
from torch import Tensor

from .._checks import choice, in_range, positive_int
from ..graph import PairState
from ..models import Params, Prepared
from ..models.training import Cotangents, Training, accumulate, as_leaves, vjp
from ..tasks import Task
from .base import Hypergradient
from .divergence import adjoint_diverged, finite, training_diverged
from .inner import Adam, Clipped, GradientDescent, InnerOptimizer
from .iterates import Iterate, Iterates
from .meta_gradient import MetaGradient


@dataclass(frozen=True)
class Unrolled(Hypergradient):
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

    def at(self, task: Task, state: PairState, params: Params) -> MetaGradient:
        prepared = task.prepare(state)
        training = task.training(prepared, params, linear=self._inner.linear)
        iterates = self._run(training, params)
        trained = training.params(iterates.last[0])
        loss, on_params, on_prepared = _attack(task, trained, prepared)
        walk = partial(self._backwards, training, iterates, on_params)
        with torch.no_grad():
            _, on_start, on_tensors = deque(walk(), maxlen=1).pop()
            on_prepared = accumulate(training.pull_back(on_tensors), on_prepared)
            if not finite((loss,), on_start, on_prepared):
                raise adjoint_diverged(float(loss), walk(), self.steps)
        gradient = task.pull_back(prepared, _filled(on_prepared, prepared.tensors))
        return MetaGradient(float(loss), trained, state, gradient)

    def train(self, task: Task, state: PairState, params: Params) -> Params:
        training = task.training(task.prepare(state), params, linear=self._inner.linear)
        return training.params(self._run(training, params).last[0])

    @property
    def _inner(self) -> InnerOptimizer:
        inner: InnerOptimizer = GradientDescent(self.lr, self.momentum, self.weight_decay)
        if self.optimizer == "adam":
            inner = Adam(self.lr, weight_decay=self.weight_decay)
        return inner if self.clip is None else Clipped(inner, self.clip)

    def _run(self, training: Training, params: Params) -> Iterates:
        inner = self._inner

        def field(before: Iterate) -> Params:
            coordinates, state = before
            return training.at_step(int(state[0])).gradient(coordinates)

        def step(before: Iterate) -> Iterate:
            coordinates, state = before
            return inner.step(coordinates, field(before), state)

        coordinates = training.coordinates(params)
        start = (coordinates, inner.init(coordinates))
        with torch.no_grad():
            iterates = Iterates.run(step, start, self.steps)
            if not finite(*iterates.last):
                raise training_diverged(step, field, start, self.steps)
        return iterates

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
            through, explicit = point.reverse(on_field)
            on_coordinates = tuple(map(torch.add, direct, through))
            on_tensors = accumulate(on_tensors, explicit)
            yield number + 1, on_coordinates, on_tensors


def _attack(task: Task, params: Params, prepared: Prepared) -> tuple[Tensor, Params, Cotangents]:
    """The attack loss and its cotangents of the trained parameters and of ``prepared.tensors``."""
    leaves, inner = as_leaves(params), prepared.detached(requires_grad=True)
    loss = task.attack_loss(leaves, inner)
    found = vjp((loss,), (*leaves, *inner.tensors), (torch.ones_like(loss),))
    return loss.detach(), found[: len(leaves)], found[len(leaves) :]


def _filled(cotangents: Cotangents, tensors: Params) -> Params:
    return tuple(
        torch.zeros_like(tensor) if cotangent is None else cotangent
        for cotangent, tensor in zip(cotangents, tensors, strict=True)
    )
