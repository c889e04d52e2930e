"""Victims that rank no better than the popularity of items does."""

import logging
from collections.abc import Iterator

import pandas as pd
import torch
from torch import Tensor

from ..graphs import Interactions
from ..metrics import RankingMetric
from .fitted import Fitted
from .lists import read_victim
from .ranking import Lists, Ranking

logger = logging.getLogger(__name__)

BETTER = ("ndcg", "recall", "hr", "mrr")
MARGIN = 1.1
"""A victim counts as better from this multiple of the popularity ranking's metric."""


class Popularity:
    """A recommender that ranks items by their number of training interactions, for every user."""

    def __init__(self, graph: Interactions) -> None:
        self.counts = torch.bincount(graph.edge_index[1], minlength=graph.num_items).double()

    def scores(self, users: Tensor) -> Tensor:
        """The numbers of interactions [U', I]."""
        return self.counts.expand(users.numel(), -1)


def weak_victims(
    graph: Interactions, metrics: tuple[RankingMetric, ...], runs: pd.DataFrame
) -> list[str]:
    """A sentence for each victim whose clean ranking is less than 10% above a ranking by
    popularity in one of ``metrics``, also logged as a warning.

    Both are means over all users with unseen pairs. The popularity ranking leaves out the items
    that the user has in the clean graph.
    """
    compared = tuple(metric for metric in metrics if metric.kind in BETTER)
    if not compared:
        return []
    reference = _reference(graph, compared)
    found = list(_sentences(reference, runs[runs["users"] == "all"]))
    for sentence in found:
        logger.warning("%s", sentence)
    return found


def _reference(graph: Interactions, metrics: tuple[RankingMetric, ...]) -> dict[str, float]:
    """The metrics of the popularity ranking."""
    ranking = Ranking(graph, metrics, graph.edge_index.new_empty(0), {})
    fitted = Fitted("popularity", Popularity(graph), graph)
    lists, _ = read_victim(fitted, ranking.users, ranking.hidden(graph), ranking.k)
    return {row.metric: row.clean for row in ranking(Lists(lists, lists))}


def _sentences(reference: dict[str, float], runs: pd.DataFrame) -> Iterator[str]:
    for victim, rows in runs.groupby("victim", sort=False):
        clean = rows.groupby("metric", sort=False)["clean"].mean()
        weak = [
            f"{name} is {clean[name]:.4f}, by popularity {reference[name]:.4f}"
            for name in reference
            if name in clean and clean[name] < MARGIN * reference[name]
        ]
        if weak:
            yield (
                f"On the clean graph, victim {victim} is less than 10% better than a ranking by "
                f"popularity: {'; '.join(weak)}."
            )
