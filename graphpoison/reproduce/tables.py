"""Our values beside the thesis's, with their differences, as data frames and in markdown."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ..metrics import confidence_halfwidth, drop
from ..report.summary import NAMES
from .published import KEYS
from .settings import Table
from .thesis import TABLES

COLUMNS = [*KEYS, "ours", "ci95", "thesis", "difference", "seeds"]
SHOWN = ["ours", "ci95", "thesis"]


def compare(table: Table, runs: Sequence[pd.DataFrame], perturbed: bool = False) -> pd.DataFrame:
    """The values of a table, ours and the thesis's, in the thesis's units.

    Args:
        table: the table.
        runs: the result of :func:`graphpoison.reproduce.run` for each of the table's experiments.
        perturbed: whether perturbed pairs are kept in the metrics.

    Returns:
        Columns :data:`COLUMNS`: ``ours`` is the mean over seeds, ``ci95`` half the width of its 95%
        t interval (NaN for one seed), ``thesis`` the printed value (NaN if there is none),
        ``difference`` is ours minus the thesis's, and ``seeds`` is the number of seeds.
    """
    published = TABLES[table.number]
    wanted = {column[3] for column in published.columns}
    parts = []
    for place, found in enumerate(runs):
        kept = found[(found["perturbed"] == perturbed) & found["metric"].isin(wanted)]
        if table.experiments[place].has_fake_users:
            kept = _since_joining(kept)
        if published.drops:
            kept = kept[kept["flips"] == kept["flips"].max()]
        shown = _summary(kept, published.drops, published.scale)
        parts.append(shown.assign(row=place + 1 if published.drops else 0))
    ours = pd.concat(parts, ignore_index=True).drop_duplicates(KEYS)
    twins = [ours[ours["attack"] == of].assign(attack=name) for name, of in table.twins]
    ours = pd.concat([ours, *twins], ignore_index=True)
    both = published.figures.merge(ours, on=KEYS, how="outer", sort=False)
    both["difference"] = both["ours"] - both["thesis"]
    return _ordered(both, published.figures)[COLUMNS].reset_index(drop=True)


def _since_joining(runs: pd.DataFrame) -> pd.DataFrame:
    """``runs`` in which ``clean`` is measured on the graph with fake users but without flips.

    As in Algorithm 5, fake users are part of the graph from the start: a drop is due to the flips.
    """
    keys = ["attack", "seed", "model", "split", "metric"]
    start = runs[runs["flips"] == 0].set_index(keys)["poisoned"].rename("clean")
    return runs.drop(columns="clean").join(start, on=keys)


def _summary(runs: pd.DataFrame, drops: bool, scale: float) -> pd.DataFrame:
    """Mean over seeds of the drop or of the level, and the half-width of its interval."""
    rows = []
    keys = [key for key in KEYS if key != "row"]
    for key, group in runs.groupby(keys, sort=False):
        metric = str(key[keys.index("metric")])
        poisoned = group["poisoned"].to_numpy()
        values = drop(metric, group["clean"], poisoned) if drops else poisoned
        values = values * (1.0 if metric == "log_loss" else scale)
        rows.append([*key, values.mean(), confidence_halfwidth(values), len(values)])
    return pd.DataFrame(rows, columns=[*keys, "ours", "ci95", "seeds"]).astype({"flips": float})


def _ordered(frame: pd.DataFrame, like: pd.DataFrame) -> pd.DataFrame:
    """``frame`` in the order of ``like``; values that ``like`` lacks come after the others."""
    order = {
        key: list(dict.fromkeys([*like[key], *frame[key]]))
        for key in ("attack", "model", "split", "metric")
    }
    ranks = frame.assign(**{key: frame[key].map(names.index) for key, names in order.items()})
    return frame.loc[
        ranks.sort_values(["row", "metric", "attack", "model", "split", "flips"]).index
    ]


def ratios(frame: pd.DataFrame) -> pd.DataFrame:
    """The target's drops on unseen pairs, by the meta-attack and by random flips.

    Args:
        frame: the result of :func:`compare` for one of Tables 4.7 to 4.18.

    Returns:
        One line per ``row``, ``metric`` and ``source`` ("ours" or "thesis"), at the largest number
        of perturbations: the drops ``meta-attack`` and ``baseline``, and ``ratio``, the drop by the
        meta-attack divided by the baseline's.
    """
    chosen = frame[(frame["model"] == "target") & (frame["split"] == "unseen")]
    lines = []
    for (row, metric), group in chosen.groupby(["row", "metric"], sort=False):
        for source in ("ours", "thesis"):
            wide = group.pivot(index="flips", columns="attack", values=source).dropna()
            lost = wide.iloc[-1] if row else wide.iloc[0] - wide.iloc[-1]
            meta, baseline = float(lost["meta-attack"]), float(lost["baseline"])
            ratio = meta / baseline if baseline else float("nan")
            lines.append([row, metric, source, meta, baseline, ratio])
    columns = ["row", "metric", "source", "meta-attack", "baseline", "ratio"]
    return pd.DataFrame(lines, columns=columns)


def markdown(frame: pd.DataFrame, names: Mapping[int, str]) -> str:
    """The values of :func:`compare` as tables in markdown, one table for each metric.

    A table has one line for each row and number of perturbations, and one column for each attack,
    model and split. A cell shows our value, half its interval and, in brackets, the thesis's value.
    ``names`` maps rows to their names.
    """
    parts = []
    for metric, figures in frame.groupby("metric", sort=False):
        columns = ["attack", "model", "split"]
        cells = figures.assign(cell=[_cell(*line) for line in figures[SHOWN].to_numpy()])
        wide = cells.set_index(["row", "flips", *columns])["cell"].unstack(columns, sort=False)
        head = [NAMES[str(metric)], *(", ".join(column) for column in wide.columns)]
        lines = [
            [f"{names.get(row, '')} {flips:g}".strip(), *line]
            for row, flips, *line in wide.fillna("").reset_index().to_numpy()
        ]
        parts.append(markdown_table(head, lines))
    return "\n\n".join(parts)


def markdown_table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table in markdown with the header ``head`` and the rows ``lines``."""
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *lines])


def _cell(ours: float, half: float, thesis: float) -> str:
    shown = "-" if np.isnan(ours) else f"{ours:.4f}"
    interval = "" if np.isnan(half) else f" ± {half:.4f}"
    return shown + interval + ("" if np.isnan(thesis) else f" ({thesis:.4f})")
