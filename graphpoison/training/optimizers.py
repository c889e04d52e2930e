r"""Inner optimisers as pure steps, each with the adjoint of its step.

A step maps parameters, their gradient and the optimiser's state to the next parameters and state.
The adjoint maps cotangents of the outputs of a step to cotangents of its inputs. A hypergradient
applies the adjoints at the stored iterates, from the last step to the first.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .prepared import Params

State = Params
"""The number of steps so far, a scalar on the CPU, followed by the optimiser's own tensors."""


class InnerOptimizer(ABC):
    """One update rule. It holds only settings; the state is an argument of each step.

    Attributes:
        linear: whether a step is linear in parameters, gradient and state, and acts on every entry
            alike, so that it commutes with a linear change of coordinates.
        needs_gradient: whether :meth:`adjoint` uses the gradient.
        entrywise: whether the next value of a number depends on this number, its gradient and its
            state alone.
    """

    linear: ClassVar[bool]
    entrywise: ClassVar[bool] = True
    needs_gradient: ClassVar[bool]

    @abstractmethod
    def init(self, params: Params) -> State:
        """The state before the first step."""

    @abstractmethod
    def step(self, params: Params, grads: Params, state: State) -> tuple[Params, State]:
        """The next parameters and state."""

    @abstractmethod
    def adjoint(
        self, params: Params, grads: Params, state: State, on_params: Params, on_state: State
    ) -> tuple[Params, Params, State]:
        """Cotangents of the step's inputs: parameters, gradient and state.

        The cotangent of the parameters excludes the dependence of the gradient on the parameters,
        which the field's ``vjp`` adds.

        Args:
            params, grads, state: the inputs of the step.
            on_params, on_state: cotangents of the outputs of the step.
        """


@dataclass(frozen=True)
class GradientDescent(InnerOptimizer):
    r"""Gradient descent with heavy-ball momentum, PyTorch's convention.

    .. math:: v' = \mu v + g + \lambda \theta, \qquad \theta' = \theta - \eta v'
    """

    lr: float
    momentum: float = 0.0
    weight_decay: float = 0.0

    linear: ClassVar[bool] = True
    needs_gradient: ClassVar[bool] = False

    def init(self, params: Params) -> State:
        velocity = params if self.momentum else ()
        return (_no_steps(params), *map(torch.zeros_like, velocity))

    def step(self, params: Params, grads: Params, state: State) -> tuple[Params, State]:
        velocity = _decayed(params, grads, self.weight_decay)
        if self.momentum:
            velocity = _add(velocity, state[1:], self.momentum)
        kept = velocity if self.momentum else ()
        return _add(params, velocity, -self.lr), (state[0] + 1, *kept)

    def adjoint(
        self, params: Params, grads: Params, state: State, on_params: Params, on_state: State
    ) -> tuple[Params, Params, State]:
        on_grads = tuple(-self.lr * cotangent for cotangent in on_params)
        if self.momentum:
            on_grads = _add(on_grads, on_state[1:], 1.0)
            on_state = (on_state[0], *(self.momentum * cotangent for cotangent in on_grads))
        return _decayed(on_grads, on_params, self.weight_decay), on_grads, on_state


@dataclass(frozen=True)
class Adam(InnerOptimizer):
    r"""Adam (Kingma and Ba 2015), with a second epsilon under the root.

    .. math::
        \theta' = \theta - \eta \, \frac{\hat m'}{\sqrt{\hat v' + \epsilon_r} + \epsilon}

    Without :math:`\epsilon_r`, the derivative of the root is infinite where a gradient has always
    been 0 (a user without interactions), and the meta-gradient is NaN.
    """

    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    eps_root: float = 1e-12
    weight_decay: float = 0.0

    linear: ClassVar[bool] = False
    needs_gradient: ClassVar[bool] = True

    def init(self, params: Params) -> State:
        return (_no_steps(params), *map(torch.zeros_like, (*params, *params)))

    def step(self, params: Params, grads: Params, state: State) -> tuple[Params, State]:
        count, moments = int(state[0].item()) + 1, state[1:]
        first, second = _halves(moments)
        grads = _decayed(params, grads, self.weight_decay)
        beta1, beta2 = self.betas
        first = tuple(beta1 * m + (1 - beta1) * g for m, g in zip(first, grads, strict=True))
        second = tuple(beta2 * v + (1 - beta2) * g * g for v, g in zip(second, grads, strict=True))
        after: list[Tensor] = []
        for param, m, v in zip(params, first, second, strict=True):
            root = (v / (1 - beta2**count) + self.eps_root).sqrt() + self.eps
            after.append(param - self.lr * (m / (1 - beta1**count)) / root)
        return tuple(after), (state[0] + 1, *first, *second)

    def adjoint(
        self, params: Params, grads: Params, state: State, on_params: Params, on_state: State
    ) -> tuple[Params, Params, State]:
        count, moments = int(state[0].item()) + 1, state[1:]
        grads = _decayed(params, grads, self.weight_decay)
        parts = [
            self._entrywise(count, *entry)
            for entry in zip(
                grads, *_halves(moments), on_params, *_halves(on_state[1:]), strict=True
            )
        ]
        on_grads, on_first, on_second = (tuple(column) for column in zip(*parts, strict=True))
        direct = _decayed(on_grads, on_params, self.weight_decay)
        return direct, on_grads, (on_state[0], *on_first, *on_second)

    def _entrywise(
        self, count: int, grad: Tensor, m: Tensor, v: Tensor, on: Tensor, on_m: Tensor, on_v: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Cotangents of the gradient and the moments of one parameter, by the chain rule."""
        beta1, beta2 = self.betas
        correction1, correction2 = 1 - beta1**count, 1 - beta2**count
        mean = (beta1 * m).add_(grad, alpha=1 - beta1).div_(correction1)
        square = (beta2 * v).addcmul_(grad, grad, value=1 - beta2).div_(correction2)
        root = square.add_(self.eps_root).sqrt_()
        scaled = (root + self.eps).reciprocal_().mul_(on).mul_(-self.lr)  # on the corrected mean
        on_root = mean.mul_(scaled).div_(root + self.eps).neg_()
        on_m = torch.add(on_m, scaled, alpha=1 / correction1)
        on_v = torch.add(on_v, on_root.div_(root), alpha=0.5 / correction2)
        on_grad = (grad * on_v).mul_(2 * (1 - beta2)).add_(on_m, alpha=1 - beta1)
        return on_grad, beta1 * on_m, beta2 * on_v


@dataclass(frozen=True)
class Clipped(InnerOptimizer):
    r"""Another optimiser with clipped gradients: the norm over all parameters is at most c.

    .. math:: g' = \min(1, c / \lVert g \rVert) \, g

    If the gradient is clipped, the adjoint projects out the direction of the gradient and scales by
    the same factor:
    :math:`\bar g = \frac{c}{\lVert g \rVert} (\bar g' - \hat g \langle \hat g, \bar g' \rangle)`
    with :math:`\hat g = g / \lVert g \rVert`.
    """

    inner: InnerOptimizer
    clip: float

    linear: ClassVar[bool] = False
    entrywise: ClassVar[bool] = False
    needs_gradient: ClassVar[bool] = True

    def init(self, params: Params) -> State:
        return self.inner.init(params)

    def step(self, params: Params, grads: Params, state: State) -> tuple[Params, State]:
        scale, _ = self._scale(grads)
        return self.inner.step(params, _scaled(grads, scale), state)

    def adjoint(
        self, params: Params, grads: Params, state: State, on_params: Params, on_state: State
    ) -> tuple[Params, Params, State]:
        scale, norm = self._scale(grads)
        direct, on_clipped, on_state = self.inner.adjoint(
            params, _scaled(grads, scale), state, on_params, on_state
        )
        unit = _scaled(grads, 1.0 / norm)
        along = torch.stack([(u * on).sum() for u, on in zip(unit, on_clipped, strict=True)]).sum()
        along = torch.where(scale < 1.0, along, 0.0)
        projected = (on - along * u for u, on in zip(unit, on_clipped, strict=True))
        return direct, _scaled(tuple(projected), scale), on_state

    def _scale(self, grads: Params) -> tuple[Tensor, Tensor]:
        """The factor that gradients are multiplied by, and their norm, which is never 0."""
        norm = global_norm(grads).clamp(min=torch.finfo(grads[0].dtype).tiny)
        return (self.clip / norm).clamp(max=1.0), norm


def _no_steps(params: Params) -> Tensor:
    return torch.zeros((), dtype=params[0].dtype)


def global_norm(tensors: Params) -> Tensor:
    """The Euclidean norm of all entries of all tensors together, a scalar."""
    norms: list[Tensor] = [torch.linalg.vector_norm(tensor) for tensor in tensors]
    total: Tensor = torch.linalg.vector_norm(torch.stack(norms))
    return total


def _scaled(tensors: Params, factor: Tensor) -> Params:
    return tuple(tensor * factor for tensor in tensors)


def _halves(state: State) -> tuple[State, State]:
    middle = len(state) // 2
    return state[:middle], state[middle:]


def _add(left: Params, right: Params, factor: float) -> Params:
    return tuple(torch.add(a, b, alpha=factor) for a, b in zip(left, right, strict=True))


def _decayed(params: Params, grads: Params, weight_decay: float) -> Params:
    return _add(grads, params, weight_decay) if weight_decay else grads
