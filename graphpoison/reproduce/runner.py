"""Running an experiment: one unit for each attack and seed, each saved and never run twice."""

import functools
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from .._store import Store
from ..evaluation.evaluate import evaluate
from .experiment import Experiment

logger = logging.getLogger(__name__)

RUN_KEYS = ["attack", "seed", "flips", "model", "split", "metric", "perturbed"]


def run(
    experiment: Experiment,
    out: Path,
    seeds: Sequence[int],
    root: str | Path | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Every attack with every seed, and its effect on the models.

    A seed sets the attack, the surrogate's initialisation and the target's; negatives and split
    stay the same. ``out/flips`` holds the perturbations, where an interrupted attack goes on;
    ``out/runs.sqlite`` the figures of each attack and seed, which are read back where they are
    there, beside the run's conditions: settings, seeds, versions, device, time. Runs are known by
    all settings, so that runs of other settings are never mixed in.

    Returns:
        One row for each of :data:`RUN_KEYS`, with columns ``clean`` and ``poisoned``; ``flips`` are
        budgets as in the experiment, ``perturbed`` says whether perturbed pairs were kept.

    Raises:
        ValueError: there is no such data set or attack.
        FileNotFoundError: the data are nowhere to be found.
    """
    load, store = functools.cache(lambda: experiment.dataset.load(root)), Store(out / "runs.sqlite")
    found = [
        _unit(experiment, out, store, attack, seed, load, progress)
        for seed in seeds
        for attack in experiment.attacks
    ]
    return pd.concat(found, ignore_index=True)


def _unit(
    experiment: Experiment,
    out: Path,
    store: Store,
    attack: str,
    seed: int,
    load: Callable[[], Any],
    progress: bool,
) -> pd.DataFrame:
    key = f"{experiment.label}/{experiment.unit(attack)}-{seed}"
    found = store.get(key)
    if found is None:
        logger.info("%s: %s, seed %d", experiment.label, attack, seed)
        rows, depends = _measure(experiment, out, attack, seed, load(), progress)
        records = rows.to_dict(orient="records")
        found = store.put(key, {"settings": repr(experiment), "depends": depends, "rows": records})
    return pd.DataFrame(found["rows"])


def _measure(
    experiment: Experiment, out: Path, attack: str, seed: int, data: Any, progress: bool
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The figures of a unit, and the conditions of each of its evaluations."""
    task, runner = experiment.task(data, attack), experiment.runner(attack)
    budgets = experiment.flips(data)
    turns = experiment.turns(attack, list(budgets))
    label = out / "flips" / f"{experiment.attack_label(attack)}-{seed}.npz"
    label.parent.mkdir(parents=True, exist_ok=True)
    names, cut = {}, {}
    for turn in turns:
        checkpoint = label.with_stem(f"{label.stem}-{max(turn)}") if len(turns) > 1 else label
        found = runner(task, max(turn), seed=seed, progress=progress, checkpoint=checkpoint)
        for count in turn:
            made = min(count, len(found))
            names[count] = f"{attack} to {max(turn)} flips, the first {made}"
            cut[names[count]] = found.prefix(made)
    parts, depends = [], {}
    for model, (victim, starts) in experiment.victims(seed).items():
        for perturbed in experiment.perturbed:
            report = evaluate(data, cut, [victim], starts, None, perturbed, progress)
            for count, name in names.items():
                rows = report.runs[report.runs["attack"] == name]
                rows = rows.assign(attack=attack, model=model)
                parts.append(rows.assign(perturbed=perturbed, flips=count))
            kept = f"perturbed pairs {'kept' if perturbed else 'left out'}"
            depends[f"{model}, {kept}"] = report.meta
    rows = pd.concat(parts, ignore_index=True).assign(seed=seed)
    rows["flips"] = rows["flips"].map(budgets)
    return rows[[*RUN_KEYS, "clean", "poisoned"]], depends
