"""Fake profiles by the templates of the literature on shilling attacks.

The literature is about ratings. Here interactions have no ratings, and a profile is a set of items:
the target items, and filler items up to the length of the profile.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from .._checks import choice, positive_int
from .._random import numpy_generator
from ..graphs import FakeUsers, Interactions, read_interactions
from ..models import CF
from ..perturbation import Perturbation
from ..tasks import Recommendation
from .base import Attack
from .injection import Injection
from .random import RandomAttack
from .weighted_pairs import Array, Floats

CELLS_AT_ONCE = 2**22  # users x items
POOL = 2  # popular items to draw from, per filler item of a profile

Items = Tensor | Iterable[int]


@dataclass(frozen=True, eq=False)
class Fillers:
    """Draws the filler items of fake profiles.

    Args:
        users, items: integers [E], the interactions of the clean graph.
        popularity: integers [I], the number of interactions of each item.
        targets: integers [T], items that are no fillers.
        count: number of profiles.
        size: number of filler items of each profile.
        rng: the random generator.
    """

    users: Array
    items: Array
    popularity: Array
    targets: Array
    count: int
    size: int
    rng: np.random.Generator

    def drawn(self, weight: Floats, size: int, barred: Array | None = None) -> Array:
        """Draws items [count, size] in proportion to ``weight`` [I], without repetition in a row.

        Targets and the ``barred`` items [count, B] are left out. Where fewer than ``size`` items of
        a weight above 0 are left, items of weight 0 follow in random order. The method is from
        Efraimidis and Spirakis (2006).
        """
        parts = []
        at_once = max(1, CELLS_AT_ONCE // weight.size)
        for start in range(0, self.count, at_once):
            rows = min(at_once, self.count - start)
            noise = -np.log(self.rng.random((rows, weight.size)))
            with np.errstate(divide="ignore"):
                keys = np.where(weight > 0, np.log(noise) - np.log(weight), LAST + noise)
            keys[:, self.targets] = np.inf
            if barred is not None:
                np.put_along_axis(keys, barred[start : start + rows], np.inf, axis=1)
            parts.append(np.argsort(keys, axis=1, kind="stable")[:, :size])
        found: Array = np.concatenate(parts)
        return found


LAST = 1e9  # a key behind those of all items with a weight


def _random(fill: Fillers) -> Array:
    return fill.drawn(np.ones(fill.popularity.size), fill.size)


def _popular(fill: Fillers) -> Array:
    return fill.drawn(_most_popular(fill, POOL * fill.size), fill.size)


def _average(fill: Fillers) -> Array:
    return fill.drawn(fill.popularity.astype(np.float64), fill.size)


def _bandwagon(fill: Fillers) -> Array:
    popular = fill.drawn(_most_popular(fill, fill.size // 2), fill.size // 2)
    rest = fill.drawn(np.ones(fill.popularity.size), fill.size - fill.size // 2, popular)
    return np.concatenate([popular, rest], axis=1)


def _segment(fill: Fillers) -> Array:
    return fill.drawn(_similarity(fill), fill.size)


def _copied(fill: Fillers) -> Array:
    order = np.argsort(fill.users, kind="stable")
    owners, starts, lengths = np.unique(fill.users[order], return_index=True, return_counts=True)
    rounds = -(-fill.count // owners.size)
    chosen = np.concatenate([fill.rng.permutation(owners.size) for _ in range(rounds)])
    others = _average(fill)
    rows = []
    for user, spare in zip(chosen[: fill.count], others, strict=True):
        items = fill.items[order[starts[user] : starts[user] + lengths[user]]]
        own = fill.rng.permutation(items[~np.isin(items, fill.targets)])[: fill.size]
        more = spare[~np.isin(spare, own)][: fill.size - own.size]
        rows.append(np.concatenate([own, more]))
    return np.stack(rows)


TEMPLATES: dict[str, Callable[[Fillers], Array]] = {
    "random": _random,
    "popular": _popular,
    "average": _average,
    "bandwagon": _bandwagon,
    "segment": _segment,
    "copied": _copied,
}
"""Names of the templates, and how they draw filler items [count, size]."""


def fake_profiles(
    kind: str,
    graph: HeteroData | Interactions,
    num_users: int,
    profile_length: int,
    targets: Items,
    seed: int = 0,
) -> FakeUsers:
    """Fake users who interact with ``targets`` and with filler items by the template ``kind``.

    - ``"random"``: fillers are drawn uniformly (Lam and Riedl 2004).
    - ``"average"``: fillers are drawn in proportion to popularity, as the items of an average
      profile are. The average attack of Lam and Riedl (2004) copies the mean rating of each item;
      without ratings, popularity replaces it.
    - ``"popular"``: fillers are drawn uniformly among the most popular items, twice as many
      as a profile has room for (Tang, Wen and Wang 2020).
    - ``"bandwagon"``: half of the fillers, rounded down, are the most popular items; the others are
      drawn uniformly (Mobasher et al. 2007).
    - ``"segment"``: fillers are drawn in proportion to the cosine similarity of their users with
      the users of the targets, summed over the targets (Burke et al. 2005: items that the audience
      of the targets likes). If too few items are similar, random other items follow.
    - ``"copied"``: each fake user gets items of one real user. No real user is copied twice before
      all are copied once. If the real user has too many items, they are drawn at random; if too
      few, items drawn as in ``"average"`` follow.

    Args:
        kind: one of :data:`.TEMPLATES`.
        graph: the clean graph.
        num_users: number of fake users.
        profile_length: number of interactions of each fake user, including the targets.
        targets: numbers of the items to promote, at least one.
        seed: seed of all draws.

    Raises:
        ValueError: the kind is unknown; a target is out of range or named twice, or there is none;
            ``profile_length`` is below the number of targets or above the number of items; the
            graph has no interactions.
    """
    interactions = read_interactions(graph)
    make = TEMPLATES[choice("kind", kind, TEMPLATES)]
    promoted = item_numbers("targets", targets, interactions.num_items)
    count = positive_int("num_users", num_users)
    length = positive_int("profile_length", profile_length)
    if not len(promoted) <= length <= interactions.num_items:
        raise ValueError(
            f"profile_length={length} must be from {len(promoted)}, the number of targets, to "
            f"{interactions.num_items}, the number of items."
        )
    users, items = interactions.edge_index.cpu().numpy()
    if not users.size:
        raise ValueError("graph has no interactions to draw fillers from.")
    chosen = np.array(promoted, dtype=np.int64)
    popularity = np.bincount(items, minlength=interactions.num_items)
    size, rng = length - chosen.size, numpy_generator(seed, list(TEMPLATES).index(kind))
    filler = make(Fillers(users, items, popularity, chosen, count, size, rng))
    profiles = np.concatenate([np.tile(chosen, (count, 1)), filler], axis=1)
    owners = np.repeat(np.arange(count), length)
    edges = torch.from_numpy(np.stack([owners, np.sort(profiles, axis=1).reshape(-1)]))
    return FakeUsers(count, edges.to(interactions.edge_index.device))


@dataclass(frozen=True)
class TemplateUsers(Injection):
    """Adds users whose profiles follow a template, see :func:`fake_profiles`.

    Args:
        num_users: number of fake users.
        kind: one of :data:`.TEMPLATES`.
        profile_length: number of interactions of each fake user, including the targets.
        targets: numbers of the items that are in all profiles, at least one.
        attack: the attack that flips further pairs of the fake users, if the budget is above 0.
    """

    num_users: int = 50
    kind: str = "random"
    profile_length: int = 50
    targets: tuple[int, ...] = (0,)
    attack: Attack = field(default_factory=RandomAttack)

    def __post_init__(self) -> None:
        self._check()
        choice("kind", self.kind, TEMPLATES)
        positive_int("profile_length", self.profile_length)

    def fake_users(self, task: Recommendation, seed: int) -> FakeUsers:
        graph = Interactions(task.clean_edges, *task.state.shape)
        length, targets = self.profile_length, self.targets
        return fake_profiles(self.kind, graph, self.num_users, length, targets, seed)


def promotion_templates(
    data: HeteroData | Interactions,
    items: Items,
    num_users: int,
    profile_length: int,
    seed: int = 0,
    **options: Any,
) -> dict[str, Perturbation]:
    """Returns one perturbation for each template of :data:`.TEMPLATES`: fake users without flips.

    Args:
        data: the clean graph.
        items: numbers of the items to promote, which are in every fake profile.
        num_users: number of fake users.
        profile_length: number of interactions of each fake user, including the promoted items.
        seed: seed of all draws, including training negatives if ``data`` has none.
        **options: more arguments of :class:`Recommendation`, e.g. ``edge_type=``.

    Returns:
        Perturbations by the names of their templates, with ``meta["targets"]`` the list of the
        promoted items and ``meta["heuristic"]`` True.

    Raises:
        ValueError: as :func:`fake_profiles`.
    """
    task = Recommendation(data, **{"surrogate": CF(dim=1), "seed": seed, **options})
    targets = item_numbers("items", items, task.state.shape[1])
    found = {}
    for kind in TEMPLATES:
        attack = TemplateUsers(num_users, kind, profile_length, targets)
        made = attack(task, budget=0, seed=seed)
        meta = {**made.meta, "targets": list(targets), "heuristic": True}
        found[kind] = replace(made, meta=meta)
    return found


def item_numbers(argument: str, items: Items, num_items: int) -> tuple[int, ...]:
    """``items`` as a tuple of integers; raises unless they are one or more distinct items."""
    if not isinstance(items, Tensor | Iterable) or isinstance(items, str):
        raise TypeError(f"{argument} must be a list of numbers of items, found {items!r}.")
    given = items.flatten().tolist() if isinstance(items, Tensor) else list(items)
    found = tuple(positive_int(argument, item, minimum=0) for item in given)
    if not found or len(set(found)) < len(found):
        raise ValueError(f"{argument} must be one or more distinct items, found {list(found)}.")
    if max(found) >= num_items:
        raise ValueError(
            f"{argument} has item {max(found)}, but the graph has {num_items} (0 to "
            f"{num_items - 1})."
        )
    return found


def _most_popular(fill: Fillers, size: int) -> Floats:
    """Weight 1 for the ``size`` most popular items that are no targets, 0 for others, [I]."""
    popularity = fill.popularity.copy()
    popularity[fill.targets] = -1
    weight = np.zeros(popularity.size)
    weight[np.argsort(-popularity, kind="stable")[:size]] = 1.0
    return weight


def _similarity(fill: Fillers) -> Floats:
    """Cosine similarity of the users of each item with the users of each target, summed, [I]."""
    total = np.zeros(fill.popularity.size)
    norms = np.sqrt(np.maximum(fill.popularity, 1))
    for target in fill.targets:
        audience = np.unique(fill.users[fill.items == target])
        shared = np.bincount(fill.items[np.isin(fill.users, audience)], minlength=total.size)
        total += shared / norms / norms[target]
    return total
