"""Rules that choose flips of a recommender's interactions without a model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..graphs import PairState
from ..hypergradient import Flips
from ..tasks import Task
from .weighted_pairs import Array, Floats, weighted_additions, within

Keys = list[Array | Floats]
Weights = tuple[Floats, Floats]
LAST_RESORT = 1e-9  # weight of items that are added only if no others are left


@dataclass(frozen=True, eq=False)
class Counts:
    """Numbers of clean interactions: ``lengths`` [U] of the profiles of users, ``popularity`` [I]
    of items."""

    lengths: Array
    popularity: Array


@dataclass(frozen=True)
class Rule:
    """How a heuristic chooses flips.

    Args:
        removals: (counts, users [K], items [K]) -> keys [K] of interactions, the most significant
            key first; the smallest key is removed first, equal ones in random order.
        additions: (counts, number of additions) -> weights of users [U] and of items [I]; the
            probability of a pair is in proportion to the product of both. If the rule also
            removes, half of the flips are additions.
    """

    removals: Callable[[Counts, Array, Array], Keys] | None = None
    additions: Callable[[Counts, int], Weights] | None = None

    def allowed(self, additions: bool, removals: bool) -> bool:
        """Whether the rule makes no flip of a kind that is not allowed."""
        return (additions or not self.additions) and (removals or not self.removals)


def _any_edge(counts: Counts, users: Array, items: Array) -> Keys:
    return []


def _items_first(sign: int) -> Callable[[Counts, Array, Array], Keys]:
    """Item after item: popular items first with ``sign`` -1, rare items first with 1."""
    return lambda counts, users, items: [sign * counts.popularity[items], items]


def _users_first(sign: int) -> Callable[[Counts, Array, Array], Keys]:
    """User after user: short profiles first with ``sign`` 1, long profiles first with -1. The most
    popular items of a user come first."""
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
    """Weights of users and items: powers of profile length and of popularity."""
    return lambda counts, number: (
        _power(counts.lengths, user_power),
        _power(counts.popularity, item_power),
    )


def _rare_made_popular(user_power: float) -> Callable[[Counts, int], Weights]:
    """Weight 1 for the rarest items: as many as the additions can make as popular as the most
    popular item. Other items are added only if no pair of these items is left."""

    def weights(counts: Counts, number: int) -> Weights:
        order = np.argsort(counts.popularity, kind="stable")
        item_weight = np.full(order.size, LAST_RESORT)
        item_weight[order[: max(1, number // max(1, counts.popularity.max()))]] = 1.0
        return _power(counts.lengths, user_power), item_weight

    return weights


def _power(counts: Array, exponent: float) -> Floats:
    """``counts`` to the power ``exponent``; unless it is above 0, a count of 0 is taken as 1."""
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
"""The rules of the heuristics, by name."""


def flips_by(
    rule: str,
    counts: Counts,
    state: PairState,
    room: Array,
    limit: int,
    rng: np.random.Generator,
) -> Flips:
    """Up to ``limit`` flips by the rule named ``rule``, at most ``room`` [U] of each user."""
    chosen = RULES[rule]
    removed = added = state.index[:, :0]
    half = limit // 2 if chosen.additions else limit
    if chosen.removals:
        removed = _removals(chosen.removals, counts, state, room, half, rng)
        room = room - per_user(removed, room.size)
    if chosen.additions:
        left = limit - removed.size(1)
        added = weighted_additions(state, *chosen.additions(counts, left), room, left, rng)
        room = room - per_user(added, room.size)
    if chosen.removals and chosen.additions and removed.size(1) + added.size(1) < limit:
        rest = state.flip(removed)  # removals take what additions left of the limit
        left = limit - removed.size(1) - added.size(1)
        more = _removals(chosen.removals, counts, rest, room, left, rng)
        removed = torch.cat([removed, more], dim=1)
    pairs = torch.cat([removed, added], dim=1)
    is_added = torch.arange(pairs.size(1), device=pairs.device) >= removed.size(1)
    flips = Flips(pairs, is_added, torch.full(is_added.shape, torch.nan, device=pairs.device))
    if chosen.removals and chosen.additions:
        flips = flips.take(torch.from_numpy(rng.permutation(len(flips))).to(pairs.device))
    return flips


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


def clean_counts(task: Task[Any], among: Tensor | None = None) -> Counts:
    """The counts of the clean graph of ``task``; with ``among``, of these users only."""
    edges = task.clean_edges
    if among is not None:
        edges = edges[:, torch.isin(edges[0], among)]
    users, items = edges.cpu().numpy()
    shape = task.state.shape
    return Counts(np.bincount(users, minlength=shape[0]), np.bincount(items, minlength=shape[1]))


def per_user(pairs: Tensor, num_users: int) -> Array:
    return np.bincount(pairs[0].cpu().numpy(), minlength=num_users)
