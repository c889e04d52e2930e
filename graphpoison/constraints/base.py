"""Conditions on the poisoned graph, and which single flips they allow."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..graphs import PairState

Predicate = Callable[[Tensor, Tensor], Tensor]
"""``allowed(source, target)`` -> BoolTensor of their broadcast shape."""


class Constraint(ABC):
    """A condition that holds for every prefix of a perturbation.

    An attack asks which single flips keep the condition in the current graph, and calls
    :meth:`violation` at its end. Most conditions are about edges only and allow every flip of a
    node feature.

    Attributes:
        monotone: whether a violation remains, whatever else is flipped. A batch of flips that meets
            the condition at its end then met it after every flip, so that one check is enough.
    """

    monotone: ClassVar[bool] = False

    @abstractmethod
    def additions(self, state: PairState) -> Predicate | None:
        """Which edges may be added to ``state``; None if all may."""

    @abstractmethod
    def removals(self, state: PairState) -> Predicate | None:
        """Which edges may be removed from ``state``; None if all may."""

    def feature_flips(self, state: PairState) -> Predicate | None:
        """Which pairs (node, feature) of ``state`` may be flipped; None if all may."""
        return None

    @abstractmethod
    def violation(self, clean: PairState, poisoned: PairState) -> str | None:
        """A description of the violation in ``poisoned``, or None."""


def check_constraints(constraints: object) -> None:
    """Raise a TypeError unless ``constraints`` is a list or tuple of constraints."""
    if not isinstance(constraints, list | tuple) or not all(
        isinstance(constraint, Constraint) for constraint in constraints
    ):
        raise TypeError(
            f"constraints must be a list of constraints such as [NoSingletons()], found "
            f"{constraints!r}."
        )


def combine(predicates: Iterable[Predicate | None]) -> Predicate | None:
    """One predicate that holds where all hold; None if all are None."""
    active = [predicate for predicate in predicates if predicate is not None]
    if not active:
        return None

    def allowed(source: Tensor, target: Tensor) -> Tensor:
        verdict = active[0](source, target)
        for predicate in active[1:]:
            verdict = verdict & predicate(source, target)
        return verdict

    return allowed


def on_features(constraints: Iterable[Constraint], state: PairState) -> tuple[Constraint, ...]:
    """The conditions of ``constraints`` on flips of features, as constraints on
    ``state.features``."""
    predicates = [constraint.feature_flips(state) for constraint in constraints]
    return tuple(_Where(predicate) for predicate in predicates if predicate is not None)


@dataclass(frozen=True, eq=False)
class _Where(Constraint):
    """Allows the additions and removals for which ``predicate`` holds."""

    predicate: Predicate

    def additions(self, state: PairState) -> Predicate:
        return self.predicate

    def removals(self, state: PairState) -> Predicate:
        return self.predicate

    def violation(self, clean: PairState, poisoned: PairState) -> None:
        return None


def unlisted_additions(state: PairState, constraints: Sequence[Constraint]) -> Predicate | None:
    """Which pairs that ``state`` does not list may be added; None if all may."""
    within = state.candidate_mask
    inside = None if within is None else (lambda source, target: within[source, target])
    return combine([inside, *(constraint.additions(state) for constraint in constraints)])


def admissible(
    state: PairState,
    constraints: Sequence[Constraint],
    allow_removals: bool = True,
    allow_additions: bool = True,
) -> Tensor:
    """BoolTensor [M]: which listed pairs may be flipped in the current graph.

    These are the candidates that were not flipped before, whose kind of flip is allowed, and that
    no constraint forbids.
    """
    present = state.weight > 0
    verdict = state.candidate & ~state.flipped
    verdict &= allow_removals & present | allow_additions & ~present
    for kind, predicates in (
        (present, [constraint.removals(state) for constraint in constraints]),
        (~present, [constraint.additions(state) for constraint in constraints]),
    ):
        allowed = combine(predicates)
        if allowed is not None:
            verdict &= ~kind | allowed(*state.index)
    return verdict
