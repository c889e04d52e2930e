"""What an attack made with one model does to another."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from torch_geometric.data import Data, HeteroData

from ._checks import choice
from .attacks import Attack, Injection, RandomAttack
from .budget import Budget
from .evaluate import evaluate
from .perturbation import Perturbation
from .report import Report
from .tasks import NodeClassification, Recommendation, Task

BASELINE = "baseline"


def transfer_matrix(
    data: Data | HeteroData,
    surrogates: Sequence[Any] | Mapping[str, Any] | str,
    victims: Sequence[Any] | str,
    attack: Attack | Injection | Mapping[str, Attack | Injection],
    budget: Budget | int,
    seeds: Sequence[int] = range(5),
    metric: str = "auroc",
    split: str = "unseen",
    baseline: Attack | Injection | None = None,
    checkpoints: str | os.PathLike[str] | None = None,
    progress: bool = False,
    **options: Any,
) -> pd.DataFrame:
    """Attack with every surrogate, retrain every victim (thesis, section 3.10 and Algorithm 4).

    Each seed makes an attack of its own with each surrogate, and trains victims of its own on the
    results, so that the intervals cover both.

    Args:
        data: the clean graph.
        surrogates: names or settings, as tasks take them; by name for names of your own.
        victims: as :func:`evaluate` takes them.
        attack: how, or one for each name of a surrogate (learning rates may differ).
        budget: number of flips, or a :class:`Budget`.
        seeds: of attacks and victims.
        metric, split: what is compared, e.g. ``"auroc"`` on ``"unseen"`` pairs, ``"accuracy"`` on
            the nodes of ``"test"``.
        baseline: what the drops are compared with; :class:`RandomAttack` by default.
        checkpoints: a folder that keeps every attack and every victim's metrics, for a run to be
            resumed.
        progress: show progress bars.
        **options: more arguments of the tasks, e.g. ``objective="self"``.

    Returns:
        A frame with one row for each (surrogate, victim): ``clean`` and ``drop`` of the metric,
        ``ci95``, then ``random`` and ``random_ci95``, drop and interval of the baseline, all means
        over seeds. ``frame["drop"].unstack()`` is the matrix, and ``frame.attrs["provenance"]``
        lists what the evaluation of each seed depended on, see :func:`evaluate`.

    Raises:
        TypeError, ValueError: as the task, the attack and :func:`evaluate` raise; two surrogates
            have one name; metric or split were not measured.
    """
    models = _named(surrogates)
    attacks = attack if isinstance(attack, Mapping) else dict.fromkeys(models, attack)
    for name in models:
        choice("surrogates", name, attacks)
    problems = {name: _task(data, model, options) for name, model in models.items()}
    baseline = baseline or RandomAttack()
    reports = []
    for seed in seeds:
        found: dict[str, Perturbation] = {}
        for number, (name, task) in enumerate(problems.items()):
            file = _file(checkpoints, f"{number}-{seed}.npz")
            found[name] = attacks[name](task, budget, seed, progress, file)
        task, file = next(iter(problems.values())), _file(checkpoints, f"{BASELINE}-{seed}.npz")
        found[BASELINE] = baseline(task, budget, seed, progress, file)
        file = _file(checkpoints, f"runs-{seed}.csv")
        report = evaluate(data, found, victims, [seed], progress=progress, checkpoint=file)
        reports.append(report)
    frame = _matrix(pd.concat([report.runs for report in reports]), metric, split)
    frame.attrs["provenance"] = [dict(report.meta) for report in reports]
    return frame


def _file(folder: str | os.PathLike[str] | None, name: str) -> Path | None:
    return None if folder is None else Path(folder, name)


def _named(surrogates: Sequence[Any] | Mapping[str, Any] | str) -> dict[str, Any]:
    if isinstance(surrogates, Mapping):
        named = dict(surrogates)
    else:
        surrogates = [surrogates] if isinstance(surrogates, str) else surrogates
        named = {model if isinstance(model, str) else repr(model): model for model in surrogates}
    if not named or len(named) != len(surrogates) or BASELINE in named:
        raise ValueError(
            f"surrogates must be one or more models of different names other than {BASELINE!r}, "
            f"found {surrogates!r}; give names as {{'small': CF(dim=8), ...}}."
        )
    return named


def _task(data: Data | HeteroData, surrogate: Any, options: Mapping[str, Any]) -> Task:
    if isinstance(data, HeteroData):
        return Recommendation(data, surrogate, **options)
    return NodeClassification(data, surrogate, **options)


def _matrix(runs: pd.DataFrame, metric: str, split: str) -> pd.DataFrame:
    choice("metric", metric, runs["metric"].unique())
    runs = runs[runs["metric"] == metric]
    choice("split", split, runs["split"].unique())
    runs = runs[runs["split"] == split].assign(flips=0)  # an attack may end before its budget
    table = Report(runs).table.rename(columns={"attack": "surrogate"})
    ours = table["surrogate"] != BASELINE
    found = table[ours].set_index(["surrogate", "victim"])[["clean", "drop", "ci95"]]
    beside = table[~ours].set_index("victim")[["drop", "ci95"]]
    return found.join(beside.rename(columns={"drop": "random", "ci95": "random_ci95"}), on="victim")
