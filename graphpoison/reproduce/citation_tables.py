"""Tables of attacks on node classifiers: settings, published accuracies and our results."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..constraints import DegreeDistribution, NoSingletons
from ..report.summary import KEYS, means, spreads
from ..training import Training
from .citation import METHODS, CitationExperiment
from .experiment import DataSet
from .tables import markdown_table

SHARES = (0.0, 1.0, 2.5, 5.0, 10.0, 20.0)
FAMILY = tuple(name for name in METHODS if name != "meta-self-relu")
VICTIMS = (
    "gcn",
    "gat",
    "sage",
    "appnp",
    "sgc",
    "gcn-jaccard",
    "gcn-svd",
    "gnnguard",
    "soft-median-gcn",
    "rgcn",
)
JIN = "Jin et al. (2020), Table 2, Meta-Self"
ZUEGNER = "Zügner and Günnemann (2019), Table 1"
COLUMNS = {
    "victim": "model",
    "flips": "share",
    "poisoned": "accuracy",
    "poisoned_ci95": "accuracy_ci95",
    "drop": "drop",
    "ci95": "drop_ci95",
    "seeds": "runs",
}
"""Column of a report's summary -> its name in these tables."""

Published = tuple[tuple[str, float, float, str], ...]
"""(attack, share of the edges in percent, accuracy, source)."""


@dataclass(frozen=True)
class CitationTable:
    """An experiment and the published accuracies for the same attacks.

    Args:
        caption: the subject of the table.
        experiment: its settings.
        published: accuracies in the literature.
    """

    caption: str
    experiment: CitationExperiment
    published: Published = ()


def _experiment(
    name: str,
    dataset: str,
    attacks: tuple[str, ...] = FAMILY,
    budgets: tuple[float, ...] = SHARES,
    models: tuple[str, ...] = ("gcn",),
    starts: int = 5,
) -> CitationExperiment:
    return CitationExperiment(
        name=name,
        dataset=DataSet(dataset),
        budgets=budgets,
        flips_per_step=1,
        attacks=attacks,
        training=Training(steps=100, lr=0.1, momentum=0.9),
        constraints=(NoSingletons(), DegreeDistribution()),
        models=models,
        starts=starts,
    )


def _several(
    dataset: str, title: str, attacks: tuple[str, ...], published: Published
) -> CitationTable:
    """One attack and one victim per seed, so that intervals cover the variation of both."""
    experiment = _experiment(f"{dataset}-seeds", dataset, attacks, starts=1)
    caption = f"Several attacks of a kind on {title}, one victim each"
    return CitationTable(caption, experiment, published)


def _reported(levels: dict[float, float], source: str) -> Published:
    return tuple(("meta-self", share, level, source) for share, level in levels.items())


CORA = _reported({0.0: 0.835, 5.0: 0.766, 10.0: 0.704, 20.0: 0.596}, JIN)
CITESEER = _reported({0.0: 0.720, 5.0: 0.709, 10.0: 0.676, 20.0: 0.620}, JIN)
CORA_ML = (
    *_reported({0.0: 0.834, 5.0: 0.755}, ZUEGNER),
    ("meta-train", 5.0, 0.780, ZUEGNER),
)

CITATION_TABLES = {
    "cora": CitationTable(
        "Attacks on a GCN on Cora",
        _experiment("cora", "cora"),
        CORA,
    ),
    "cora-seeds": _several(
        "cora", "Cora", ("random", "meta-self", "meta-self-once", "meta-self-margin"), CORA
    ),
    "cora-ml": CitationTable(
        "Attacks on a GCN on Cora-ML",
        _experiment("cora-ml", "cora-ml"),
        CORA_ML,
    ),
    "cora-ml-seeds": _several(
        "cora-ml", "Cora-ML", ("random", "meta-self", "meta-self-margin"), CORA_ML
    ),
    "citeseer": CitationTable(
        "Attacks on a GCN on Citeseer",
        _experiment("citeseer", "citeseer"),
        CITESEER,
    ),
    "citeseer-seeds": _several(
        "citeseer", "Citeseer", ("random", "meta-self", "meta-self-margin", "prbcd"), CITESEER
    ),
    "cora-transfer": CitationTable(
        "Surrogate to victim on Cora",
        _experiment(
            "cora-transfer",
            "cora",
            ("random", "meta-self", "meta-self-relu", "meta-self-margin"),
            (0.0, 5.0),
            VICTIMS,
        ),
    ),
}
"""The tables by name."""


def levels(runs: pd.DataFrame) -> pd.DataFrame:
    """The accuracy of the victims, and the drop that the attack causes.

    Args:
        runs: the result of :func:`graphpoison.reproduce.run`.

    Returns:
        Columns ``attack``, ``model``, ``share`` (of the edges, in percent), ``accuracy``,
        ``accuracy_ci95``, ``drop`` (clean minus poisoned accuracy, from the same initialisation),
        ``drop_ci95`` and ``runs`` (number of runs). Values are means over the seeds of attacks
        and victims; the columns ``*_ci95`` are half the 95% t intervals.
    """
    runs = runs.rename(columns={"model": "victim"})
    found = means(runs).merge(spreads(runs), on=KEYS)
    return found.rename(columns=COLUMNS)[["attack", *COLUMNS.values()]]


def citation_section(table: CitationTable, frame: pd.DataFrame, name: str, command: str) -> str:
    """The section on a table in markdown: the command, the results and the settings.

    Args:
        table: the table.
        frame: the result of :func:`levels`.
        name: the name of the table.
        command: the command that made the table.
    """
    experiment = table.experiment
    about = (
        f"Test accuracy, mean of {int(frame['runs'].min())} runs ± half its 95% interval. "
        "Shares are of the edges of the clean graph."
    )
    parts = [f"### {name}: {table.caption}", f"```\n$ {command}\n```", about]
    if len(experiment.models) == 1:
        parts.append(_grid(frame, "attack", "share"))
    else:
        parts.append(_grid(frame[frame["share"] == frame["share"].max()], "model", "attack"))
    parts += [_beside(table, frame), f"Settings: `{experiment!r}`"]
    return "\n\n".join(part for part in parts if part) + "\n"


def _grid(frame: pd.DataFrame, rows: str, columns: str) -> str:
    """Accuracies: one row for each value of ``rows``, one column for each value of ``columns``."""
    clean = frame.assign(cell=[f"{a:.4f} ± {h:.4f}" for a, h in _pairs(frame, "accuracy")])
    if columns == "attack":
        untouched = frame["accuracy"] + frame["drop"]
        first = clean.assign(cell=[f"{level:.4f}" for level in untouched], attack="clean")
        clean = pd.concat([first.drop_duplicates(rows), clean])
    wide = clean.set_index([rows, columns])["cell"].unstack(columns, sort=False).fillna("")
    head = [f"{each:g}%" if isinstance(each, float) else str(each) for each in wide.columns]
    lines = [[str(index), *line] for index, line in zip(wide.index, wide.to_numpy(), strict=True)]
    return markdown_table([rows, *head], lines)


def _pairs(frame: pd.DataFrame, what: str) -> np.ndarray:
    return frame[[what, f"{what}_ci95"]].to_numpy()


def _beside(table: CitationTable, frame: pd.DataFrame) -> str:
    """Our accuracies beside the published ones, one row for each published accuracy."""
    ours = frame.set_index(["attack", "share"])["accuracy"]
    lines = []
    for attack, share, level, source in table.published:
        if (attack, share) in ours.index:
            found = float(ours[attack, share])
            figures = f"{level:.3f}", f"{found:.4f}", f"{found - level:+.4f}"
            lines.append([attack, f"{share:g}%", *figures, source])
    if not lines:
        return ""
    return markdown_table(["attack", "share", "published", "ours", "difference", "source"], lines)
