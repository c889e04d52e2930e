"""Activations, with first and second derivatives computed from the activation's value."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from .._checks import choice

threshold_backward = torch.ops.aten.threshold_backward.grad_input
tanh_backward = torch.ops.aten.tanh_backward.grad_input
sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input


class Activation(ABC):
    """An activation ``z = phi(x)``; its derivatives are written as functions of z."""

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """Returns z, differentiable by autograd."""

    @abstractmethod
    def value_(self, x: Tensor) -> Tensor:
        """Overwrites ``x`` with z and returns it."""

    @abstractmethod
    def backward_(self, cotangent: Tensor, z: Tensor) -> Tensor:
        """Multiplies a cotangent (or a tangent) of the shape of ``z`` by ``phi'(x)``, in place."""

    @abstractmethod
    def second_order(self, z: Tensor, tangent: Tensor) -> Tensor | None:
        """Returns ``phi''(x) x'`` for the tangent ``z' = phi'(x) x'``; None if ``phi''`` is 0."""


@dataclass(frozen=True)
class ReLU(Activation):
    """``max(x, 0)``; its slope at 0 is 0, as in torch."""

    def __call__(self, x: Tensor) -> Tensor:
        return torch.relu(x)

    def value_(self, x: Tensor) -> Tensor:
        return x.relu_()

    def backward_(self, cotangent: Tensor, z: Tensor) -> Tensor:
        threshold_backward(cotangent, z, 0, grad_input=cotangent)
        return cotangent

    def second_order(self, z: Tensor, tangent: Tensor) -> None:
        return None


@dataclass(frozen=True)
class Tanh(Activation):
    """``tanh(x)``."""

    def __call__(self, x: Tensor) -> Tensor:
        return torch.tanh(x)

    def value_(self, x: Tensor) -> Tensor:
        return x.tanh_()

    def backward_(self, cotangent: Tensor, z: Tensor) -> Tensor:
        tanh_backward(cotangent, z, grad_input=cotangent)
        return cotangent

    def second_order(self, z: Tensor, tangent: Tensor) -> Tensor:
        return (z * tangent).mul_(-2.0)


@dataclass(frozen=True)
class Sigmoid(Activation):
    """``1 / (1 + exp(-x))``."""

    def __call__(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x)

    def value_(self, x: Tensor) -> Tensor:
        return x.sigmoid_()

    def backward_(self, cotangent: Tensor, z: Tensor) -> Tensor:
        sigmoid_backward(cotangent, z, grad_input=cotangent)
        return cotangent

    def second_order(self, z: Tensor, tangent: Tensor) -> Tensor:
        return torch.addcmul(tangent, z, tangent, value=-2.0)


ACTIVATIONS: dict[str, Activation] = {"relu": ReLU(), "tanh": Tanh(), "sigmoid": Sigmoid()}


def activation(name: str) -> Activation:
    """Returns the activation called ``name``.

    Raises:
        ValueError: no activation has this name.
    """
    return ACTIVATIONS[choice("activation", name, ACTIVATIONS)]
