r"""The meta-gradient at convergence, by the implicit function theorem.

At convergence, :math:`F(\theta, w) = \nabla_\theta\, \text{train\_loss} + \lambda \theta = 0`, the
parameters are a function of the graph, whatever the path of training, and

.. math::
    \frac{dL}{dw} = \frac{\partial L}{\partial w} -
    \left(\frac{\partial F}{\partial w}\right)^\top v, \qquad
    H v = \frac{\partial L}{\partial \theta}

with H the Hessian of the training loss plus :math:`\lambda I` (Bengio 2000; Lorraine, Vicol and
Duvenaud 2020). No iterate is stored, and there is no reverse pass.
"""

import logging
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from .._checks import choice, in_range, positive_int
from ..graphs import PairState
from ..tasks import Task
from ..training import Params, Training, TrainingField
from ..training.divergence import finite
from ..training.field import accumulate
from ..training.linear_solvers import conjugate_gradient, neumann_series, relative_residual
from .base import Hypergradient, direct_gradient, meta_gradient
from .meta_gradient import MetaGradient

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Implicit(Hypergradient):
    r"""Train the surrogate to convergence and differentiate the solution, not the iterates.

    The result's ``residual`` is the relative residual of the linear system. A warning is logged if
    it is larger than ``tolerance``, or if training has not converged. The gradient is then not the
    gradient of any training run.

    Training needs enough steps for convergence, e.g. ``Training(steps=1000)``, and weight decay:
    without it the minimum of a classifier is often at infinity, and training does not converge.

    Args:
        solver: ``"cg"``, conjugate gradients, or ``"neumann"``, a Neumann series whose step is the
            learning rate of training.
        iterations: the largest number of Hessian-vector products. Each costs as much as one step of
            the reverse pass of :class:`Unrolled`.
        tolerance: the relative residual at which the solver stops.
        stationary: training has converged if the norm of its gradient, including weight decay, is
            at most this share of the norm at the start.

    Raises:
        ValueError: a setting is out of range; ``"neumann"`` with Adam, whose learning rate is no
            step of the series; a surrogate with dropout, whose training never converges.
        FloatingPointError: training or the solution is not finite.
    """

    solver: Literal["cg", "neumann"] = "cg"
    iterations: int = 100
    tolerance: float = 1e-5
    stationary: float = 1e-3

    def __post_init__(self) -> None:
        choice("solver", self.solver, ["cg", "neumann"])
        positive_int("iterations", self.iterations)
        in_range("tolerance", self.tolerance, 0.0, 1.0)
        in_range("stationary", self.stationary, 0.0, 1.0)

    def refuse(self, training: Training) -> None:
        if self.solver == "neumann" and training.optimizer == "adam":
            raise ValueError("solver='neumann' takes lr as its step; use 'cg' with 'adam'.")

    def through(
        self, task: Task[Any], training: Training, state: PairState, params: Params
    ) -> MetaGradient:
        self.refuse(training)
        trained = task.train(training, state, params)
        prepared = task.prepare(state)
        loss, on_params, on_prepared = direct_gradient(task, trained, prepared)
        # The reverse pass may change what was prepared; Hessian-vector products use a copy.
        products = task.training_field(task.prepare(state), trained, linear=False)
        if products.at_step(1) is not products:
            raise ValueError(
                f"{task.describe()} draws dropout masks at every step, so that training never "
                "converges; use dropout=0 or Unrolled."
            )
        field = task.training_field(prepared, trained, linear=False)
        point = field.coordinates(trained)
        with torch.no_grad():
            self._warn_unless_at_rest(training, products, point, products.coordinates(params))
            on_coordinates, on_tensors = field.params_vjp(point, on_params)
            solution, residual = self._solve(training, products, point, on_coordinates)
            _, on_weights = field.linearise(point).vjp(tuple(map(torch.neg, solution)))
            on_tensors = accumulate(on_tensors, on_weights)
            on_prepared = accumulate(field.tensors_vjp(on_tensors), on_prepared)
        if not finite((loss,), on_prepared):
            raise FloatingPointError(
                f"the implicit gradient is not finite (attack loss {float(loss):.3g}, relative "
                f"residual {residual:.3g}); use a smaller lr, solver='cg' or fewer iterations."
            )
        return meta_gradient(task, state, prepared, on_prepared, loss, trained, residual)

    def _solve(
        self, training: Training, field: TrainingField, point: Params, right: Params
    ) -> tuple[Params, float]:
        """The solution of the linear system, and its relative residual."""

        def multiply(vector: Tensor) -> Tensor:
            direction = _split(vector, point)
            product, _ = field.linearise(point).vjp(direction)
            return _joined(product) + training.weight_decay * vector

        target = _joined(right)
        if self.solver == "cg":
            found = conjugate_gradient(multiply, target, self.iterations, self.tolerance)
        else:
            found = neumann_series(multiply, target, self.iterations, self.tolerance, training.lr)
        residual = relative_residual(multiply, found, target)
        if not residual <= self.tolerance:
            logger.warning(
                "the linear system is solved to a relative residual of %.2g, not %.2g; use more "
                "iterations or weight decay",
                residual,
                self.tolerance,
            )
        return _split(found, point), residual

    def _warn_unless_at_rest(
        self, training: Training, field: TrainingField, point: Params, start: Params
    ) -> None:
        decay = training.weight_decay
        now, before = (
            float((_joined(field.gradient(at)) + decay * _joined(at)).norm())
            for at in (point, start)
        )
        if not now <= self.stationary * before:
            logger.warning(
                "training has not converged: the norm of its gradient is %.2g after %d steps, "
                "%.2g at the start; use more steps or weight decay",
                now,
                training.steps,
                before,
            )


def _joined(tensors: Params) -> Tensor:
    """All entries of all tensors, one after the other: [P]."""
    return torch.cat([tensor.flatten() for tensor in tensors])


def _split(vector: Tensor, like: Params) -> Params:
    """The reverse of :func:`_joined`."""
    parts = vector.split([tensor.numel() for tensor in like])
    return tuple(part.view(tensor.shape) for part, tensor in zip(parts, like, strict=True))
