"""Audits: how many fake accounts promote an item, and whether a filter detects the accounts."""

import functools
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from ._checks import in_range, node_ids, positive_int, seed_number
from ._html import facts
from ._progress import tracked
from .apply import poisoned
from .evaluation.accounts import hit_rates, promotion_hit_rate, users_needed
from .evaluation.detectability import suspicions
from .graphs import Interactions, read_interactions
from .perturbation import Perturbation
from .ranking_presets import promote
from .victims import AnyVictim, Victim, recommender_victim

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REVIEWED = 0.01
"""Share of the accounts that are reviewed: the accounts that a filter finds most suspicious."""
PRECISION = 0.1
"""Precision of the number of accounts, see :func:`graphpoison.users_needed`."""
ROUNDING = 1e-9  # relative; a hit rate is rounded by 1e-16
GRADIENTS = 15
"""Gradients of each attack. On MovieLens-100K, 60 gradients raise a hit rate by 8% at most."""


@dataclass(frozen=True, eq=False, repr=False)
class PromotionAudit:
    """The result of :func:`audit_promotions`.

    Args:
        table: DataFrame with one row for each item: ``item`` (its id), ``users`` (the number of
            real users who have the item), ``before`` (the hit rate without fake accounts: the share
            of the users without the item who get it in their top k), ``accounts`` (the number of
            fake accounts that raise the hit rate by ``gain``; missing if ``most`` accounts are not
            enough), ``share_of_users`` (``accounts`` over the number of real users), ``hit_rate``
            (the hit rate with these accounts, or with ``most`` accounts if these are not enough),
            ``caught`` (the share of the fake accounts that are among the most suspicious accounts)
            and ``detector`` (the detector with the largest share, ``"none"`` if all shares are 0).
            If ``before`` is above 1 - ``gain``, the item is not attacked: ``accounts``,
            ``share_of_users`` and ``caught`` are missing, ``detector`` is empty and ``hit_rate`` is
            ``before``.
        settings: the arguments of the audit, and the numbers of users and items.
    """

    table: pd.DataFrame
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<PromotionAudit of {len(self.table)} items>"

    def _repr_html_(self) -> str:
        return facts("Promotion audit", self.settings, self.table.to_html(index=False))

    def plot(self, path: str | os.PathLike[str] | None = None) -> "Figure":
        """Draw a bar for each item: the number of fake accounts that promote the item.

        Args:
            path: file to write, PNG, SVG or PDF by its suffix; None for no file.
        """
        from .report.audit_page import draw_audit
        from .report.matplotlib_figures import save

        return save(draw_audit(self.table, self.settings), path)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write one self-contained HTML page: the finding in words, the chart and the table."""
        from .report.audit_page import write_audit

        write_audit(self.table, self.settings, path)


def audit_promotions(
    data: HeteroData | Interactions,
    items: Sequence[int] | Tensor | None = None,
    *,
    sample: int = 8,
    gain: float = 0.01,
    k: int = 10,
    profile_length: int | None = None,
    most: int | None = None,
    victim: AnyVictim = "ease",
    seed: int = 0,
    progress: bool = False,
) -> PromotionAudit:
    """Find how many fake accounts promote each of several items, and how many of these accounts a
    filter catches.

    For each item, :func:`users_needed` searches for the smallest number of fake accounts, made by
    :func:`promote` with 15 gradients. The accounts promote the item if they raise its hit rate by
    ``gain``. The hit rate is the share of the users without the item for whom the retrained
    ``victim`` ranks the item among the first ``k``. The number is exact up to 19 accounts if the
    hit rate does not fall as accounts are added; see :func:`users_needed` with a precision of 0.1.

    The detectors of :func:`detectability` then score all accounts. The reviewed accounts are the 1%
    with the highest scores, or as many as there are fake accounts if these are more. ``caught`` is
    the share of the fake accounts that are reviewed, for the best detector.

    Args:
        data: the clean graph.
        items: indices of the items; by default ``sample`` items, in equal steps of rank from the
            least to the most popular item that not every user has.
        sample: number of items if ``items`` is None.
        gain: the increase of the hit rate to reach, in (0, 1]; 0.01 is one percentage point.
        k: length of the recommended list.
        profile_length: number of interactions of a fake account; by default the mean over users.
        most: the largest number of accounts to try, by default 5% of the users, but at least 10.
        victim: name or object of a recommender, as :func:`evaluate` takes it.
        seed: seed of the attacks and of the victim.
        progress: show a progress bar.

    Raises:
        TypeError, ValueError: an argument is out of range, or the graph lacks an item.
    """
    in_range("gain", gain, 0.0, 1.0, open_low=True)
    graph, seed = read_interactions(data).with_negatives(), seed_number("seed", seed)
    popularity = torch.bincount(graph.edge_index[1], minlength=graph.num_items)
    if items is None:
        ranked = popularity.argsort(stable=True)
        ranked = ranked[popularity[ranked] < graph.num_users]
        count = min(positive_int("sample", sample), len(ranked))
        chosen = ranked[torch.linspace(0, len(ranked) - 1, count).long()].tolist()
    else:
        chosen = node_ids("items", items, graph.num_items).tolist()
    usual = max(1, round(graph.edge_index.size(1) / graph.num_users))
    length = usual if profile_length is None else positive_int("profile_length", profile_length)
    largest = max(10, graph.num_users // 20) if most is None else positive_int("most", most)
    model, limits = recommender_victim(victim), _Limits(gain, k, length, largest, seed)
    clean = hit_rates(graph, model, chosen, k, seed)(graph).tolist()
    found = zip(chosen, graph.item_names(chosen), clean, strict=True)
    rows = [
        {
            "item": name,
            "users": int(popularity[item]),
            "before": before,
            **_audited(graph, item, before, model, limits),
        }
        for item, name, before in tracked(found, len(chosen), "item", progress)
    ]
    table = pd.DataFrame(rows).astype({"accounts": "Int64"})
    place = list(table.columns).index("accounts") + 1
    table.insert(place, "share_of_users", table["accounts"] / graph.num_users)
    sizes = {"users": graph.num_users, "items": graph.num_items, "victim": model.name}
    return PromotionAudit(table, {**sizes, **asdict(limits)})


@dataclass(frozen=True)
class _Limits:
    """Settings of an audit, see :func:`audit_promotions`."""

    gain: float
    k: int
    profile_length: int
    most: int
    seed: int


def _audited(
    graph: Interactions, item: int, before: float, victim: Victim, limits: _Limits
) -> dict[str, Any]:
    """The columns of an audit's table from ``accounts`` on, for one item."""
    target = (before + limits.gain) * (1.0 - ROUNDING)
    if target > 1.0:
        return {"accounts": None, "hit_rate": before, "caught": math.nan, "detector": ""}
    length, k, seed = limits.profile_length, limits.k, limits.seed

    @functools.cache
    def make(number: int) -> Perturbation:
        return promote(graph, [item], number, length, k, seed, steps=GRADIENTS)

    rate = promotion_hit_rate(graph, victim, [item], k, seed)
    search = users_needed(make, rate, target, limits.most, precision=PRECISION)
    number = limits.most if search.number is None else search.number
    reached = float(search.curve.set_index("num_users")["hit_rate"][number])
    caught, detector = _caught(graph, make(number), seed)
    made = {"hit_rate": reached, "caught": caught, "detector": detector}
    return {"accounts": search.number, **made}


def _caught(graph: Interactions, attack: Perturbation, seed: int) -> tuple[float, str]:
    """The largest share of the fake accounts that a detector has reviewed, and its name."""
    joined = poisoned(attack, graph)
    fake = np.arange(joined.num_users) >= joined.num_real_users
    reviewed = max(int(fake.sum()), round(REVIEWED * joined.num_users))
    shares = {
        name: float(fake[np.argsort(-scores, kind="stable")[:reviewed]].sum() / fake.sum())
        for name, scores in suspicions(joined, seed=seed).items()
    }
    best = max(shares, key=lambda name: shares[name])
    return shares[best], best if shares[best] else "none"
