"""Baselines that need no model: flips of a recommender's interactions by simple rules."""

from collections.abc import Callable
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
from ..hypergradient import Flips
from ..perturbation import Perturbation
from ..tasks import Recommendation, Task
from .base import Attack, Proposal, check_kinds
from .weighted_pairs import Array, Floats, weighted_additions, within

Keys = list[Array | Floats]
Weights = tuple[Floats, Floats]
LAST_RESORT = 1e-9  # the weight of items that are to be added where no others are left


@dataclass(frozen=True, eq=False)
class Counts:
    """Numbers of clean interactions: ``lengths`` [U] of users' profiles, ``popularity`` [I] of
    items."""

    lengths: Array
    popularity: Array


@dataclass(frozen=True)
class Rule:
    """How a heuristic chooses flips.

    Args:
        removals: (counts, users [K], items [K]) -> keys [K] of interactions, the most significant
            key first; the smallest key is removed first, equal ones in random order.
        additions: (counts, number of additions) -> weights of users [U] and of items [I]; the
            probability of a pair is in proportion to the product of both. With removals too, half
            of the flips are additions.
    """

    removals: Callable[[Counts, Array, Array], Keys] | None = None
    additions: Callable[[Counts, int], Weights] | None = None


def _any_edge(counts: Counts, users: Array, items: Array) -> Keys:
    return []


def _items_first(sign: int) -> Callable[[Counts, Array, Array], Keys]:
    """Whole items in turn; popular ones first with ``sign`` -1, rare ones with 1."""
    return lambda counts, users, items: [sign * counts.popularity[items], items]


def _users_first(sign: int) -> Callable[[Counts, Array, Array], Keys]:
    """Whole users in turn, short profiles first with ``sign`` 1, long ones with -1; of each the
    most popular items first."""
    return lambda counts, users, items: [
        sign * counts.lengths[users],
        users,
        -counts.popularity[items],
    ]


def _popular_of_short(counts: Counts, users: Array, items: Array) -> Keys:
    """The largest ratio of popularity to profile length first."""
    ratio: Floats = counts.popularity[items] / np.maximum(counts.lengths[users], 1)
    return [-ratio]


def _weights(user_power: float, item_power: float) -> Callable[[Counts, int], Weights]:
    """Powers of profile length and of popularity."""
    return lambda counts, number: (
        _power(counts.lengths, user_power),
        _power(counts.popularity, item_power),
    )


def _rare_made_popular(user_power: float) -> Callable[[Counts, int], Weights]:
    """The rarest items, as many as the additions can make as popular as the most popular item is;
    other items only where no pair of these is left."""

    def weights(counts: Counts, number: int) -> Weights:
        order = np.argsort(counts.popularity, kind="stable")
        item_weight = np.full(order.size, LAST_RESORT)
        item_weight[order[: max(1, number // counts.popularity.max())]] = 1.0
        return _power(counts.lengths, user_power), item_weight

    return weights


def _power(counts: Array, exponent: float) -> Floats:
    """``counts`` to the power ``exponent``, a count of 0 as 1 unless the exponent is above 0."""
    base = counts.astype(np.float64)
    raised: Floats = (base if exponent > 0 else np.maximum(base, 1.0)) ** exponent
    return raised


RULES = {
    "random removals": Rule(removals=_any_edge),
    "random additions": Rule(additions=_weights(0, 0)),
    "random flips": Rule(_any_edge, _weights(0, 0)),
    "popular removals": Rule(removals=_items_first(-1)),
    "unpopular removals": Rule(removals=_items_first(1)),
    "short profiles lose popular items": Rule(removals=_users_first(1)),
    "long profiles lose popular items": Rule(removals=_users_first(-1)),
    "popular items leave short profiles": Rule(removals=_popular_of_short),
    "popular additions": Rule(additions=_weights(0, 1)),
    "unpopular additions": Rule(additions=_weights(0, -1)),
    "short profiles gain popular items": Rule(additions=_weights(-1, 1)),
    "rare items become popular": Rule(additions=_rare_made_popular(0)),
    "rare items become popular in short profiles": Rule(additions=_rare_made_popular(-1)),
}
"""Names of the heuristics, and how they choose."""


@dataclass(frozen=True, eq=False)
class HeuristicAttack(Attack):
    r"""Flip interactions by one of the rules of :data:`.RULES`.

    A user with :math:`n` clean interactions is in at most :math:`\lfloor s n \rfloor` flips, where
    :math:`s` is ``max_profile_share``; additions and removals count alike. Users whom the
    objective of the task has off limits are in no flip.

    Args:
        rule: one of :data:`.RULES`.
        max_profile_share: :math:`s`, at least 0; None for no limit.
        off_limits: LongTensor [K], users who are in no flip; None for nobody.

    Raises:
        ValueError: an unknown rule; a share below 0; a user out of range.
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
        rng, rule = numpy_generator(seed, step), RULES[self.rule]
        counts = _counts(task)
        room = self._room(task, counts.lengths, state)
        removed = added = state.index[:, :0]
        half = limit // 2 if rule.additions else limit
        if rule.removals:
            removed = _removals(rule.removals, counts, state, room, half, rng)
            room = room - _per_user(removed, room.size)
        if rule.additions:
            left = limit - removed.size(1)
            weights = rule.additions(counts, left)
            added = weighted_additions(state, *weights, room, left, rng)
            room = room - _per_user(added, room.size)
        if rule.removals and rule.additions and removed.size(1) + added.size(1) < limit:
            rest = state.flip(removed)  # what additions have left of the limit goes to removals
            left = limit - removed.size(1) - added.size(1)
            more = _removals(rule.removals, counts, rest, room, left, rng)
            removed = torch.cat([removed, more], dim=1)
        pairs = torch.cat([removed, added], dim=1)
        is_added = torch.arange(pairs.size(1), device=pairs.device) >= removed.size(1)
        score = torch.full(is_added.shape, torch.nan, device=pairs.device)
        flips = Flips(pairs, is_added, score)
        if rule.removals and rule.additions:
            flips = flips.take(torch.from_numpy(rng.permutation(len(flips))).to(pairs.device))
        return Proposal(flips)

    def _room(self, task: Task[Any], lengths: Array, state: PairState) -> Array:
        """How many more flips each user may be in, [U]."""
        if self.max_profile_share is None:
            room = np.full(lengths.size, state.shape[1], dtype=np.int64)
        else:
            share = Fraction(self.max_profile_share).limit_denominator(SIMPLEST)
            room = lengths * share.numerator // share.denominator
        room = room - _per_user(state.index[:, state.flipped], room.size)
        objective = getattr(task, "objective", None)
        for barred in (self.off_limits, getattr(objective, "off_limits", None)):
            if barred is not None:
                _check_users(barred, room.size)
                room[barred.cpu().numpy()] = 0
        return room


def heuristics(
    task: Recommendation,
    budget: Budget | int,
    seed: int = 0,
    max_profile_share: float | None = None,
    off_limits: Tensor | None = None,
    allow_additions: bool = True,
    allow_removals: bool = True,
) -> dict[str, Perturbation]:
    """A perturbation by each rule of :data:`.RULES`, as baselines for an attack at equal budget.

    Args:
        task: what is attacked; its surrogate is not looked at, its candidates are kept.
        budget: the number of flips at most, or a :class:`Budget`. A rule makes fewer flips where
            no admissible one is left.
        seed: of random choices and of ties.
        max_profile_share: the share of a user's clean interactions, rounded down, that bounds the
            flips of the user; None for no limit.
        off_limits: LongTensor [K], users who are in no flip, beside the users whom the objective of
            the task has off limits; None for nobody else.
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
        if (rule.additions and not allow_additions) or (rule.removals and not allow_removals):
            continue
        made = HeuristicAttack(name, max_profile_share, off_limits)(task, budget, seed)
        found[name] = replace(made, meta={**made.meta, "heuristic": True})
    return found


def _removals(
    keys: Callable[[Counts, Array, Array], Keys],
    counts: Counts,
    state: PairState,
    room: Array,
    limit: int,
    rng: np.random.Generator,
) -> Tensor:
    """The first ``limit`` candidate interactions [2, K] by ``keys`` that ``room`` [U] allows."""
    allowed = state.candidate & ~state.flipped & (state.weight > 0)
    pairs = state.index[:, allowed]
    users, items = pairs.cpu().numpy()
    ranked = [rng.random(users.size), *reversed(keys(counts, users, items))]
    order = np.lexsort(ranked)
    order = order[within(users[order], room)][:limit]
    return pairs[:, torch.from_numpy(order).to(pairs.device)]


def _counts(task: Task[Any]) -> Counts:
    users, items = task.clean_edges.cpu().numpy()
    shape = task.state.shape
    return Counts(np.bincount(users, minlength=shape[0]), np.bincount(items, minlength=shape[1]))


def _per_user(pairs: Tensor, num_users: int) -> Array:
    return np.bincount(pairs[0].cpu().numpy(), minlength=num_users)


def _check_task(task: object) -> None:
    if not isinstance(task, Recommendation):
        raise TypeError(
            f"task must be a Recommendation, found {type(task).__name__}: these rules go by users' "
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
