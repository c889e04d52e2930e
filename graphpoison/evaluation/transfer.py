"""Transfer: the effect of attacks made with one model on other models."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from torch_geometric.data import Data, HeteroData

from .._checks import choice
from ..attacks import Attack, Injection, random_like
from ..budget import Budget
from ..graphs import Graph, Interactions, read_graph
from ..metrics import PAIR_METRICS, RankingMetric, parse_metric
from ..models import Surrogate
from ..perturbation import Perturbation
from ..report.summary import RANDOM, transfer
from ..tasks import NodeClassification, Recommendation, Task
from ..victims import AnyVictim
from .paired_runs import distinct_seeds, evaluate
from .ranking import SPLIT

BASELINE = "baseline"


def transfer_matrix(
    data: Data | HeteroData | Graph,
    surrogates: str | Sequence[Surrogate] | Mapping[str, Surrogate],
    victims: AnyVictim | Sequence[AnyVictim],
    attack: Attack | Injection | Mapping[str, Attack | Injection],
    budget: Budget | int | float,
    seeds: Sequence[int] = range(5),
    metric: str | None = None,
    split: str | None = None,
    baseline: Attack | Injection | None = None,
    checkpoints: str | os.PathLike[str] | None = None,
    progress: bool = False,
    targets: Sequence[int] | None = None,
    **options: Any,
) -> pd.DataFrame:
    """The drop of every victim by attacks through every surrogate (thesis, section 3.10 and
    Algorithm 4).

    Each seed makes one attack with each surrogate and trains the victims on the results, so the
    intervals include the variance of attacks and of victims.

    Args:
        data: the clean graph.
        surrogates: names or settings, as tasks take them; a mapping gives them your own names.
        victims: as in :func:`evaluate`.
        attack: the attack, or a mapping from the names of surrogates to attacks (their learning
            rates may differ).
        budget: number of flips, a share of the clean edges if a float, or a :class:`Budget`.
        seeds: seeds of attacks and victims.
        metric: one metric of :func:`evaluate`, such as ``"ndcg@10"``; by default ``"accuracy"``
            for nodes and ``"auroc"`` for interactions. Ranking metrics are means over all users.
        split: the part of the data on which the metric is computed: ``"test"`` nodes, or
            ``"train"`` or ``"unseen"`` pairs; by default ``"test"`` for nodes, and ``"unseen"`` for
            interactions (``"train"`` if the data have no unseen pairs).
        baseline: the attack with which the drops are compared, on the task of the first surrogate;
            by default :func:`random_like` of the first surrogate's attack.
        checkpoints: a folder for the checkpoints of all attacks and evaluations, from which a run
            is resumed.
        progress: show progress bars.
        targets: the target items of metrics such as ``"t-hr@50"``, see :func:`evaluate`.
        **options: more arguments of the tasks, e.g. ``objective="self"``. They do not apply to
            victims: with ``loss="bpr"`` the surrogates have the BPR loss, while a named victim
            still has the log loss; give ``RecommenderVictim(CF(), "cf", loss="bpr")``.

    Returns:
        A frame with one row for each (surrogate, victim). Its columns are ``clean`` and ``drop`` of
        the metric, ``ci95`` and ``flips``, and the same for the baseline: ``random``,
        ``random_ci95`` and ``random_flips``; all are means over seeds. An attack without an
        admissible flip left has fewer flips than the budget. ``frame["drop"].unstack()`` is the
        matrix. ``frame.attrs["provenance"]`` lists the ``meta`` of each seed's report, see
        :func:`evaluate`.

    Raises:
        TypeError, ValueError: as the task, the attack and :func:`evaluate` raise; two surrogates
            have the same name, or a surrogate has the name of the baseline; the metric or the split
            is not measured.
    """
    graph = read_graph(data, options.pop("edge_type", None))
    models, seeds = _named(surrogates), distinct_seeds(seeds)
    attacks = attack if isinstance(attack, Mapping) else dict.fromkeys(models, attack)
    for name in models:
        choice("surrogates", name, attacks)
    problems = {name: _task(graph, model, options) for name, model in models.items()}
    first = next(iter(problems.values()))
    metric, split = _compared(graph, metric, split)
    ranked = metric not in PAIR_METRICS
    baseline = baseline or random_like(attacks[next(iter(models))])
    reports = []
    for seed in seeds:
        found: dict[str, Perturbation] = {}
        for number, (name, task) in enumerate(problems.items()):
            file = _file(checkpoints, f"{number}-{seed}.npz")
            found[name] = attacks[name](task, budget, seed, progress, file)
        file = _file(checkpoints, f"{BASELINE}-{seed}.npz")
        found[BASELINE] = baseline(first, budget, seed, progress, file)
        file = _file(checkpoints, f"runs-{seed}.sqlite")
        report = evaluate(
            graph,
            found,
            victims,
            [seed],
            progress=progress,
            checkpoint=file,
            metrics=[metric] if ranked else None,
            targets=targets,
        )
        reports.append(report)
    runs = pd.concat([report.runs for report in reports])
    frame = transfer(runs, metric, split, BASELINE)
    frame.attrs["provenance"] = [dict(report.meta) for report in reports]
    return frame


def _file(folder: str | os.PathLike[str] | None, name: str) -> Path | None:
    return None if folder is None else Path(folder, name)


def _named(
    surrogates: str | Sequence[Surrogate] | Mapping[str, Surrogate],
) -> dict[str, Surrogate]:
    if isinstance(surrogates, Mapping):
        named = dict(surrogates)
    else:
        surrogates = [surrogates] if isinstance(surrogates, str) else surrogates
        named = {model if isinstance(model, str) else repr(model): model for model in surrogates}
    if not named or len(named) != len(surrogates) or {BASELINE, RANDOM} & set(named):
        raise ValueError(
            f"surrogates must be one or more models of different names other than {BASELINE!r} and "
            f"{RANDOM!r}, found {surrogates!r}; give names as {{'small': CF(dim=8), ...}}."
        )
    return named


def _task(graph: Graph, surrogate: Any, options: Mapping[str, Any]) -> Task[Any]:
    if isinstance(graph, Interactions):
        return Recommendation(graph, surrogate, **options)
    return NodeClassification(graph, surrogate, **options)


def _compared(graph: Graph, metric: str | None, split: str | None) -> tuple[str, str]:
    """The metric and the split, by default or as given; :func:`evaluate` must measure them."""
    if not isinstance(graph, Interactions):
        metrics, splits = ["accuracy"], ["test"]
        metric = choice("metric", metric or metrics[0], metrics)
        return metric, choice("split", split or splits[0], splits)
    metric = metric or "auroc"
    there = graph.unseen is not None and graph.unseen.size(1) > 0
    splits = ["unseen", "train"] if there else ["train"]
    if isinstance(parse_metric(metric), RankingMetric):
        splits = [SPLIT]
    return metric, choice("split", split or splits[0], splits)
