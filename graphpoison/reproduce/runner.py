"""Runs an experiment: one unit for each attack and seed; a unit is saved and never run twice."""

import functools
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from .._store import Store
from ..evaluation.paired_runs import evaluate
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
    """Run every attack with every seed, and measure its effect on the models.

    The seed determines the attack and the initialisations of surrogate and target; negatives and
    split do not depend on the seed.

    ``out/flips`` holds the perturbations; an interrupted attack continues from its file.
    ``out/runs.sqlite`` holds the measured values of each attack and seed, together with settings,
    seeds, versions, device and time. Values that are already there are read, not measured again.
    The key of a run depends on all settings, so runs with different settings are never mixed.

    Returns:
        One row for each combination of :data:`RUN_KEYS`, with columns ``clean`` and ``poisoned``.
        ``flips`` is a budget of the experiment; ``perturbed`` says whether the metrics include
        perturbed pairs.

    Raises:
        ValueError: the data set or the attack is unknown.
        FileNotFoundError: the files of the data set were not found.
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
    """The measured values of a unit, and the metadata of each of its evaluations."""
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
