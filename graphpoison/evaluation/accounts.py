"""The number of fake users that an attack needs to promote an item."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from .._checks import in_range, positive_int
from ..apply import poisoned
from ..attacks.templates import item_numbers
from ..graphs import Interactions, read_interactions
from ..perturbation import Perturbation
from ..victims import VictimLike
from .fitted import fitted
from .lists import Rows, read_victim


@dataclass(frozen=True, eq=False)
class UsersNeeded:
    """The smallest number of fake users found.

    Args:
        number: number of fake users; None if the largest number tried was not enough.
        curve: DataFrame with the columns ``num_users`` and ``hit_rate``, one row for each number
            tried, sorted by ``num_users``.
    """

    number: int | None
    curve: pd.DataFrame


def users_needed(
    make: Callable[[int], Perturbation],
    hit_rate: Callable[[Perturbation], float],
    share: float = 0.05,
    most: int = 1000,
    least: int = 1,
    precision: float = 0.0,
) -> UsersNeeded:
    r"""The smallest number of fake users whose attack has a hit rate of at least ``share``.

    The search doubles the number from ``least`` until the hit rate is reached. Bisection then
    searches between the last number that was not enough and the first number that was. About
    :math:`\log_2(n / \text{least}) + \log_2 n` attacks are made and measured for a result n.

    Bisection assumes that the hit rate does not fall as users are added. Without this assumption, n
    fake users are still enough, and the largest number below n that was tried is not enough. A
    smaller number that was not tried may be enough.

    Args:
        make: a function from a number of fake users to the attack, such as
            ``lambda n: promote(data, [7], n, 20)``.
        hit_rate: a function from an attack to its hit rate in [0, 1], such as the result of
            :func:`promotion_hit_rate`.
        share: the hit rate to reach, in [0, 1].
        most: the largest number to try.
        least: the smallest number to try.
        precision: the largest distance from n to the next smaller number tried, as a share of n in
            [0, 1], or one fake user if this is more; 0 for an exact number.

    Returns:
        The result n as ``number``, or None if ``most`` fake users are not enough, and the hit rates
        of all numbers tried as the DataFrame ``curve``.

    Raises:
        TypeError, ValueError: a number or ``share`` is out of range; a hit rate is outside [0, 1].
    """
    in_range("share", share, 0.0, 1.0)
    in_range("precision", precision, 0.0, 1.0)
    least = positive_int("least", least)
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
    while reached and low >= least and high - low > max(1.0, precision * high):
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
    victim: VictimLike,
    items: Tensor | Iterable[int],
    k: int = 10,
    seed: int = 0,
) -> Callable[[Perturbation], float]:
    """A function from an attack to the share of real users whose list has a promoted item.

    The victim is trained on the poisoned graph. For each user it ranks all items that the user has
    neither in the clean nor in the poisoned graph. Only users without the promoted item in the
    clean graph count; the user is a hit if the item is among the first ``k``. The hit rates of
    several items are averaged. This is the metric ``"t-hr@k"`` of :func:`graphpoison.evaluate`.

    Args:
        data: the clean graph.
        victim: a :class:`~graphpoison.Victim`, or any object with ``name`` and
            ``fit(graph, seed)`` whose result has ``scores(users)``.
        items: numbers of the promoted items.
        k: length of each user's list.
        seed: seed of the victim's training.

    Raises:
        ValueError: an item is out of range, named twice, or one that every user has already; ``k``
            exceeds the number of items.
    """
    clean = read_interactions(data).with_negatives()
    rates = hit_rates(clean, victim, items, k, seed)
    return lambda perturbation: float(rates(poisoned(perturbation, clean)).mean())


def hit_rates(
    clean: Interactions, victim: VictimLike, items: Tensor | Iterable[int], k: int, seed: int
) -> Callable[[Interactions], Tensor]:
    """A function from a graph to the hit rate of each item after training on the graph.

    Args:
        clean: the clean graph, with negatives. The function takes this graph too.
        victim, items, k, seed: as in :func:`promotion_hit_rate`, which names the errors.
    """
    device = clean.edge_index.device
    promoted = torch.tensor(item_numbers("items", items, clean.num_items), device=device)
    if positive_int("k", k) > clean.num_items:
        raise ValueError(f"k={k} is more than the {clean.num_items} items of the graph.")
    users = torch.arange(clean.num_real_users, device=device)
    lacks = torch.ones(users.numel(), promoted.numel(), dtype=torch.bool, device=device)
    for column, item in enumerate(promoted.tolist()):
        lacks[clean.edge_index[0, clean.edge_index[1] == item], column] = False
    if not bool(lacks.any(dim=0).all()):
        raise ValueError("items has an item that every user has already; it cannot be promoted.")

    def rates(graph: Interactions) -> Tensor:
        seen = torch.cat([clean.edge_index, graph.edge_index], dim=1)
        model = fitted(victim, graph, seed)
        lists, _ = read_victim(model, users, Rows.of(seen, users.numel()), k)
        hits = (lists.unsqueeze(2) == promoted).any(dim=1) & lacks
        return hits.sum(dim=0).double() / lacks.sum(dim=0)

    return rates
