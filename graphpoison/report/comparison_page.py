"""A comparison of attacks as a picture, and as one HTML page."""

import os
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from .html import svg, write_page
from .matplotlib_figures import INK, PALE, plain
from .summary import ALL, label, named
from .words import fixed

if TYPE_CHECKING:
    from .comparison import Comparison

SIGNIFICANT = 0.05
TESTS = {"t": "Student's t test of paired samples", "wilcoxon": "the Wilcoxon signed-rank test"}
_PLACES = ["study", "task", "victim", "budget"]


def draw_differences(table: pd.DataFrame) -> Figure:
    """Draw one line for each row of ``table``: the difference and its 95% interval."""
    figure = Figure(figsize=(7.0, 1.0 + 0.3 * len(table)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0.0, color=PALE, lw=0.8)
    for place, row in enumerate(table.to_dict("records")):
        colour = INK if row["p_holm"] < SIGNIFICANT else PALE
        if not np.isnan(row["low"]):
            axes.plot([row["low"], row["high"]], [place, place], color=colour, lw=1.6)
        axes.plot([row["difference"]], [place], "o", color=colour, ms=5)
    axes.set_yticks(range(len(table)), [plain(text) for text in _lines(table)], size=8)
    axes.invert_yaxis()
    metrics = table["metric"].unique()
    name = label(metrics[0]) if len(metrics) == 1 else "the metric"
    axes.set_xlabel(f"difference of the drops in {name}, 95% interval")
    axes.grid(alpha=0.3, axis="x")
    return figure


def write_comparison(comparison: "Comparison", path: str | os.PathLike[str]) -> None:
    """Write a page, see :meth:`graphpoison.report.Comparison.to_html`."""
    groups = comparison.table.groupby("study", sort=False)
    studies = [_study(str(name), rows, place) for place, (name, rows) in enumerate(groups)]
    context = {
        "test": TESTS[comparison.test],
        "rank": comparison.test == "wilcoxon",
        "studies": studies,
    }
    write_page("comparison.html", context, path)


def _study(name: str, table: pd.DataFrame, number: int) -> dict[str, Any]:
    """The title, picture and rows of one study."""
    first = table.iloc[0]
    title = f"{named(first['metric'])}, {first['split']} data"
    title += "" if first["users"] == ALL else f", {first['users']} users"
    title = f"{name}: {title}" if name else title
    picture: Markup = svg(
        partial(draw_differences, table), f"Differences of the drops. {title}", number
    )
    return {
        "title": title,
        "picture": picture,
        "places": [place for place in _PLACES[1:] if table[place].nunique() > 1],
        "rows": [_row(row) for row in table.to_dict("records")],
    }


def _row(row: dict[Any, Any]) -> dict[str, Any]:
    known = not np.isnan(row["low"])
    return {
        **row,
        "shown": row["p_holm"] < SIGNIFICANT,
        "interval": f"{fixed(row['low'])} to {fixed(row['high'])}" if known else "",
        "probability": "" if np.isnan(row["p_holm"]) else f"{row['p_holm']:.3g}",
        **{name: fixed(row[name]) for name in ("drop", "drop_against", "difference")},
    }


def _lines(table: pd.DataFrame) -> list[str]:
    """Label of each row: the two attacks, and the values of columns that differ between rows."""
    places = [name for name in _PLACES if table[name].nunique() > 1]
    return [
        f"{row['attack']} against {row['against']}"
        + "".join(f", {row[name]}" for name in places if row[name])
        for row in table.to_dict("records")
    ]
