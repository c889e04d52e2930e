r"""The exact meta-gradient, from stored iterates instead of a stored computation graph.

Training is run forwards once, keeping only the iterates. Then, from the last step to the first, the
graph of a single step is rebuilt and

.. math::
    \lambda_t = (\partial \Phi / \partial \theta)^\top \lambda_{t+1}, \qquad
    \frac{dL}{dw} \mathrel{+}= (\partial \Phi / \partial w)^\top \lambda_{t+1}

is taken. The result is that of differentiating through the whole unrolled run (Zügner and
Günnemann 2019, equation 4; thesis, section 3.6), while memory holds T sets of parameters and the
graph of one step.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .._checks import choice, in_range, positive_int
from ..graph import PairState
from ..models import Params, Prepared
from ..tasks import Task
from .base import Hypergradient
from .inner import Adam, GradientDescent, InnerOptimizer, State
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
        iterates = self._train(task, prepared.detached(requires_grad=False), params)
        inner = prepared.detached(requires_grad=True)
        loss, on_params, on_inner = _attack(task, iterates[-1][0], inner)
        on_state = tuple(torch.zeros_like(tensor) for tensor in iterates[-1][1])
        for step in range(self.steps - 1, -1, -1):
            on_params, on_state, explicit = self._reverse(
                task, inner, *iterates[step], on_params, on_state
            )
            on_inner = tuple(map(torch.add, on_inner, explicit))
        gradient = task.pull_back(prepared, on_inner)
        result = MetaGradient(float(loss), iterates[-1][0], state, gradient)
        _refuse_non_finite(result, on_inner)
        return result

    def train(self, task: Task, state: PairState, params: Params) -> Params:
        prepared = task.prepare(state).detached(requires_grad=False)
        return self._train(task, prepared, params)[-1][0]

    @property
    def _inner(self) -> InnerOptimizer:
        if self.optimizer == "adam":
            return Adam(self.lr, weight_decay=self.weight_decay)
        return GradientDescent(self.lr, self.momentum, self.weight_decay)

    def _train(self, task: Task, prepared: Prepared, params: Params) -> list[tuple[Params, State]]:
        state = self._inner.init(params)
        iterates = [(params, state)]
        for _ in range(self.steps):
            leaves = tuple(param.detach().requires_grad_() for param in params)
            grads = torch.autograd.grad(task.train_loss(leaves, prepared), leaves)
            with torch.no_grad():
                params, state = self._inner.step(params, grads, state)
            iterates.append((params, state))
        return iterates

    def _reverse(
        self,
        task: Task,
        inner: Prepared,
        params: Params,
        state: State,
        on_params: Params,
        on_state: State,
    ) -> tuple[Params, State, Params]:
        """One step backwards: cotangents of its parameters, its state, and of ``inner``."""
        leaves = tuple(param.detach().requires_grad_() for param in params)
        loss = task.train_loss(leaves, inner)
        grads = torch.autograd.grad(loss, leaves, create_graph=True)
        detached = tuple(grad.detach() for grad in grads)
        direct, on_grads, on_state = self._inner.adjoint(
            params, detached, state, on_params, on_state
        )
        found = _vjp(grads, (*leaves, *inner.tensors), on_grads)
        through = found[: len(leaves)]
        return tuple(map(torch.add, direct, through)), on_state, found[len(leaves) :]


def _attack(task: Task, params: Params, inner: Prepared) -> tuple[Tensor, Params, Params]:
    """The attack loss and its cotangents of the trained parameters and of ``inner``."""
    leaves = tuple(param.detach().requires_grad_() for param in params)
    loss = task.attack_loss(leaves, inner)
    found = _vjp((loss,), (*leaves, *inner.tensors), (torch.ones_like(loss),))
    return loss.detach(), found[: len(leaves)], found[len(leaves) :]


def _vjp(outputs: Params, inputs: Params, cotangents: Params) -> Params:
    """Vector-Jacobian products, with zeros for inputs that do not take part."""
    active = [pair for pair in zip(outputs, cotangents, strict=True) if pair[0].requires_grad]
    found = torch.autograd.grad(
        [pair[0] for pair in active], inputs, [pair[1] for pair in active], allow_unused=True
    )
    return tuple(
        torch.zeros_like(tensor) if grad is None else grad
        for tensor, grad in zip(inputs, found, strict=True)
    )


def _refuse_non_finite(result: MetaGradient, cotangents: Params) -> None:
    finite = all(bool(torch.isfinite(tensor).all()) for tensor in cotangents)
    if not finite or result.loss != result.loss:
        raise FloatingPointError(
            f"the meta-gradient is not finite (attack loss {result.loss:g}): training diverged; "
            "use a smaller lr, fewer steps or momentum closer to 0."
        )
