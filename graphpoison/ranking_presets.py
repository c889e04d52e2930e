"""Attacks on rankings with the settings that the measurements found strongest."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from torch import Tensor
from torch_geometric.data import HeteroData

from ._checks import in_range, node_ids
from .attacks import NewUsers, ProfileAttack, RankingAttack
from .constraints import Constraint, NodeBudget, OffLimits
from .graphs import Interactions, read_interactions
from .models.closed_form import ClosedFormRecommender
from .perturbation import Perturbation
from .tasks import Promote, Recommendation


def ranking_attack(
    max_profile_share: float | None = None,
    off_limits: Sequence[int] | Tensor | None = None,
    *,
    max_item_share: float | None = None,
    constraints: Sequence[Constraint] = (),
    search: Literal["relaxed", "greedy", "lookahead"] = "relaxed",
    start: str | None = "usual",
    steps: int = 40,
    allow_removals: bool = True,
    allow_additions: bool = True,
) -> RankingAttack:
    """Returns a :class:`RankingAttack` with limits on users and items as constraints. By default it
    searches by Frank-Wolfe on the relaxed interactions, the strongest search measured.

    The task names the surrogate. The surrogate ``"ease"`` without a penalty takes the default
    penalty of the objective.

    Args:
        max_profile_share: the largest number of flips of a user, additions included, as a share of
            the user's clean interactions; None for no limit.
        off_limits: users whose interactions are not flipped. The attack harms these users, unless
            the objective names other users.
        max_item_share: the largest number of flips of an item, as a share of the item's clean
            interactions; None for no limit.
        constraints: further conditions that hold after every flip.
        search, start, steps, allow_removals, allow_additions: as in :class:`RankingAttack`.

    Raises:
        TypeError, ValueError: a setting is out of range.
    """
    rules: list[Constraint] = []
    for name, share, side in (
        ("max_profile_share", max_profile_share, "source"),
        ("max_item_share", max_item_share, "target"),
    ):
        if share is not None:
            in_range(name, share, 0.0, float("inf"))
            rules.append(NodeBudget(share=share, side=side))  # type: ignore[arg-type]
    if off_limits is not None:
        rules.append(OffLimits(off_limits))
    return RankingAttack(
        search=search,
        start=start,
        steps=steps,
        constraints=(*rules, *constraints),
        allow_removals=allow_removals,
        allow_additions=allow_additions,
    )


def promote(
    data: HeteroData | Interactions,
    items: Sequence[int] | Tensor,
    num_users: int,
    profile_length: int,
    k: int = 10,
    seed: int = 0,
    *,
    surrogate: ClosedFormRecommender | Literal["ease", "wmf"] = "ease",
    steps: int = 60,
    progress: bool = False,
    **options: Any,
) -> Perturbation:
    """Returns fake users who raise ``items`` into the lists of length ``k`` of users who lack them.

    The profiles of all fake users are optimised jointly, see :class:`ProfileAttack`.

    Args:
        data: the clean graph.
        items: indices of the items to promote; every fake profile holds them.
        num_users: number of fake users.
        profile_length: number of interactions of each fake user, including ``items``.
        k: length of the recommended list.
        seed: seed of the profiles from which the search starts.
        surrogate: a recommender in closed form, by name or as settings such as ``EASE(l2=100.0)``.
        steps: number of gradients.
        progress: show a progress bar.
        **options: more arguments of :class:`Promote`.

    Returns:
        The fake users and their interactions; ``meta["targets"]`` lists ``items``.

    Raises:
        TypeError, ValueError: the graph does not have the ``items``, or a setting is out of range.
    """
    graph = read_interactions(data)
    chosen = node_ids("items", items, graph.num_items).tolist()
    task = Recommendation(graph, surrogate, Promote(chosen, k, **options), seed=seed)
    profiles = ProfileAttack(profile_length, steps)
    attack = NewUsers(num_users, profiles, profile_length=profile_length)
    found = attack(task, num_users * profile_length, seed, progress)
    return replace(found, meta={**found.meta, "targets": chosen})
