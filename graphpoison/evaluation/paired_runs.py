"""Evaluation of attacks: pairs of victims retrained on the clean and on the poisoned graph."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData

from .._checks import seed_number
from .._progress import tracked
from .._settings import describe
from ..apply import poisoned, refuse_another_graph
from ..budget import Budget
from ..graphs import Graph, Interactions, NodeGraph, read_graph
from ..perturbation import Perturbation
from ..provenance import SERIES, Clock, environment, graph_digest
from ..report import Report
from ..victims import AnyVictim, Victim, victims_of
from .checkpoint import (
    Checkpoint,
    Measured,
    Prefixes,
    Unit,
    one_edge_type,
    parts_of,
    prefixes_of,
    refuse_same_names,
    weak_prefixes,
)
from .chosen import chosen_metrics
from .fitted import Fitted, fitted
from .measures import Measure
from .weak_victims import weak_classifiers, weak_recommenders

logger = logging.getLogger(__name__)

DEFAULT_METRICS = ("ndcg@10", "recall@20")
"""The metrics of recommenders if neither victims nor metrics are given."""
FEWEST_ITEMS = 20  # smallest number of items for the default metrics


def evaluate(
    data: Data | HeteroData | Graph,
    perturbation: Perturbation | Mapping[str, Perturbation],
    victims: AnyVictim | Sequence[AnyVictim] | None = None,
    seeds: Sequence[int] = range(5),
    budgets: Sequence[int | float | Budget] | None = None,
    include_perturbed: bool = False,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    metrics: Sequence[str] | str | None = None,
    targets: Sequence[int] | Tensor | None = None,
    groups: Mapping[str, Sequence[int] | Tensor] | None = None,
) -> Report:
    """Retrain victims from fresh initialisations on the clean and on the poisoned graph.

    Each seed trains one victim on the clean and one on the poisoned graph, so drops are paired by
    seed. Fake users are excluded from every metric: the clean victim was not trained on them. With
    budget 0, fake users have joined, but no pair is flipped.

    For ranking metrics, the clean and the poisoned victim rank the same items: all items except the
    user's training interactions in the clean or in the poisoned graph. The relevant items are the
    items of a real user's unseen pairs; users without unseen pairs have no ndcg, recall, precision,
    hr, mrr and map. Of items with equal scores, the item with the smaller number comes first.

    Args:
        data: the clean graph, of PyG or read by :func:`read_graph`.
        perturbation: one attack, or several by name, e.g. an attack and random flips to compare.
        victims: one victim or several, by name or as objects.

            - For ``Data``: the classifiers ``"gcn"`` (default), ``"gat"``, ``"sage"``, ``"appnp"``,
              ``"sgc"`` and ``"mlp"``; the defences ``"gcn-jaccard"``, ``"gcn-svd"``,
              ``"gnnguard"``, ``"soft-median-gcn"``, ``"soft-median-gdc"``, ``"grand"`` and
              ``"rgcn"``; a name with ``":last"``, which keeps the last epoch; a
              :class:`ModuleVictim`; a module factory ``f(num_features, num_classes)``.
            - For ``HeteroData``: ``"ease"`` (default), ``"slim"``, ``"item-knn"``,
              ``"popularity"``, ``"implicit-als"``, ``"implicit-bpr"``, ``"mf-softmax"``,
              ``"mf-bpr"``, ``"lightgcn-bpr"`` and ``"mult-vae"``; models that can be surrogates:
              ``"cf"``, ``"gmf"``, ``"mlp"``, ``"neumf"``, ``"lightgcn"`` or settings such as
              ``CF(dim=8)``; a :class:`RecommenderVictim`; a module with
              ``scores(pairs, edge_index, edge_weight)``.
            - For either: a :func:`surrogate_victim`, or an object with the attributes of a
              :class:`Victim`.
        seeds: seeds of the victims' initialisation and dropout, integers from 0 on.
        budgets: numbers of flips; floats are shares of the clean edges, as in
            :meth:`Perturbation.prefix`. For each number, the victims are trained on the graph with
            this prefix of the perturbation. All flips by default. An attack that ended early, for
            lack of an admissible flip, is evaluated with all its flips.
        include_perturbed: keep the flipped pairs in metrics of pairs, with their labels in the
            poisoned data (thesis, section 4.2); left out by default.
        progress: show a progress bar.
        checkpoint: an SQLite file. The metrics of each combination of victim, seed, attack and
            budget are saved as soon as they are measured. Combinations in the file are not trained
            again, so seeds, budgets, victims and attacks can be added to the same file, by several
            processes at once. Your own module factory is identified by its source text.
        metrics: names of metrics. For nodes: ``"accuracy"``, on the nodes of ``test_mask``. For
            interactions:

            - Metrics of training and unseen pairs: ``"log_loss"``, ``"accuracy"``, ``"auroc"``;
              the default if ``victims`` are given. By default, a :class:`RecommenderVictim` with
              a ranking loss has AUROC only: its scores are not log-odds.
            - Metrics of the first k items of a ranking, for any k: ``"ndcg@10"``, ``"recall@10"``,
              ``"precision@10"``, ``"hr@10"``, ``"mrr@10"``, ``"map@10"``, ``"coverage@10"``,
              ``"popularity@10"``, ``"overlap@10"``. ``"ndcg@10"`` and ``"recall@20"`` are the
              default without ``victims``, if the data have unseen pairs and 20 or more items.
            - Metrics of target items: ``"t-hr@50"``, ``"t-ndcg@50"`` and ``"any-t-hr@50"``.
        targets: the target items of the metrics of target items; by default the items that the
            perturbations record as ``meta["targets"]``.
        groups: name of a group -> numbers of its real users. The ranking metrics are reported for
            all users, for touched users (with at least one flip), for untouched users and for each
            group.

    Returns:
        A report. Its ``meta`` has the digest of the graph, the settings of attacks and victims,
        seeds, budgets, versions, device and time. ``meta["warnings"]`` lists the victims that rank
        hardly better than item popularity, or classify no better than the most frequent class.

    Raises:
        TypeError: graph and perturbation are of different kinds, the graph lacks labels or masks,
            or a victim has no name or no predictions.
        ValueError: there are no seeds; a budget exceeds the budget of an attack; a victim is
            unknown; ``data`` is poisoned already, or its features, labels or masks are not valid;
            the checkpoint is damaged or of another evaluation; two victims have the same name; the
            predictions of a victim have a wrong shape, or are NaN; a metric is unknown, has a list
            longer than the number of items, or lacks the unseen pairs or targets that it needs; an
            attack adds an unseen pair, and there is a ranking metric.
        OSError: the checkpoint cannot be read.
        FloatingPointError: a victim's training is not finite.
    """
    attacks = (
        {"attack": perturbation} if isinstance(perturbation, Perturbation) else dict(perturbation)
    )
    graph = read_graph(data, _edge_type(data, attacks))
    seeds = distinct_seeds(seeds)
    if not attacks:
        raise ValueError("evaluate needs at least one perturbation.")
    if budgets is not None and not len(budgets):
        raise ValueError("budgets must be one or more numbers of flips, found none.")
    refuse_another_graph(attacks, graph, strict=False)
    prefixes = prefixes_of(attacks, budgets)
    chosen = victims_of(graph, victims)
    refuse_same_names(chosen)
    if isinstance(graph, Interactions):
        graph = graph.with_negatives().with_unseen_apart()
    if victims is None and metrics is None and _ranks(graph):
        metrics = DEFAULT_METRICS
    wanted = chosen_metrics(graph, attacks, metrics, targets, groups)
    for name, attack in attacks.items():
        after = poisoned(attack, graph)  # flips that do not fit are refused before any training
        if wanted.rankings and isinstance(graph, Interactions) and isinstance(after, Interactions):
            wanted.ranking(graph).refuse_test_pairs(name, after)
    measure = wanted.measure(graph, include_perturbed)
    basis = {**_basis(graph, include_perturbed), **wanted.describe()}
    notes = {f"attack {name!r}": describe(attack.meta) for name, attack in attacks.items()}
    kept = Checkpoint.open(checkpoint, basis, parts_of(chosen, prefixes), notes)
    clock = Clock(_environment(graph, chosen), kept.provenance)
    units = partial(_units, graph, measure, prefixes, chosen, seeds)
    rows = [
        row
        for unit in tracked(units(), sum(1 for _ in units()), "victim", progress)
        for row in kept.rows(unit, clock.read)
    ]
    runs = pd.DataFrame(rows)
    warnings = weak_prefixes(prefixes)
    if isinstance(graph, Interactions):
        warnings += weak_recommenders(graph, wanted.rankings, chosen, runs)
    else:
        warnings += weak_classifiers(graph, runs)
    for sentence in warnings:
        logger.warning("%s", sentence)
    depends = {
        **basis,
        "warnings": warnings,
        "attacks": {
            name: describe({**attack.meta, "provenance": attack.provenance})
            for name, attack in attacks.items()
        },
        "victims": describe(chosen),
        "seeds": seeds,
        "budgets": describe(None if budgets is None else list(budgets)),
        "provenance": clock.read(),
    }
    return Report(runs, attacks, graph, depends)


def distinct_seeds(seeds: Sequence[int]) -> list[int]:
    """``seeds`` as a list.

    Raises:
        TypeError: ``seeds`` are not several integers.
        ValueError: ``seeds`` are empty, negative or repeated.
    """
    if isinstance(seeds, int):
        raise TypeError(f"seeds must be several numbers such as range({seeds}), found {seeds}.")
    if not isinstance(seeds, Iterable):
        raise TypeError(f"seeds must be several numbers such as range(5), found {seeds!r}.")
    found = [seed_number("seeds", seed) for seed in seeds]
    if not found or len(set(found)) < len(found):
        raise ValueError(f"seeds must be one or more different numbers, found {found}.")
    return found


def _edge_type(data: object, attacks: Mapping[str, Perturbation]) -> Any:
    """The common edge type of all attacks; None for a graph of nodes."""
    if not isinstance(data, HeteroData | Interactions) or not attacks:
        return None
    return one_edge_type(attacks)


def _units(
    graph: Graph,
    measure: Measure,
    prefixes: Prefixes,
    victims: Sequence[Victim],
    seeds: list[int],
) -> Iterator[Unit]:
    """One unit for each victim, seed, attack and number of flips."""
    for victim in victims:
        for seed in seeds[:1] if getattr(victim, "deterministic", False) else seeds:
            clean = cache(partial(fitted, victim, graph, seed))
            for name, attacks in prefixes.items():
                for attack in attacks:
                    key = (victim.name, seed, name, len(attack))
                    yield Unit(key, partial(_measured, measure, victim, seed, clean, attack))


def _measured(
    measure: Measure, victim: Victim, seed: int, clean: Callable[[], Fitted], attack: Perturbation
) -> list[Measured]:
    if not len(attack) and attack.fake_users is None:
        return measure(clean(), clean(), measure.graph, attack)
    graph = poisoned(attack, measure.graph)
    return measure(clean(), fitted(victim, graph, seed), graph, attack)


def _basis(graph: Graph, include_perturbed: bool) -> dict[str, Any]:
    """The settings that all units of an evaluation share, as plain values."""
    basis = {
        "graphpoison": SERIES,
        "graph": graph_digest(graph),
        "include_perturbed": include_perturbed,
    }
    return basis if isinstance(graph, NodeGraph) else {**basis, "edge_type": list(graph.edge_type)}


def _environment(graph: Graph, victims: Sequence[Victim]) -> dict[str, Any]:
    """The environment of training, with device and dtype of the features of nodes, or the device of
    the interactions and the dtype of the first victim."""
    if isinstance(graph, NodeGraph):
        return environment(graph.x.device, graph.x.dtype)
    return environment(graph.edge_index.device, getattr(victims[0], "dtype", torch.float32))


def _ranks(graph: Graph) -> bool:
    """Whether ``graph`` has unseen interactions, and enough items for the default metrics."""
    if not isinstance(graph, Interactions) or graph.unseen is None:
        return False
    return bool(graph.unseen.numel()) and graph.num_items >= FEWEST_ITEMS
