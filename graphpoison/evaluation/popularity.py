"""Victims that rank no better than the popularity of items does."""

import logging
from collections.abc import Iterator, Sequence

import pandas as pd

from ..graphs import Interactions
from ..metrics import RankingMetric
from ..victims import Victim
from ..victims.recommenders.popularity import Popularity
from .fitted import fitted
from .lists import read_victim
from .ranking import Lists, Ranking

logger = logging.getLogger(__name__)

BETTER = ("ndcg", "recall", "hr", "mrr")
MARGIN = 1.1
"""A victim counts as better from this multiple of the popularity ranking's metric."""


def weak_victims(
    graph: Interactions,
    metrics: tuple[RankingMetric, ...],
    victims: Sequence[Victim],
    runs: pd.DataFrame,
) -> list[str]:
    """A sentence for each victim whose clean ranking is less than 10% above a ranking by
    popularity in one of ``metrics``, also logged as a warning.

    Both are means over all users with unseen pairs. The popularity ranking leaves out the items
    that the user has in the clean graph. Nothing is said of a victim that is this ranking.
    """
    compared = tuple(metric for metric in metrics if metric.kind in BETTER)
    if not compared:
        return []
    reference = _reference(graph, compared)
    judged = [victim.name for victim in victims if not isinstance(victim, Popularity)]
    rows = runs[(runs["users"] == "all") & runs["victim"].isin(judged)]
    found = list(_sentences(reference, rows))
    for sentence in found:
        logger.warning("%s", sentence)
    return found


def _reference(graph: Interactions, metrics: tuple[RankingMetric, ...]) -> dict[str, float]:
    """The metrics of the popularity ranking."""
    ranking = Ranking(graph, metrics, graph.edge_index.new_empty(0), {})
    popular = fitted(Popularity(), graph, seed=0)
    lists, _ = read_victim(popular, ranking.users, ranking.hidden(graph), ranking.k)
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
