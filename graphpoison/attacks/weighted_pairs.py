"""Weighted draws of absent pairs, limited for each user, without a list of all pairs."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..graphs import PairState
from ..graphs.codes import decode, encode
from . import allocation

Array = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

ROUNDS = 20  # rounds of rejection, before all pairs that are left are listed
LISTED_AT_ONCE = 2**24  # pairs


def weighted_additions(
    state: PairState,
    user_weight: Floats,
    item_weight: Floats,
    room: Array,
    count: int,
    rng: np.random.Generator,
) -> Tensor:
    """Up to ``count`` candidate additions [2, K] of ``state``, in the order drawn.

    Pairs are drawn one after the other without replacement, at most ``room[u]`` pairs of user u.
    Among the pairs that are left, the probability of (u, i) is in proportion to
    ``user_weight[u] * item_weight[i]``. Fewer than ``count`` pairs are returned if no pair of a
    weight above 0 is left.
    """
    num_items = state.shape[1]
    found = np.empty(0, dtype=np.int64)
    if state.implicit_candidates:
        found = _by_rejection(state, user_weight, item_weight, room, count, rng)
    if found.size < count:
        spent = np.bincount(found // num_items, minlength=room.size)
        rest = _by_keys(state, user_weight, item_weight, room - spent, found, rng)
        found = np.concatenate([found, rest[: count - found.size]])
    return decode(torch.from_numpy(found).to(state.index.device), num_items)


def addable(state: PairState, pairs: Tensor) -> Tensor:
    """Which of ``pairs`` [2, K] are candidates that may be added to ``state``, BoolTensor [K]."""
    place = state.locate(pairs)
    listed = place >= 0
    free = state.candidate & ~state.flipped & (state.weight == 0)
    if not state.implicit_candidates:
        allowed = torch.zeros_like(listed)
    elif state.candidate_mask is None:
        allowed = torch.ones_like(listed)
    else:
        allowed = state.candidate_mask[tuple(pairs)]
    return allowed.masked_scatter(listed, free[place[listed]])


def within(users: Array, room: Array) -> npt.NDArray[np.bool_]:
    """Booleans [K]: True for the first ``room[user]`` occurrences of each user in ``users`` [K]."""
    kept = allocation.within(torch.from_numpy(users), torch.from_numpy(room))
    found: npt.NDArray[np.bool_] = kept.numpy()
    return found


def _by_rejection(
    state: PairState,
    user_weight: Floats,
    item_weight: Floats,
    room: Array,
    count: int,
    rng: np.random.Generator,
) -> Array:
    """Codes of pairs drawn from all pairs; inadmissible and repeated pairs are rejected."""
    num_items = state.shape[1]
    found = np.empty(0, dtype=np.int64)
    for _ in range(ROUNDS):
        left = room - np.bincount(found // num_items, minlength=room.size)
        open_users = np.where(left > 0, user_weight, 0.0)
        if found.size >= count or not open_users.any() or not item_weight.any():
            break
        size = 2 * (count - found.size) + 64
        users = rng.choice(room.size, size, p=open_users / open_users.sum())
        items = rng.choice(num_items, size, p=item_weight / item_weight.sum())
        pairs = torch.from_numpy(np.stack([users, items])).to(state.index.device)
        drawn = encode(pairs[:, addable(state, pairs)], num_items).cpu().numpy()
        codes = np.concatenate([found, drawn])
        codes = codes[np.sort(np.unique(codes, return_index=True)[1])]
        found = codes[within(codes // num_items, room)][:count]
    return found


def _by_keys(
    state: PairState,
    user_weight: Floats,
    item_weight: Floats,
    room: Array,
    found: Array,
    rng: np.random.Generator,
) -> Array:
    """Codes of all pairs that may be added and are not ``found``, in the order of weighted draws
    without replacement: by the keys log(uniform) / weight of Efraimidis and Spirakis (2006), the
    largest first."""
    num_items = state.shape[1]
    parts = [np.empty(0, dtype=np.int64)]
    for codes in _listed(state, np.flatnonzero((room > 0) & (user_weight > 0))):
        weighted = item_weight[codes % num_items] > 0
        parts.append(codes[weighted & ~np.isin(codes, found)])
    codes = np.concatenate(parts)
    users, items = np.divmod(codes, num_items)
    keys = np.log(rng.random(codes.size)) / (user_weight[users] * item_weight[items])
    codes = codes[np.argsort(-keys, kind="stable")]
    ordered: Array = codes[within(codes // num_items, room)]
    return ordered


def _listed(state: PairState, users: Array) -> list[Array]:
    """Codes of the pairs of ``users`` that may be added, in blocks of users."""
    num_items = state.shape[1]
    if not state.implicit_candidates:
        free = state.candidate & ~state.flipped & (state.weight == 0)
        codes = state.pattern.codes[free].cpu().numpy()
        return [codes[np.isin(codes // num_items, users)]]
    parts = []
    at_once = max(1, LISTED_AT_ONCE // num_items)
    for start in range(0, users.size, at_once):
        block = users[start : start + at_once]
        codes = (block[:, None] * num_items + np.arange(num_items)).reshape(-1)
        pairs = decode(torch.from_numpy(codes).to(state.index.device), num_items)
        parts.append(codes[addable(state, pairs).cpu().numpy()])
    return parts
