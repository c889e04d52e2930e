r"""Training as a vector field over coordinates of the parameters.

An optimiser follows the field; a hypergradient computes the adjoint of each step, from the last to
the first. Both use only the interface :class:`TrainingField`. The field of any loss can be computed
by autograd; a model may provide the same field in closed form, or in fewer coordinates.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from .._ranks import ALONE, Ranks
from .prepared import Params, Prepared

Cotangents = tuple[Tensor | None, ...]
"""Cotangents of some tensors; None stands for zeros."""


class TrainingField(ABC):
    r"""The gradient :math:`F(c) = \nabla \text{train\_loss}` in coordinates c, and its adjoint.

    Coordinates are the parameters themselves, unless a field works with fewer numbers. ``tensors``
    are the inputs of the field that depend on the edge weights. The adjoint returns the cotangents
    of ``tensors``, in the same order; :meth:`tensors_vjp` turns these cotangents into cotangents of
    the task's ``Prepared.tensors``.
    """

    tensors: Params
    ranks: Ranks = ALONE
    """The processes that hold different coordinates."""

    def over_ranks(self, params: Params) -> "TrainingField":
        """The same field with its coordinates divided among the ranks, if it can be divided.

        ``params`` are the initial parameters. Only an optimiser that updates each number by itself
        can follow the divided field.
        """
        return self

    def at_step(self, step: int) -> "TrainingField":
        """The field at ``step`` 0, 1, ... of training; by default the same field at every step."""
        return self

    def coordinates(self, params: Params) -> Params:
        """The coordinates of the initial parameters ``params``."""
        return params

    def gradient(self, coordinates: Params) -> Params:
        """The field, one tensor for each coordinate."""
        return self.linearise(coordinates).gradient

    @abstractmethod
    def linearise(self, coordinates: Params) -> "Linearisation":
        """The field at ``coordinates`` together with its adjoint."""

    def params(self, coordinates: Params) -> Params:
        """The parameters at ``coordinates``."""
        return coordinates

    def params_vjp(self, coordinates: Params, cotangents: Params) -> tuple[Params, Cotangents]:
        """Cotangents of the coordinates and of ``tensors``, from cotangents of the parameters."""
        return cotangents, (None,) * len(self.tensors)

    def tensors_vjp(self, cotangents: Cotangents) -> Cotangents:
        """Cotangents of ``Prepared.tensors``, from cotangents of ``tensors``."""
        return cotangents


class Linearisation(ABC):
    """A field at one point, with its adjoint. Intermediate results of both are computed once."""

    @property
    @abstractmethod
    def gradient(self) -> Params:
        """The field, one tensor for each coordinate."""

    @abstractmethod
    def vjp(self, cotangents: Params) -> tuple[Params, Cotangents]:
        """Cotangents of the coordinates and of ``tensors``, from ``cotangents`` of the field."""

    def gradient_and_vjp(self, cotangents: Params) -> tuple[Params, Params, Cotangents]:
        """The field, followed by the results of :meth:`vjp`."""
        return self.gradient, *self.vjp(cotangents)


class AutogradField(TrainingField):
    """The gradient of ``loss(params, prepared)`` by autograd; coordinates are the parameters."""

    def __init__(self, loss: Callable[[Params, Prepared], Tensor], prepared: Prepared) -> None:
        self.loss = loss
        self.constant = prepared.detached(requires_grad=False)
        self.variable = prepared.detached(requires_grad=True)
        self.tensors = self.constant.tensors

    def gradient(self, coordinates: Params) -> Params:
        leaves = as_leaves(coordinates)
        with torch.enable_grad():
            return torch.autograd.grad(self.loss(leaves, self.constant), leaves)

    def linearise(self, coordinates: Params) -> Linearisation:
        leaves = as_leaves(coordinates)
        with torch.enable_grad():
            loss = self.loss(leaves, self.variable)
            field = torch.autograd.grad(loss, leaves, create_graph=True)
        return AutogradPoint(field, leaves, self.variable.tensors)


class AutogradPoint(Linearisation):
    """A field that autograd can differentiate once more.

    Args:
        field: the field, with the autograd graph of ``leaves`` and ``tensors``.
        leaves: the coordinates.
        tensors: the inputs of the field that depend on the edge weights.
    """

    def __init__(self, field: Params, leaves: Params, tensors: Params) -> None:
        self.field, self.leaves, self.tensors = field, leaves, tensors

    @property
    def gradient(self) -> Params:
        return tuple(part.detach() for part in self.field)

    def vjp(self, cotangents: Params) -> tuple[Params, Cotangents]:
        found = vjp(self.field, (*self.leaves, *self.tensors), cotangents)
        return found[: len(self.leaves)], found[len(self.leaves) :]


def as_leaves(tensors: Params) -> Params:
    """The same values as leaves that require gradients."""
    return tuple(tensor.detach().requires_grad_() for tensor in tensors)


def accumulate(total: Cotangents, part: Cotangents) -> Cotangents:
    """``total + part``, tensor by tensor; overwrites ``total`` and keeps no tensor of ``part``."""
    return tuple(
        a if b is None else b.clone() if a is None else a.add_(b)
        for a, b in zip(total, part, strict=True)
    )


def vjp(outputs: Params, inputs: Params, cotangents: Params) -> Params:
    """Vector-Jacobian products; zeros for inputs that ``outputs`` do not depend on."""
    active = [pair for pair in zip(outputs, cotangents, strict=True) if pair[0].requires_grad]
    found = torch.autograd.grad(
        [pair[0] for pair in active], inputs, [pair[1] for pair in active], allow_unused=True
    )
    return tuple(
        torch.zeros_like(tensor) if grad is None else grad
        for tensor, grad in zip(inputs, found, strict=True)
    )


def jvp(outputs: Params, inputs: Params, tangents: Params) -> Params:
    """The derivative of ``outputs`` in the direction ``tangents``, by two reverse passes.

    Forward derivatives of torch have one level for all threads, so that two threads that take them
    at once raise errors.
    """
    dummies = tuple(torch.zeros_like(each, requires_grad=True) for each in outputs)
    back = torch.autograd.grad(outputs, inputs, dummies, create_graph=True)
    return torch.autograd.grad(back, dummies, tangents, create_graph=True)
