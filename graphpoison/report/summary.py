"""Summaries of runs: means with intervals, curves, the comparison with random, transfer."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from .._checks import choice
from ..metrics import RELEVANCE_METRICS, confidence_halfwidth, drop, kind_of
from ..perturbation import Perturbation

KEYS = ["attack", "victim", "flips", "metric", "split", "users"]
ALL = "all"
"""The name of the group of all users."""
NAMES = {"accuracy": "accuracy", "auroc": "AUROC", "log_loss": "log loss"}
LABELS = {**NAMES, "log_loss": "log loss (nats)"}
WRITTEN = {
    "ndcg": "NDCG",
    "hr": "HR",
    "mrr": "MRR",
    "map": "MAP",
    "t-hr": "target HR",
    "t-ndcg": "target NDCG",
    "any-t-hr": "any-target HR",
}
RANDOM_RULE = "HeuristicAttack(rule='random "
"""Prefix of ``meta["attack"]`` of heuristics that draw flips at random."""
BOTH_KINDS = f"{RANDOM_RULE}flips'"
RANDOM = "random"
"""Name of the baseline's row in a transfer grid, and prefix of its columns in a transfer frame."""
FIRST = [("auroc", "unseen"), ("accuracy", "test"), ("auroc", "train")]


def complete(runs: pd.DataFrame) -> pd.DataFrame:
    """``runs`` with defaults for the columns ``users``, ``user_ci95`` and ``num_users`` if they are
    missing: all users, no interval, 0."""
    for name, value in (("users", ALL), ("user_ci95", math.nan), ("num_users", 0)):
        if name not in runs:
            runs = runs.assign(**{name: value})
    return runs


def of_all_users(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of all users, without the runs of groups of users."""
    runs = complete(runs)
    return runs[runs["users"] == ALL]


def means(runs: pd.DataFrame) -> pd.DataFrame:
    """One row for each value of :data:`KEYS`: clean, poisoned, drop, ci95 (of the drop), relative
    (the drop as a share of clean, NaN if clean is 0), seeds.

    ``ci95`` is over seeds, or over users if there is one run.
    """
    rows = []
    for key, group in complete(runs).groupby(KEYS, sort=False):
        lost = drop(str(key[3]), group["clean"].to_numpy(), group["poisoned"].to_numpy())
        mean = [group["clean"].mean(), group["poisoned"].mean(), lost.mean()]
        share = lost.mean() / mean[0] if mean[0] else math.nan
        rows.append(
            [*key, *mean, _halfwidth(lost, group["user_ci95"].to_numpy()), share, len(group)]
        )
    columns = [*KEYS, "clean", "poisoned", "drop", "ci95", "relative", "seeds"]
    return pd.DataFrame(rows, columns=columns)


def _halfwidth(lost: np.ndarray, of_users: np.ndarray) -> float:
    """Half the interval of the mean drop: over seeds, or over the users of the only run."""
    return float(of_users[0]) if len(lost) == 1 else confidence_halfwidth(lost)


def spreads(runs: pd.DataFrame) -> pd.DataFrame:
    """One row for each value of :data:`KEYS`, with the intervals of both means: clean_ci95 and
    poisoned_ci95."""
    rows = [
        [*key, *(confidence_halfwidth(group[side]) for side in ("clean", "poisoned"))]
        for key, group in complete(runs).groupby(KEYS, sort=False)
    ]
    return pd.DataFrame(rows, columns=[*KEYS, "clean_ci95", "poisoned_ci95"])


def excesses(runs: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """The drop minus the drop by ``baseline``, paired by seed.

    One row for each value of :data:`KEYS` at which ``baseline`` was measured too, with the columns
    excess and excess_ci95; no rows for ``baseline`` itself. If there is one run, excess_ci95 is
    :math:`\\sqrt{a^2 + b^2}` with a and b the half intervals over users of both drops, as if the
    drops were independent.
    """
    runs = complete(runs)
    shared = ["victim", "flips", "metric", "split", "users", "seed"]
    beside = runs[runs["attack"] == baseline]
    both = runs[runs["attack"] != baseline].merge(
        beside[[*shared, "clean", "poisoned", "user_ci95"]], on=shared, suffixes=("", "_random")
    )
    rows = []
    for key, group in both.groupby(KEYS, sort=False):
        ours, random = (
            drop(str(key[3]), group[f"clean{end}"], group[f"poisoned{end}"])
            for end in ("", "_random")
        )
        squares = group["user_ci95"] ** 2 + group["user_ci95_random"] ** 2
        of_users = np.sqrt(squares.to_numpy())
        rows.append([*key, (ours - random).mean(), _halfwidth(ours - random, of_users)])
    return pd.DataFrame(rows, columns=[*KEYS, "excess", "excess_ci95"])


def curve(group: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of flips (0 for the clean graph), means and half-widths (0 if there is none)."""
    first = group[group["flips"] == group["flips"].min()]
    points = [(0, first["clean"].to_numpy())] if first["flips"].iloc[0] else []
    for flips, runs in group.groupby("flips"):
        points.append((int(str(flips)), runs["poisoned"].to_numpy()))
    counts = np.array([point[0] for point in points])
    mean = np.array([point[1].mean() for point in points])
    half = np.nan_to_num([confidence_halfwidth(point[1]) for point in points])
    return counts, mean, half


def measured(runs: pd.DataFrame) -> list[tuple[str, str]]:
    """The pairs (metric, split) that have values, the most informative pair first.

    Raises:
        ValueError: no pair has a value.
    """
    found = runs.dropna(subset=["clean", "poisoned"])[["metric", "split"]].drop_duplicates()
    pairs = [(str(metric), str(split)) for metric, split in found.to_numpy()]
    if not pairs:
        raise ValueError("runs hold no value of any metric: there is nothing to report.")
    return sorted(pairs, key=_rank)


def _rank(pair: tuple[str, str]) -> tuple[int, int]:
    """Sort key: relevance metrics first, ndcg@10 before all; then :data:`FIRST`, then others."""
    kind, relevant = kind_of(pair[0]), len(RELEVANCE_METRICS)
    if kind in RELEVANCE_METRICS:
        return RELEVANCE_METRICS.index(kind), int(pair[0] != f"{kind}@10")
    return relevant + (FIRST.index(pair) if pair in FIRST else len(FIRST)), 0


def named(metric: str) -> str:
    """The name of a metric in sentences: ``"AUROC"``, ``"NDCG@10"``."""
    kind, at, k = metric.partition("@")
    return f"{WRITTEN.get(kind, kind)}{at}{k}" if at else NAMES.get(metric, metric)


def label(metric: str) -> str:
    """The label of a metric on axes, with its unit."""
    if kind_of(metric) == "popularity":
        return f"{metric} (interactions)"
    return LABELS.get(metric, named(metric))


def random_baseline(perturbations: Mapping[str, Perturbation]) -> str | None:
    """The name of the attack with random flips, or None. Of several: the one named ``"random"``,
    else the first by :class:`~graphpoison.RandomAttack`, else the first by a random heuristic."""
    drawn = [name for name, made in perturbations.items() if "RandomAttack" in _attack(made)]
    ruled = [name for name, made in perturbations.items() if RANDOM_RULE in _attack(made)]
    both = sorted(ruled, key=lambda name: not _attack(perturbations[name]).startswith(BOTH_KINDS))
    names = [*drawn, *both]
    return RANDOM if RANDOM in names else next(iter(names), None)


def heuristic_baselines(perturbations: Mapping[str, Perturbation]) -> list[str]:
    """The names of attacks without a model: random, or with ``meta["heuristic"]`` True."""
    return [
        name
        for name, made in perturbations.items()
        if made.meta.get("heuristic") is True or "RandomAttack" in _attack(made)
    ]


def _attack(made: Perturbation) -> str:
    return str(made.meta.get("attack"))


def transfer(
    runs: pd.DataFrame, metric: str, split: str, baseline: str | None = None
) -> pd.DataFrame:
    """Every attack on every victim after the last flips of each seed, in the form of
    :func:`graphpoison.transfer_matrix`. The columns of random flips are only there with a
    ``baseline``.

    Raises:
        ValueError: the metric or the split was not measured.
    """
    runs = of_all_users(runs)
    choice("metric", metric, runs["metric"].unique())
    runs = runs[runs["metric"] == metric]
    choice("split", split, runs["split"].unique())
    runs = runs[runs["split"] == split]
    last = runs[runs["flips"] == runs.groupby(["attack", "seed"])["flips"].transform("max")]
    flips = last.groupby(["attack", "victim"], as_index=False)["flips"].mean()
    table = means(last.assign(flips=0)).drop(columns="flips")  # seeds may differ in their flips
    table = table.merge(flips, on=["attack", "victim"]).rename(columns={"attack": "surrogate"})
    ours = table["surrogate"] != baseline
    found = table[ours].set_index(["surrogate", "victim"])[["clean", "drop", "ci95", "flips"]]
    if baseline is None:
        return found
    beside = table[~ours].set_index("victim")[["drop", "ci95", "flips"]]
    beside.columns = pd.Index([RANDOM, f"{RANDOM}_ci95", f"{RANDOM}_flips"])
    return found.join(beside, on="victim")


def transfer_grid(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Drops and half-widths, a row for each surrogate and a column for each victim.

    If ``frame`` has the column ``random``, a last row ``random`` has the drop by random flips.

    Args:
        frame: the result of :func:`transfer` or :func:`graphpoison.transfer_matrix`.

    Raises:
        ValueError: ``frame`` is neither, or a surrogate is named ``random`` too.
    """
    if not {"drop", "ci95"} <= set(frame.columns) or frame.index.nlevels != 2:
        raise ValueError(
            "frame must be what transfer_matrix returned, with the index (surrogate, victim) and "
            f"the columns drop and ci95; found the columns {list(frame.columns)}."
        )
    surrogates, victims = (frame.index.unique(level) for level in (0, 1))
    if RANDOM in frame and RANDOM in surrogates:
        raise ValueError(
            f"frame has a surrogate named {RANDOM!r}, which is the name of the row for random "
            f"flips; give it another: frame.rename(index={{{RANDOM!r}: ...}}, level=0)."
        )
    grids = []
    for own, beside in (("drop", RANDOM), ("ci95", f"{RANDOM}_ci95")):
        grid = frame[own].unstack().reindex(index=surrogates, columns=victims)
        if beside in frame:
            grid.loc[RANDOM] = frame.groupby(level=1, sort=False)[beside].first()
        grids.append(grid)
    return grids[0], grids[1]
