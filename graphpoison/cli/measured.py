"""Victims, metrics and groups of users of ``graphpoison evaluate``."""

from collections.abc import Mapping, Sequence
from typing import Any

from .._checks import choice
from ..graphs import Graph, NodeGraph
from ..metrics import parse_metric
from ..models import RECOMMENDERS, recommender
from ..perturbation import Perturbation
from ..training.criteria import CRITERIA
from ..victims import RecommenderVictim, node_victim, recommender_victim

RECOMMENDER = "ease"
TRAINED = "cf"
"""The default victim of interactions if a loss is given: a recommender trained on pairs."""
LISTS = (("ndcg", 10), ("recall", 20))
TARGET_LISTS = (("t-hr", 10), ("t-hr", 50))
NO_UNSEEN = (("overlap", 10),)
OFF_LIMITS = "off limits"


def listed(values: Sequence[str] | None) -> list[str]:
    """Return the names of an option that may be given several times, or with commas."""
    return [part.strip() for value in values or () for part in value.split(",")]


def chosen_victims(graph: Graph, names: Sequence[str] | None, loss: Any) -> list[Any] | None:
    """Return the victims with the given names.

    The default for interactions is ``ease``, or ``cf`` if ``loss`` is given. For nodes, None stands
    for the default of :func:`.evaluate`, which is ``gcn``.

    Raises:
        ValueError: a name is unknown or given twice; ``loss`` is given for nodes, or for a victim
            that is not trained on pairs.
    """
    found = listed(names)
    if len(set(found)) < len(found):
        raise ValueError(f"victims={','.join(found)!r} has one name twice: give it once.")
    if isinstance(graph, NodeGraph):
        if loss is not None:
            raise ValueError("loss is for graphs of interactions, found one of nodes.")
        return [node_victim(name) for name in found] or None
    if loss is None:
        return [recommender_victim(name) for name in found or [RECOMMENDER]]
    choice("loss", loss, CRITERIA)
    models = [(name, recommender(name, "victim")) for name in found or [TRAINED]]
    for name, model in models:
        if model.is_closed_form:
            trained = [name for name in RECOMMENDERS if not RECOMMENDERS[name]().is_closed_form]
            raise ValueError(
                f"loss={loss!r} is for victims that are trained on pairs, found {name!r}; name one "
                f"of {trained}, or leave the loss out."
            )
    suffix = "" if loss == CRITERIA[0] else f"-{loss}"
    return [RecommenderVictim(model, name + suffix, loss=loss) for name, model in models]


def metrics_of(
    graph: Graph, names: Sequence[str] | None, attacks: Mapping[str, Perturbation]
) -> list[str]:
    """Return the names of the metrics, which are checked.

    The default for nodes is ``accuracy``. The default for interactions is ``ndcg@10`` and
    ``recall@20``, or ``overlap@10`` if no interactions are unseen; if the attacks promote items,
    ``t-hr@10`` and ``t-hr@50`` come first. If there are fewer than k items, k is their number.

    Raises:
        ValueError: a name is unknown.
    """
    if isinstance(graph, NodeGraph):
        for name in listed(names):
            choice("metric", name, ["accuracy"])
        return ["accuracy"]
    if names:
        for name in listed(names):
            parse_metric(name)
        return listed(names)
    tested = graph.unseen is not None and bool(graph.unseen.size(1))
    kinds = LISTS if tested else NO_UNSEEN
    if promoted(attacks):
        kinds = (*TARGET_LISTS, *kinds)
    found = [f"{kind}@{min(k, graph.num_items)}" for kind, k in kinds]
    return list(dict.fromkeys(found))


def promoted(attacks: Mapping[str, Perturbation]) -> list[int]:
    """Return the sorted indices of the items that the attacks promote."""
    return sorted(
        {int(item) for attack in attacks.values() for item in attack.meta.get("targets") or ()}
    )


def about_lists(metrics: Sequence[str]) -> bool:
    """Whether one of ``metrics`` is a ranking metric, which is reported for groups of users."""
    return any("@" in metric for metric in metrics)
