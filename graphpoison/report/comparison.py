"""Comparison of attacks over seeds or splits by paired tests."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .._checks import choice
from ..metrics import drop
from . import latex
from .columns import runs_of
from .paired import TESTS, Test, holm, paired
from .summary import ALL, complete, measured

if TYPE_CHECKING:
    from matplotlib.figure import Figure

File = str | os.PathLike[str]
Results = pd.DataFrame | File
CASE = ["task", "victim", "budget"]
REPLICATES = ("seed", "attack_seed")


@dataclass(frozen=True, eq=False)
class Comparison:
    """The result of :func:`compare`.

    Args:
        table: one row for each study, task, victim, budget and pair of attacks, with the columns
            ``study``, ``task``, ``victim``, ``budget``, ``metric``, ``split``, ``users``,
            ``attack``, ``against``, ``drop`` and ``drop_against`` (the mean drops by both attacks),
            ``difference`` (of the drops; positive if ``attack`` does more damage), ``low`` and
            ``high`` (95% interval of the difference), ``p``, ``p_holm`` (``p`` corrected for all
            tests of the study) and ``pairs`` (number of paired drops).
        test: ``"t"`` or ``"wilcoxon"``.
    """

    table: pd.DataFrame
    test: Test

    def to_latex(
        self,
        path: File | None = None,
        digits: int = 4,
        caption: str | None = None,
        label: str | None = None,
    ) -> str:
        r"""A booktabs table for a paper: both drops, the difference with its 95% interval, and p
        after Holm's correction. Needs ``\usepackage{booktabs}``.

        Args:
            path: file to which the table is written; None writes no file.
            digits: decimal places.
            caption, label: caption and label; with either, the table floats.
        """
        return latex.comparison_to_latex(self.table, path, digits, caption, label)

    def plot(self, path: File | None = None) -> "Figure":
        """Draw the differences with their 95% intervals, one line for each row of the table; a line
        is grey if ``p_holm`` is 0.05 or more.

        Args:
            path: file to which the picture is written (PNG, SVG or PDF, by the suffix); None writes
                no file.
        """
        from .comparison_page import draw_differences
        from .matplotlib_figures import save

        return save(draw_differences(self.table), path)

    def to_html(self, path: File) -> None:
        """Write one HTML page with the table and the picture of each study. The page loads no other
        files."""
        from .comparison_page import write_comparison

        write_comparison(self, path)


def compare(
    results: Results | Mapping[str, Results],
    against: str | None = None,
    metric: str | None = None,
    split: str | None = None,
    users: str = ALL,
    test: Test = "t",
    over: Sequence[str] = ("seed",),
) -> Comparison:
    """Compare attacks by the drops that they cause, paired by seed or split.

    A pair consists of the drops by two attacks on the same victim with the same seed. Replicates
    with all values equal, e.g. of a deterministic attack on a deterministic victim, count as one.

    Args:
        results: the table of :func:`graphpoison.sweep` or its folder, or ``report.runs``; or
            several studies by name.
        against: the attack with which all other attacks are compared, e.g. ``"random"``; by default
            all pairs of attacks are compared.
        metric: a measured metric; by default the most informative one.
        split: a measured split; by default the most informative one of the metric.
        users: the group of users.
        test: ``"t"`` or ``"wilcoxon"``, see :func:`graphpoison.report.paired.paired`. Fewer than
            six pairs cannot reach p < 0.05 by ``"wilcoxon"``.
        over: the columns that identify a replicate, e.g. ``("task", "seed")`` if tasks are splits
            of the same data.

    Raises:
        TypeError, ValueError: ``results`` have no runs, or lack the attack, metric, split, group of
            users or column; two runs of one attack are the same replicate.
        OSError: the folder cannot be read.
    """
    choice("test", test, TESTS)
    studies = results if isinstance(results, Mapping) else {"": results}
    if not studies:
        raise ValueError("results must be one study or more, found none.")
    parts = []
    for name, study in studies.items():
        runs = _runs(study)
        chosen = _chosen(runs, metric, split, users)
        rows = pd.DataFrame(_rows(chosen, against, list(over), test))
        if rows.empty:
            raise ValueError(
                f"results hold no two attacks with the same {', '.join(over)}: there is nothing to "
                "compare."
            )
        parts.append(rows.assign(study=name, p_holm=holm(rows["p"].to_numpy())))
    table = pd.concat(parts, ignore_index=True)
    first = ["study", *CASE, "metric", "split", "users", "attack", "against"]
    last = ["drop", "drop_against", "difference", "low", "high", "p", "p_holm", "pairs"]
    return Comparison(table[[*first, *last]], test)


def _runs(results: Any) -> pd.DataFrame:
    if isinstance(results, str | os.PathLike):
        files = sorted(Path(results).glob("*.parquet"))
        if not files:
            raise FileNotFoundError(f"there is no *.parquet in the folder {os.fspath(results)!r}.")
        results = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    if not isinstance(results, pd.DataFrame):
        raise TypeError(f"results must be a table, a folder or several, found {results!r}.")
    if {"metric", "clean", "poisoned"} <= set(results.columns):
        runs = complete(results)
    else:
        runs = complete(runs_of(results))
    return runs.assign(
        task=runs.get("task", ""),
        budget=runs["budget"] if "budget" in runs else runs["flips"].astype(str),
    )


def _chosen(runs: pd.DataFrame, metric: str | None, split: str | None, users: str) -> pd.DataFrame:
    runs = runs.dropna(subset=["clean", "poisoned"])
    found = measured(runs)
    metric = choice("metric", metric or found[0][0], [name for name, _ in found])
    splits = [there for name, there in found if name == metric]
    split = choice("split", split or splits[0], splits)
    chosen = runs[(runs["metric"] == metric) & (runs["split"] == split)]
    choice("users", users, chosen["users"].unique())
    chosen = chosen[chosen["users"] == users]
    # without flips there is nothing to compare, unless fake users were added
    chosen = chosen[(chosen["flips"] > 0) | (chosen["clean"] != chosen["poisoned"])]
    return chosen.assign(drop=drop(metric, chosen["clean"], chosen["poisoned"]))


def _rows(
    runs: pd.DataFrame, against: str | None, over: list[str], test: Test
) -> Iterator[dict[str, Any]]:
    for name in over:
        choice("over", name, [*CASE, *(name for name in REPLICATES if name in runs)])
    names = list(runs["attack"].unique())
    if against is not None:
        choice("against", against, names)
    others = [(name, against) for name in names if name != against]
    couples = combinations(names, 2) if against is None else others
    case = [name for name in CASE if name not in over]
    groups = [(tuple(key), group) for key, group in runs.groupby(case, sort=False)]
    for first, second in couples:
        for key, group in groups:
            grids = [_replicates(group, name, over) for name in (first, second)]
            both = grids[0].join(grids[1].add_suffix("_against"), how="inner").drop_duplicates()
            if both.empty:
                continue
            difference = (both["drop"] - both["drop_against"]).to_numpy()
            yield {
                **dict.fromkeys(CASE, "all"),
                **dict(zip(case, key, strict=True)),
                **{name: group[name].iloc[0] for name in ("metric", "split", "users")},
                "attack": first,
                "against": second,
                "drop": both["drop"].mean(),
                "drop_against": both["drop_against"].mean(),
                **paired(np.asarray(difference), test)._asdict(),
                "pairs": len(both),
            }


def _replicates(group: pd.DataFrame, attack: str | None, over: list[str]) -> pd.DataFrame:
    """Drop, clean value and poisoned value of an attack, by replicate."""
    found = group[group["attack"] == attack].set_index(over)[["drop", "clean", "poisoned"]]
    if found.index.has_duplicates:
        raise ValueError(
            f"over={over} does not tell the runs of attack {attack!r} apart: name more columns, "
            "or select rows of results."
        )
    return found
