"""Audits: how many fake accounts promote an item, and whether a filter detects the accounts."""

import functools
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
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
from .evaluation.accounts import promotion_hit_rate, users_needed
from .evaluation.detectability import suspicions
from .graphs import Interactions, read_interactions
from .perturbation import Perturbation
from .ranking_presets import promote
from .victims import AnyVictim, Victim, recommender_victim

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REVIEWED = 0.01
"""Share of the accounts that are reviewed: the accounts that a filter finds most suspicious."""
STEPS = 32  # precision of the number of accounts: the largest number over STEPS
GRADIENTS = 15
"""Gradients of each attack. On MovieLens-100K, 60 gradients raise a hit rate by 8% at most."""


@dataclass(frozen=True, eq=False, repr=False)
class PromotionAudit:
    """The result of :func:`audit_promotions`.

    Args:
        table: DataFrame with one row for each item: ``item`` (its id), ``users`` (the number of
            real users who have the item), ``before`` (the hit rate
            without fake accounts), ``accounts`` (the number of fake accounts that promote the item:
            0 if ``before`` is enough, missing if ``most`` accounts are not enough),
            ``share_of_users`` (``accounts`` over the number of real users), ``hit_rate`` (the share
            of the users without the item who get it in their top k; with ``most`` accounts if these
            are not enough), ``caught`` (the share of the fake accounts that are among the most
            suspicious accounts) and ``detector`` (the detector with the largest share).
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
    share: float = 0.05,
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
    :func:`promote` with 15 gradients. The accounts promote the item if the retrained ``victim``
    ranks it among the first ``k`` items for a ``share`` of the users who do not have it.

    The detectors of :func:`detectability` then score all accounts. The reviewed accounts are the 1%
    with the highest scores, or as many as there are fake accounts if these are more. ``caught`` is
    the share of the fake accounts that are reviewed, for the best detector.

    Args:
        data: the clean graph.
        items: indices of the items; by default ``sample`` items, in equal steps of rank from the
            least to the most popular item.
        sample: number of items if ``items`` is None.
        share: the share of users to reach, in (0, 1].
        k: length of the recommended list.
        profile_length: number of interactions of a fake account; by default the mean over users.
        most: the largest number of accounts to try, by default 5% of the users, but at least 10.
        victim: name or object of a recommender, as :func:`evaluate` takes it.
        seed: seed of the attacks and of the victim.
        progress: show a progress bar.

    Raises:
        TypeError, ValueError: an argument is out of range, or the graph lacks an item.
    """
    graph, seed = read_interactions(data), seed_number("seed", seed)
    in_range("share", share, 0.0, 1.0, open_low=True)
    popularity = torch.bincount(graph.edge_index[1], minlength=graph.num_items)
    if items is None:
        count = min(positive_int("sample", sample), graph.num_items)
        ranked = popularity.argsort(stable=True)
        chosen = ranked[torch.linspace(0, graph.num_items - 1, count).long()].tolist()
    else:
        chosen = node_ids("items", items, graph.num_items).tolist()
    usual = max(1, round(graph.edge_index.size(1) / graph.num_users))
    length = usual if profile_length is None else positive_int("profile_length", profile_length)
    largest = max(10, graph.num_users // 20) if most is None else positive_int("most", most)
    model = recommender_victim(victim)
    limits = _Limits(share, k, length, largest, seed)
    rows = [
        {
            "item": item if graph.item_ids is None else graph.item_ids[item],
            "users": int(popularity[item]),
            **_audited(graph, item, model, limits),
        }
        for item in tracked(chosen, len(chosen), "item", progress)
    ]
    table = pd.DataFrame(rows).astype({"accounts": "Int64"})
    place = list(table.columns).index("accounts") + 1
    table.insert(place, "share_of_users", table["accounts"] / graph.num_users)
    settings = {
        "users": graph.num_users,
        "items": graph.num_items,
        "share": share,
        "k": k,
        "profile_length": length,
        "most": largest,
        "victim": model.name,
        "seed": seed,
    }
    return PromotionAudit(table, settings)


@dataclass(frozen=True)
class _Limits:
    """Settings of an audit, see :func:`audit_promotions`."""

    share: float
    k: int
    length: int
    most: int
    seed: int


def _audited(graph: Interactions, item: int, victim: Victim, limits: _Limits) -> dict[str, Any]:
    """The columns of an audit's table from ``before`` on, for one item."""

    @functools.cache
    def make(number: int) -> Perturbation:
        return promote(graph, [item], number, limits.length, limits.k, limits.seed, steps=GRADIENTS)

    rate = promotion_hit_rate(graph, victim, [item], limits.k, limits.seed)
    before = rate(make(limits.most).prefix(0))
    if before >= limits.share:
        shown = {"accounts": 0, "hit_rate": before, "caught": math.nan, "detector": ""}
        return {"before": before, **shown}
    reached, needed, number = rate(make(limits.most)), None, limits.most
    if reached >= limits.share:
        step = max(1, limits.most // STEPS)
        search = users_needed(make, rate, limits.share, limits.most, step=step)
        assert search.number is not None
        needed = number = search.number
        reached = float(search.curve.set_index("num_users")["hit_rate"][number])
    caught, detector = _caught(graph, make(number), limits.seed)
    made = {"hit_rate": reached, "caught": caught, "detector": detector}
    return {"before": before, "accounts": needed, **made}


def _caught(graph: Interactions, attack: Perturbation, seed: int) -> tuple[float, str]:
    """Return the largest share of the fake accounts that a detector has reviewed, and its name."""
    joined = poisoned(attack, graph)
    fake = np.arange(joined.num_users) >= joined.num_real_users
    reviewed = max(int(fake.sum()), round(REVIEWED * joined.num_users))
    shares = {
        name: float(fake[np.argsort(-scores, kind="stable")[:reviewed]].sum() / fake.sum())
        for name, scores in suspicions(joined, seed=seed).items()
    }
    best = max(shares, key=lambda name: shares[name])
    return shares[best], best
