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
from typing import Literal

import torch
from torch import Tensor

from .._checks import choice, in_range, positive_int
from ..graph import PairState
from ..models import Params, Prepared
from ..models.training import Cotangents, Training, accumulate, as_leaves, vjp
from ..tasks import Task
from .base import Hypergradient
from .inner import Adam, GradientDescent, InnerOptimizer
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

    Raises:
        ValueError: a setting out of range; momentum together with Adam.
        FloatingPointError: training or its derivative is not finite (lower ``lr``).
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

    def at(self, task: Task, state: PairState, params: Params) -> MetaGradient:
        prepared = task.prepare(state)
        training = task.training(prepared, params, linear=self._inner.linear)
        iterates = self._run(training, params)
        coordinates, optimizer_state = iterates.last
        trained = training.params(coordinates)
        loss, on_params, on_prepared = _attack(task, trained, prepared)
        on_coordinates, on_tensors = training.params_reverse(coordinates, on_params)
        on_state = tuple(torch.zeros_like(tensor) for tensor in optimizer_state)
        with torch.no_grad():
            for before, before_state in iterates.backwards():
                point = training.at_step(int(before_state[0])).linearise(before)
                field = point.gradient if self._inner.needs_gradient else ()
                direct, on_field, on_state = self._inner.adjoint(
                    before, field, before_state, on_coordinates, on_state
                )
                through, explicit = point.reverse(on_field)
                on_coordinates = tuple(map(torch.add, direct, through))
                on_tensors = accumulate(on_tensors, explicit)
            on_prepared = accumulate(training.pull_back(on_tensors), on_prepared)
        gradient = task.pull_back(prepared, _filled(on_prepared, prepared.tensors))
        result = MetaGradient(float(loss), trained, state, gradient)
        _refuse_non_finite(result, on_prepared)
        return result

    def train(self, task: Task, state: PairState, params: Params) -> Params:
        training = task.training(task.prepare(state), params, linear=self._inner.linear)
        return training.params(self._run(training, params).last[0])

    @property
    def _inner(self) -> InnerOptimizer:
        if self.optimizer == "adam":
            return Adam(self.lr, weight_decay=self.weight_decay)
        return GradientDescent(self.lr, self.momentum, self.weight_decay)

    def _run(self, training: Training, params: Params) -> Iterates:
        inner = self._inner

        def step(before: Iterate) -> Iterate:
            coordinates, state = before
            field = training.at_step(int(state[0])).gradient(coordinates)
            return inner.step(coordinates, field, state)

        start = training.coordinates(params)
        with torch.no_grad():
            return Iterates.run(step, (start, inner.init(start)), self.steps)


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


def _refuse_non_finite(result: MetaGradient, cotangents: Cotangents) -> None:
    finite = all(bool(torch.isfinite(part).all()) for part in cotangents if part is not None)
    if not finite or result.loss != result.loss:
        raise FloatingPointError(
            f"the meta-gradient is not finite (attack loss {result.loss:g}): training diverged; "
            "use a smaller lr, fewer steps or momentum closer to 0."
        )
