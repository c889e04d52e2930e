"""Baselines that need no model: flips of a recommender's interactions by simple rules."""

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._checks import choice, in_range
from .._random import numpy_generator
from ..budget import SIMPLEST, Budget
from ..graphs import PairState
from ..perturbation import Perturbation
from ..tasks import Recommendation, Task
from .base import Attack, Proposal, check_kinds
from .rules import RULES, clean_counts, flips_by, per_user
from .weighted_pairs import Array


@dataclass(frozen=True, eq=False)
class HeuristicAttack(Attack):
    r"""Flip interactions of a recommender by a simple rule, as a baseline without a model.

    A user with :math:`n` clean interactions has at most :math:`\lfloor s n \rfloor` flips, where
    :math:`s` is ``max_profile_share``; additions and removals count alike. Users that the
    objective of the task puts off limits (:class:`~graphpoison.Bystanders`) have no flip.

    Args:
        rule: name of the rule, one of :data:`.RULES`, such as ``"popular removals"``.
        max_profile_share: :math:`s`, at least 0; None for no limit.
        off_limits: LongTensor [K], users without a flip; None for no such users.

    Raises:
        ValueError: the rule is unknown; the share is below 0; a user is out of range.
        TypeError: ``off_limits`` is no LongTensor; the task is no
            :class:`~graphpoison.Recommendation`.
    """

    rule: str = "random removals"
    max_profile_share: float | None = None
    off_limits: Tensor | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        choice("rule", self.rule, RULES)
        if self.max_profile_share is not None:
            in_range("max_profile_share", self.max_profile_share, 0.0, float("inf"))
        if self.off_limits is not None:
            _check_users(self.off_limits)

    @property
    def allow_removals(self) -> bool:
        return RULES[self.rule].removals is not None

    @property
    def allow_additions(self) -> bool:
        return RULES[self.rule].additions is not None

    def propose(
        self, task: Task[Any], state: PairState, limit: int, seed: int, step: int
    ) -> Proposal:
        _check_task(task)
        counts = clean_counts(task)
        room = self._room(task, counts.lengths, state)
        flips = flips_by(self.rule, counts, state, room, limit, numpy_generator(seed, step))
        return Proposal(flips)

    def _room(self, task: Task[Any], lengths: Array, state: PairState) -> Array:
        """The number of flips that each user may still be in, [U]."""
        if self.max_profile_share is None:
            room = np.full(lengths.size, state.shape[1], dtype=np.int64)
        else:
            share = Fraction(self.max_profile_share).limit_denominator(SIMPLEST)
            room = lengths * share.numerator // share.denominator
        room = room - per_user(state.index[:, state.flipped], room.size)
        objective = getattr(task, "objective", None)
        for barred in (self.off_limits, getattr(objective, "off_limits", None)):
            if barred is not None:
                _check_users(barred, room.size)
                room[barred.cpu().numpy()] = 0
        return room


def heuristics(
    task: Recommendation,
    budget: Budget | int | float,
    seed: int = 0,
    max_profile_share: float | None = None,
    off_limits: Tensor | None = None,
    allow_additions: bool = True,
    allow_removals: bool = True,
) -> dict[str, Perturbation]:
    """Returns one perturbation for each rule of :data:`.RULES`: baselines at equal budget.

    Args:
        task: the task to attack. Its candidates are used, its surrogate is not.
        budget: the largest number of flips, a share of the clean edges if a float, or a
            :class:`Budget`. A rule makes fewer flips where no admissible one is left.
        seed: seed of random choices and of ties.
        max_profile_share: limit on the flips of a user, as a share of the user's clean
            interactions, rounded down; None for no limit.
        off_limits: LongTensor [K], users who are in no flip, in addition to the users that the
            objective of the task puts off limits; None for no other users.
        allow_additions: whether to try the rules that add interactions.
        allow_removals: whether to try the rules that remove interactions.

    Returns:
        Perturbations by the names of their rules, with ``meta["heuristic"]`` True.

    Raises:
        TypeError: the task is no :class:`Recommendation`; ``off_limits`` is no LongTensor.
        ValueError: neither kind of flip is allowed; a share below 0; a user out of range; the
            budget exceeds the number of pairs.
    """
    _check_task(task)
    check_kinds((), allow_removals, allow_additions)
    found = {}
    for name, rule in RULES.items():
        if not rule.allowed(allow_additions, allow_removals):
            continue
        made = HeuristicAttack(name, max_profile_share, off_limits)(task, budget, seed)
        found[name] = replace(made, meta={**made.meta, "heuristic": True})
    return found


def _check_task(task: object) -> None:
    if not isinstance(task, Recommendation):
        raise TypeError(
            f"task must be a Recommendation, found {type(task).__name__}: the rules use users' "
            "profiles and items' popularity. Use DegreeAttack or RandomAttack on other tasks."
        )


def _check_users(users: object, num_users: int | None = None) -> None:
    """Raise unless ``users`` is a LongTensor [K] of numbers below ``num_users``."""
    if not isinstance(users, Tensor) or users.dtype != torch.int64 or users.dim() != 1:
        found = (
            f"{users.dtype} of shape {tuple(users.shape)}"
            if isinstance(users, Tensor)
            else type(users).__name__
        )
        raise TypeError(f"off_limits must be a LongTensor [K] of users, found {found}.")
    low, high = (int(users.min()), int(users.max())) if users.numel() else (0, -1)
    if low < 0 or (num_users is not None and high >= num_users):
        bound = "0 or above" if num_users is None else f"from 0 to {num_users - 1}"
        raise ValueError(f"off_limits has users from {low} to {high}; they must be {bound}.")
