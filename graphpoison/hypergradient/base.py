"""How training is differentiated: an argument of an attack, separate from the training settings."""

from abc import ABC, abstractmethod
from typing import Any, final

import torch
from torch import Tensor

from .._random import generator
from ..graphs import PairState
from ..tasks import Task
from ..training import Params, Prepared, Training
from ..training.divergence import ADVICE, finite
from ..training.field import Cotangents, as_leaves, vjp
from ..training.run import Run
from .meta_gradient import MetaGradient


class VanishedGradientError(ValueError):
    """A meta-gradient is 0 for every candidate."""


class Hypergradient(ABC):
    """A method to compute ``d attack_loss(theta(w), w) / d w``; frozen settings, no state."""

    @abstractmethod
    def through(
        self, task: Task[Any], training: Training, state: PairState, params: Params
    ) -> MetaGradient:
        """The meta-gradient at ``state``, through ``training`` from ``params``."""

    def loss(self, task: Task[Any], training: Training, state: PairState, params: Params) -> float:
        """The attack loss that :meth:`through` differentiates."""
        prepared = task.prepare(state)
        if not task.is_closed_form:
            field = task.training_field(prepared, params, training.inner.linear)
            params = Run.of(training, field, params).train()
        with torch.no_grad():
            return float(task.attack_loss(params, prepared))

    @final
    def at(
        self, task: Task[Any], training: Training, state: PairState, params: Params
    ) -> MetaGradient:
        """The meta-gradient at ``state``: :meth:`through` training, or, for a surrogate in closed
        form, the derivative of the attack loss.

        Raises:
            FloatingPointError: the meta-gradient is not finite.
            RankError: processes that share the work have different parameters.
            ValueError: the meta-gradient is 0 for every candidate.
        """
        task.ranks.agree("the initial parameters", state.weight.device, *params)
        if not task.is_closed_form:
            return _checked(task, self.through(task, training, state, params))
        prepared = task.prepare(state)
        loss, _, on_prepared = direct_gradient(task, params, prepared)
        if not finite((loss,), on_prepared):
            raise FloatingPointError(
                f"the gradient through the closed form is not finite (attack loss "
                f"{float(loss):.3g}); use a larger penalty or dtype=torch.float64."
            )
        return _checked(task, meta_gradient(task, state, prepared, on_prepared, loss, params))

    def refuse(self, training: Training) -> None:  # noqa: B027 (most refuse nothing)
        """Raise a ValueError if ``training`` cannot be differentiated in this way."""

    @final
    def __call__(
        self, task: Task[Any], training: Training, seed: int = 0, state: PairState | None = None
    ) -> MetaGradient:
        """The meta-gradient at ``state`` (the clean graph by default), through ``training``.

        Args:
            task: the task to attack.
            training: how its surrogate is trained.
            seed: seed of the initial parameters, also for the model that gives pseudo-labels.
            state: the graph.
        """
        labelled = task.with_pseudo_labels(training, seed)
        return self.at(labelled, training, state or task.state, task.init(generator(seed)))


def _checked(task: Task[Any], found: MetaGradient) -> MetaGradient:
    """Returns ``found``; raises an error if it is not finite, or 0 for every candidate.

    Raises:
        RankError: processes that share the work have trained different parameters.
    """
    device = found.state.weight.device
    task.ranks.agree("the parameters after training", device, *found.params)
    if not found.is_finite:
        raise FloatingPointError(
            f"the meta-gradient is not finite (attack loss {found.loss:.3g}), though training is; "
            f"{ADVICE}"
        )
    if found.is_zero:
        raise VanishedGradientError(
            f"the meta-gradient of {task.describe()} is 0 for every candidate (attack loss "
            f"{found.loss:.3g}): no flip changes the loss. Features or labels may be all alike, or "
            "the surrogate's outputs saturated; look at the data, or use a smaller lr."
        )
    return found


def check_hypergradient(hypergradient: object, training: Training) -> None:
    """Raise a TypeError unless ``hypergradient`` is a :class:`Hypergradient`, a ValueError if it
    cannot differentiate ``training``."""
    if not isinstance(hypergradient, Hypergradient):
        raise TypeError(
            f"hypergradient must be a Hypergradient such as Unrolled(), found {hypergradient!r}."
        )
    hypergradient.refuse(training)


def direct_gradient(
    task: Task[Any], params: Params, prepared: Prepared, weight: float = 1.0
) -> tuple[Tensor, Params, Cotangents]:
    """The attack loss, and the cotangents of the parameters and of ``prepared.tensors`` from
    ``weight`` times the loss; the derivative through training is left out."""
    leaves, inner = as_leaves(params), prepared.detached(requires_grad=True)
    loss = task.attack_loss(leaves, inner)
    found = vjp((loss,), (*leaves, *inner.tensors), (torch.full_like(loss, weight),))
    return loss.detach(), found[: len(leaves)], found[len(leaves) :]


def zeros_for_none(cotangents: Cotangents, tensors: Params) -> Params:
    """``cotangents`` with zeros like ``tensors`` in place of None."""
    return tuple(
        torch.zeros_like(tensor) if cotangent is None else cotangent
        for cotangent, tensor in zip(cotangents, tensors, strict=True)
    )


def meta_gradient(
    task: Task[Any],
    state: PairState,
    prepared: Prepared,
    on_prepared: Cotangents,
    loss: Tensor,
    params: Params,
    residual: float | None = None,
) -> MetaGradient:
    """The meta-gradient from ``on_prepared``, the cotangents of ``prepared.tensors``."""
    cotangents = zeros_for_none(on_prepared, prepared.tensors)
    return MetaGradient(
        loss=float(loss),
        params=params,
        state=state,
        gradient=task.pair_gradient(prepared, cotangents),
        residual=residual,
        features=task.feature_gradient(prepared, cotangents),
    )
