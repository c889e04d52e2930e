"""Activations with what a second derivative needs, in terms of their values."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from .._checks import choice

threshold_backward = torch.ops.aten.threshold_backward.grad_input
tanh_backward = torch.ops.aten.tanh_backward.grad_input
sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input


class Activation(ABC):
    """An activation ``z = phi(x)``; derivatives are functions of z."""

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """z, differentiable."""

    @abstractmethod
    def value_(self, x: Tensor) -> Tensor:
        """z, in place of x."""

    @abstractmethod
    def backward_(self, cotangent: Tensor, z: Tensor) -> Tensor:
        """``phi'(x)`` times a cotangent (or a tangent) of the same shape, in place of that."""

    @abstractmethod
    def second_order(self, z: Tensor, tangent: Tensor) -> Tensor | None:
        """``phi''(x) x'``, given the tangent ``z' = phi'(x) x'``; None where it is 0 everywhere."""


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
    """The activation of that name.

    Raises:
        ValueError: there is none.
    """
    return ACTIVATIONS[choice("activation", name, ACTIVATIONS)]
