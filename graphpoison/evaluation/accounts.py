"""How many fake accounts an attack needs to promote an item."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from .._checks import in_range, positive_int
from ..apply import poisoned
from ..attacks.templates import item_numbers
from ..graphs import Interactions, read_interactions
from ..perturbation import Perturbation
from ..victims.base import USERS_AT_ONCE
from .fitted import fitted


@dataclass(frozen=True, eq=False)
class UsersNeeded:
    """The smallest number of fake users found.

    Args:
        number: of fake users; None where the largest number tried was not enough.
        curve: DataFrame with the columns ``num_users`` and ``hit_rate``, a row for each number
            tried, sorted by it.
    """

    number: int | None
    curve: pd.DataFrame


def users_needed(
    make: Callable[[int], Perturbation],
    hit_rate: Callable[[Perturbation], float],
    share: float = 0.05,
    most: int = 1000,
    least: int = 1,
    step: int = 1,
) -> UsersNeeded:
    """The smallest number of fake users whose attack has a hit rate of at least ``share``.

    The number is doubled from ``least`` until the hit rate is reached, then halved into: bisection
    between the last number that was not enough and the first that was. About
    :math:`2 \\log_2(n / \\text{least})` attacks are made and measured for a result n.

    Bisection takes for granted that the hit rate does not fall as users are added. Where it does,
    the result n is still enough and the largest smaller number tried, at most ``step`` below n, is
    not; but a number that was not tried, smaller still, may be enough as well. The curve says which
    numbers were tried.

    Args:
        make: number of fake users -> the attack.
        hit_rate: attack -> hit rate in [0, 1], such as :func:`promotion_hit_rate` makes.
        share: the hit rate to reach.
        most: the largest number to try.
        least: the smallest number to try.
        step: how precise the number has to be; 1 for an exact one.

    Raises:
        TypeError, ValueError: a number or share out of range; a hit rate outside [0, 1].
    """
    in_range("share", share, 0.0, 1.0)
    least, step = positive_int("least", least), positive_int("step", step)
    most = positive_int("most", most, minimum=least)
    tried: dict[int, float] = {}

    def enough(number: int) -> bool:
        found = in_range("hit_rate", float(hit_rate(make(number))), 0.0, 1.0)
        tried[number] = found
        return found >= share

    low, high = least - 1, least
    reached = enough(high)
    while not reached and high < most:
        low, high = high, min(2 * high, most)
        reached = enough(high)
    while reached and low >= least and high - low > step:
        middle = (low + high) // 2
        if enough(middle):
            high = middle
        else:
            low = middle
    rows = sorted(tried.items())
    return UsersNeeded(
        high if reached else None, pd.DataFrame(rows, columns=["num_users", "hit_rate"])
    )


def promotion_hit_rate(
    data: HeteroData | Interactions,
    victim: Any,
    items: Tensor | Iterable[int],
    k: int = 10,
    seed: int = 0,
) -> Callable[[Perturbation], float]:
    """A measure of attacks: the share of real users to whom one of ``items`` is shown.

    The victim is trained on the poisoned graph and ranks all items but those that a user has in
    that graph. A user counts where at least one of ``items`` is not among the user's clean
    interactions, and is a hit where one of these is among the first ``k``.

    Args:
        data: the clean graph.
        victim: a :class:`~graphpoison.Victim`, or any object with ``name`` and
            ``fit(graph, seed)`` whose result has ``scores(users)``.
        items: numbers of the promoted items.
        k: how many items a user is shown.
        seed: of the victim's training.

    Raises:
        ValueError: an item out of range or named twice; every user has all ``items`` already.
    """
    clean = read_interactions(data).with_negatives()
    promoted = torch.tensor(item_numbers("items", items, clean.num_items))
    count = positive_int("k", k)
    lacks = torch.ones(clean.num_users, promoted.numel(), dtype=torch.bool)
    for column, item in enumerate(promoted.tolist()):
        lacks[clean.edge_index[0, clean.edge_index[1] == item].cpu(), column] = False
    users = lacks.any(dim=1).nonzero().flatten()
    if not users.numel():
        raise ValueError("items are among the interactions of every user already.")

    def hit_rate(perturbation: Perturbation) -> float:
        graph = poisoned(perturbation, clean)
        model, hits = fitted(victim, graph, seed), 0
        for block in users.split(USERS_AT_ONCE):
            with torch.no_grad():
                scores = model.scores(block.to(graph.edge_index.device)).detach().cpu().clone()
            place = torch.full((graph.num_users,), -1)
            place[block] = torch.arange(block.numel())
            rows = place[graph.edge_index[0].cpu()]
            seen = rows >= 0
            scores[rows[seen], graph.edge_index[1].cpu()[seen]] = -torch.inf
            best = scores.topk(min(count, scores.size(1)), dim=1)
            shown = torch.where(best.values > -torch.inf, best.indices, -1)
            hit = (shown.unsqueeze(2) == promoted) & lacks[block].unsqueeze(1)
            hits += int(hit.flatten(1).any(dim=1).sum())
        return hits / users.numel()

    return hit_rate
