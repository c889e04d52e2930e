"""The checked metrics, targets and groups of users of an evaluation."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .._settings import digest
from ..graphs import Graph, Interactions, NodeGraph
from ..metrics import (
    PAIR_METRICS,
    RELEVANCE_METRICS,
    TARGET_METRICS,
    RankingMetric,
    parse_metric,
)
from ..perturbation import Perturbation
from .measures import AccuracyMeasure, Measure, PairMetrics, RecommenderMeasure
from .ranking import Ranking

OWN_GROUPS = ("all", "touched", "untouched")


@dataclass(frozen=True)
class Chosen:
    """Checked arguments of ``evaluate``.

    Args:
        pairs: metrics of pairs, or ``("accuracy",)`` for nodes.
        rankings: metrics of lists.
        targets: the target items; empty if no metric needs them.
        groups: the name and the users of each group.
        default: whether no metric was named; log loss and accuracy then need scores that are
            log-odds.
    """

    pairs: tuple[str, ...]
    rankings: tuple[RankingMetric, ...] = ()
    targets: tuple[int, ...] = ()
    groups: tuple[tuple[str, tuple[int, ...]], ...] = ()
    default: bool = False

    def describe(self) -> dict[str, Any]:
        """The arguments as JSON values."""
        return {
            "metrics": [*self.pairs, *(metric.name for metric in self.rankings)],
            "targets": list(self.targets),
            "groups": {
                name: f"{len(users)} users {digest(torch.tensor(users))}"
                for name, users in self.groups
            },
        }

    def measure(self, graph: Graph, include_perturbed: bool) -> Measure:
        """The metrics of victims on ``graph``.

        Raises:
            TypeError, ValueError: ``graph`` lacks masks or pairs that the metrics need.
        """
        if not isinstance(graph, Interactions):
            return AccuracyMeasure(graph)
        pairs = PairMetrics(graph, self.pairs, include_perturbed, self.default)
        return RecommenderMeasure(graph, pairs, self.ranking(graph) if self.rankings else None)

    def ranking(self, graph: Interactions) -> Ranking:
        """The metrics of lists on ``graph``."""
        device = graph.edge_index.device

        def tensor(numbers: tuple[int, ...]) -> Tensor:
            return torch.tensor(numbers, dtype=torch.long, device=device)

        groups = {name: tensor(users) for name, users in self.groups}
        return Ranking(graph, self.rankings, tensor(self.targets), groups, bool(self.pairs))


def chosen_metrics(
    graph: Graph,
    attacks: Mapping[str, Perturbation],
    metrics: Sequence[str] | str | None = None,
    targets: Any = None,
    groups: Mapping[str, Any] | None = None,
) -> Chosen:
    """The checked arguments of :func:`graphpoison.evaluate`.

    Raises:
        ValueError: an argument does not fit ``graph`` or another argument.
    """
    if isinstance(graph, NodeGraph):
        names = ["accuracy"] if metrics is None else _listed(metrics)
        if set(names) != {"accuracy"} or targets is not None or groups:
            raise ValueError(
                f"metrics={names!r}, targets and groups: the only metric of a graph of nodes is "
                "'accuracy' of all test nodes; the others are for interactions."
            )
        return Chosen(("accuracy",))
    names = list(PAIR_METRICS) if metrics is None else _listed(metrics)
    parsed = [parse_metric(name) for name in names]
    rankings = tuple(metric for metric in parsed if isinstance(metric, RankingMetric))
    pairs = tuple(metric for metric in parsed if isinstance(metric, str))
    _check_rankings(graph, rankings)
    if groups and not rankings:
        raise ValueError(
            "groups of users only have ranking metrics, e.g. metrics=['ndcg@10']; found "
            f"metrics={names!r}."
        )
    about_targets = any(metric.kind in TARGET_METRICS for metric in rankings)
    if targets is not None and not about_targets:
        raise ValueError(
            f"targets are for the metrics {[f'{kind}@k' for kind in TARGET_METRICS]}; found "
            f"metrics={names!r}."
        )
    items = _targets(graph, attacks, targets) if about_targets else ()
    return Chosen(pairs, rankings, items, _groups(graph, groups or {}), metrics is None)


def _listed(metrics: Sequence[str] | str) -> list[str]:
    if not isinstance(metrics, Iterable):
        raise TypeError(f"metrics must be names such as ['ndcg@10'], found {metrics!r}.")
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    if not names:
        raise ValueError("metrics must be one or more names such as 'ndcg@10', found none.")
    return list(dict.fromkeys(names))


def _check_rankings(graph: Interactions, metrics: Iterable[RankingMetric]) -> None:
    for metric in metrics:
        if metric.k > graph.num_items:
            raise ValueError(
                f"metrics has {metric.name!r}, but the graph has {graph.num_items} items: a list "
                f"has at most {graph.num_items}."
            )
        unseen = graph.unseen
        if metric.kind in RELEVANCE_METRICS and (unseen is None or not unseen.size(1)):
            raise ValueError(
                f"metrics has {metric.name!r}, which needs unseen pairs, but data has none; set "
                "unseen_edge_index, or measure coverage, popularity or overlap."
            )


def _targets(
    graph: Interactions, attacks: Mapping[str, Perturbation], targets: Any
) -> tuple[int, ...]:
    """The target items; by default the items that the attacks record, which must agree."""
    if targets is not None:
        return _numbers("targets", targets, graph.num_items, "items")
    recorded = {
        tuple(sorted(map(int, attack.meta["targets"])))
        for attack in attacks.values()
        if attack.meta.get("targets") is not None
    }
    if len(recorded) != 1:
        found = f"the attacks have {sorted(recorded)}" if recorded else "no attack records any"
        raise ValueError(f"targets must be given, e.g. targets=[3, 17], because {found}.")
    return _numbers("targets", recorded.pop(), graph.num_items, "items")


def _groups(
    graph: Interactions, groups: Mapping[str, Any]
) -> tuple[tuple[str, tuple[int, ...]], ...]:
    for name in groups:
        if not isinstance(name, str) or name in OWN_GROUPS:
            raise ValueError(
                f"groups has the name {name!r}; give a string other than {list(OWN_GROUPS)}, "
                "which every report has."
            )
    real = graph.num_real_users
    return tuple(
        (name, _numbers(f"groups[{name!r}]", users, real, "users"))
        for name, users in groups.items()
    )


def _numbers(argument: str, found: Any, size: int, kind: str) -> tuple[int, ...]:
    """The distinct numbers of ``found``, sorted; all must be below ``size``."""
    given = torch.as_tensor(found)
    if given.dim() != 1 or not given.numel() or given.is_floating_point() or given.is_complex():
        raise ValueError(f"{argument} must be one or more numbers of {kind}, found {found!r}.")
    if given.dtype == torch.bool:
        raise ValueError(f"{argument} must be numbers of {kind}, found a mask; use mask.nonzero().")
    numbers = given.unique()
    if int(numbers[0]) < 0 or int(numbers[-1]) >= size:
        raise ValueError(
            f"{argument} has numbers from {int(numbers[0])} to {int(numbers[-1])}, but the graph "
            f"has {size} {kind} (0 to {size - 1})."
        )
    return tuple(numbers.tolist())
