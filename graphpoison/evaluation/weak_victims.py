"""Victims that are hardly better than a trivial baseline, so that no attack can harm them."""

from collections.abc import Iterator, Sequence

import pandas as pd

from ..graphs import Interactions, NodeGraph
from ..metrics import RankingMetric, majority_share
from ..victims import Victim
from ..victims.recommenders.popularity import Popularity
from .fitted import fitted
from .lists import read_victim
from .ranking import Lists, Ranking

BETTER = ("ndcg", "recall", "hr", "mrr")
MARGIN = 1.1
"""A victim counts as better if its metric is at least this multiple of the popularity ranking's."""


def weak_classifiers(graph: NodeGraph, runs: pd.DataFrame) -> list[str]:
    """A warning for each victim whose clean accuracy (mean over seeds) is no better than predicting
    the most frequent class of the test nodes always."""
    share = majority_share(graph.y[graph.mask("test_mask")])
    clean = runs.groupby("victim", sort=False)["clean"].mean()
    return [
        f"On the clean graph, victim {victim} is no better than the most frequent class: accuracy "
        f"{accuracy:.3f}, against {share:.3f}."
        for victim, accuracy in clean.items()
        if accuracy <= share
    ]


def weak_recommenders(
    graph: Interactions,
    metrics: tuple[RankingMetric, ...],
    victims: Sequence[Victim],
    runs: pd.DataFrame,
) -> list[str]:
    """A warning for each victim whose clean ranking is less than 10% better than a ranking by
    popularity in one of ``metrics``.

    Both are means over all users with unseen pairs. The popularity ranking leaves out the items
    that the user has in the clean graph. There is no warning for the victim ``popularity`` itself.
    """
    compared = tuple(metric for metric in metrics if metric.kind in BETTER)
    if not compared:
        return []
    reference = _reference(graph, compared)
    judged = [victim.name for victim in victims if not isinstance(victim, Popularity)]
    rows = runs[(runs["users"] == "all") & runs["victim"].isin(judged)]
    return list(_sentences(reference, rows))


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
