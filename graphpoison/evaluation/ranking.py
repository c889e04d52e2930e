"""Metrics of the first k items that recommenders rank for every real user."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..graphs import Interactions
from ..graphs.codes import among
from ..metrics import (
    RELEVANCE_METRICS,
    RankingMetric,
    confidence_halfwidth,
)
from ..perturbation import Perturbation
from .checkpoint import Measured
from .lists import Rows

SPLIT = "unseen"


class Lists(NamedTuple):
    """The lists of the clean and of the poisoned victim, LongTensors [U', K]. An entry equal to the
    number of items stands for no item."""

    clean: Tensor
    poisoned: Tensor


@dataclass(frozen=True, eq=False)
class Ranking:
    """Ranking metrics of clean and poisoned victims, for all users and for groups of users.

    Both victims rank all items except the user's training interactions in the clean or in the
    poisoned graph. Fake users are left out.

    Args:
        graph: the clean graph.
        metrics: one or more metrics.
        targets: LongTensor [T], the target items of the target metrics.
        groups: LongTensors of real users by name, besides all, touched and untouched users.
        everyone: whether to make lists for all real users; otherwise users without an unseen pair
            are left out if no metric needs them.
    """

    graph: Interactions
    metrics: Sequence[RankingMetric]
    targets: Tensor
    groups: Mapping[str, Tensor]
    everyone: bool = False

    @property
    def k(self) -> int:
        """The length of the longest list."""
        return max(metric.k for metric in self.metrics)

    @property
    def users(self) -> Tensor:
        """The users [U'] whose lists are read, sorted."""
        only = {metric.kind for metric in self.metrics} <= set(RELEVANCE_METRICS)
        if only and not self.everyone and self.graph.unseen is not None:
            owners: Tensor = self.graph.unseen[0].unique()
            return owners[owners < self.graph.num_real_users]
        return torch.arange(self.graph.num_real_users, device=self.graph.edge_index.device)

    def hidden(self, poisoned: Interactions) -> Rows:
        """The items of each real user that are left out of the list."""
        pairs = torch.cat([self.graph.edge_index, poisoned.edge_index], dim=1)
        return Rows.of(pairs, self.graph.num_real_users)

    def refuse_test_pairs(self, name: str, poisoned: Interactions) -> None:
        """Raise a ValueError if unseen pairs are training interactions of the poisoned graph."""
        unseen = self.graph.unseen
        if unseen is None:
            return
        both = unseen[:, among(unseen, poisoned.edge_index, self.graph.num_items)]
        if both.size(1):
            shown = ", ".join(f"({user}, {item})" for user, item in both[:, :5].t().tolist())
            more = ", ..." if both.size(1) > 5 else ""
            raise ValueError(
                f"{both.size(1)} unseen pairs are training interactions of the graph poisoned by "
                f"{name!r}: {shown}{more}. Ranking metrics test on unseen pairs, so an attack must "
                "not add them; make the attack on the data that hold these unseen pairs."
            )

    def __call__(self, lists: Lists, attack: Perturbation | None = None) -> list[Measured]:
        """Every metric for every group with users in it; without ``attack``, no user is touched."""
        users = self.users
        groups = self._groups(attack, users)
        relevant = self._relevant(users)
        found: list[Measured] = []
        for metric in self.metrics:
            if metric.kind == "coverage":
                found += list(self._coverage(metric, lists, groups))
                continue
            before, now = (
                self._values(metric, side, lists.clean, users, relevant) for side in lists
            )
            found += list(_means(metric, before, now, groups))
        return found

    def _groups(self, attack: Perturbation | None, users: Tensor) -> dict[str, np.ndarray]:
        """Which of ``users`` [U'] are in each group, by its name."""
        hit = users[:0] if attack is None else attack.pairs[0].to(users.device)
        touched = torch.isin(users, hit)
        parts = {"all": torch.ones_like(touched), "touched": touched, "untouched": ~touched}
        parts |= {name: torch.isin(users, part) for name, part in self.groups.items()}
        return {name: part.cpu().numpy() for name, part in parts.items()}

    def _relevant(self, users: Tensor) -> Tensor:
        """The unseen pairs [2, K] of ``users``, with each user's position as number."""
        none = users.new_empty(2, 0)
        unseen = none if self.graph.unseen is None else self.graph.unseen
        return Rows.of(unseen, self.graph.num_real_users).select(users)

    def _values(
        self, metric: RankingMetric, lists: Tensor, clean: Tensor, users: Tensor, relevant: Tensor
    ) -> np.ndarray:
        """The metric for each user, [U', 1]; ``t-hr`` and ``t-ndcg`` for each user and target,
        [U', T]. NaN for users who do not count."""
        shown, k = lists[:, : metric.k], metric.k
        if metric.kind in RELEVANCE_METRICS:
            values = relevance_values(metric, shown, relevant)
        elif metric.kind == "popularity":
            values = self._popularity(shown)
        elif metric.kind == "overlap":
            values = _overlap(clean[:, :k], shown, self.graph.num_items)
        elif metric.kind == "any-t-hr":
            values = torch.isin(shown, self.targets).any(dim=1).double()
        else:
            values = self._target_values(metric, shown, users)
        found: np.ndarray = values.double().cpu().numpy()
        return found.reshape(len(found), -1)

    def _popularity(self, shown: Tensor) -> Tensor:
        """The mean number of clean training interactions [U'] of the items in each list."""
        items = self.graph.num_items
        counts = torch.bincount(self.graph.edge_index[1], minlength=items).double()
        return torch.cat([counts, counts.new_tensor([torch.nan])])[shown].nanmean(dim=1)

    def _target_values(self, metric: RankingMetric, shown: Tensor, users: Tensor) -> Tensor:
        """For each user and target, whether the target is in the list (``t-hr``) or the discount of
        its rank (``t-ndcg``): [U', T]. NaN for users who have the target in the clean graph."""
        places = torch.arange(2, shown.size(1) + 2, device=shown.device).double()
        worth = torch.ones_like(places) if metric.kind == "t-hr" else 1 / places.log2()
        hits = [((shown == target) * worth).sum(dim=1) for target in self.targets.tolist()]
        values = torch.stack(hits, dim=1)
        pairs = Rows.of(self.graph.edge_index, self.graph.num_real_users).select(users)
        for column, target in enumerate(self.targets.tolist()):
            values[pairs[0, pairs[1] == target], column] = torch.nan
        return values

    def _coverage(
        self, metric: RankingMetric, lists: Lists, groups: Mapping[str, np.ndarray]
    ) -> Iterator[Measured]:
        """The share of all items that are in the list of at least one user of the group."""
        for name, chosen in groups.items():
            if chosen.any():
                rows = torch.from_numpy(chosen).to(lists.clean.device)
                before, now = (_share(side[rows, : metric.k], self.graph) for side in lists)
                count = int(chosen.sum())
                yield Measured(metric.name, SPLIT, before, now, name, num_users=count)


def relevance_values(metric: RankingMetric, lists: Tensor, relevant: Tensor) -> Tensor:
    """The metric [U'] of each list [U', K], by :mod:`torch_geometric.metrics`.

    Args:
        metric: a metric of a kind in :data:`graphpoison.metrics.RELEVANCE_METRICS`.
        lists: items in order; a number beyond all items stands for no item.
        relevant: pairs [2, L] (row of ``lists``, item); the metric of rows without a pair is NaN.
    """
    from torch_geometric.metrics import link_pred  # takes long to import

    classes: dict[str, Any] = {
        "ndcg": link_pred.LinkPredNDCG,
        "recall": link_pred.LinkPredRecall,
        "hr": link_pred.LinkPredHitRatio,
        "precision": link_pred.LinkPredPrecision,
        "mrr": link_pred.LinkPredMRR,
        "map": link_pred.LinkPredMAP,
    }
    data = link_pred.LinkPredMetricData(lists, relevant)
    if not lists.size(0):
        return lists.new_empty(0, dtype=torch.double)
    values: Tensor = classes[metric.kind](metric.k).to(lists.device)._compute(data).double()
    return values.where(data.label_count > 0, torch.nan)


def _means(
    metric: RankingMetric, before: np.ndarray, now: np.ndarray, groups: Mapping[str, np.ndarray]
) -> Iterator[Measured]:
    """The metric of each group: the mean over users of each column, then over columns."""
    for name, chosen in groups.items():
        counts = chosen & ~np.isnan(before).all(axis=1) & ~np.isnan(now).all(axis=1)
        if counts.any():
            clean, poisoned = _shares(before[counts]), _shares(now[counts])
            half = confidence_halfwidth(clean - poisoned)
            means = float(clean.mean()), float(poisoned.mean())
            yield Measured(metric.name, SPLIT, *means, name, half, int(counts.sum()))


def _shares(values: np.ndarray) -> np.ndarray:
    """Values [U'] whose mean is the mean of the column means of ``values`` [U', T]; NaN entries
    are ignored."""
    per_column = (~np.isnan(values)).sum(axis=0)
    kept = per_column > 0
    sums = np.nansum(values[:, kept] / per_column[kept], axis=1)
    found: np.ndarray = sums * (len(values) / kept.sum())
    return found


def _overlap(clean: Tensor, shown: Tensor, nothing: int) -> Tensor:
    """The share [U'] of each clean list that is in the list ``shown``; NaN for an empty list."""
    rows = torch.arange(len(clean), device=clean.device).unsqueeze(1) * (nothing + 1)
    listed = clean != nothing
    there = torch.isin(rows + clean, rows + shown) & listed
    return there.sum(dim=1).double() / listed.sum(dim=1)


def _share(shown: Tensor, graph: Interactions) -> float:
    items = shown.unique()
    return int((items < graph.num_items).sum()) / graph.num_items
