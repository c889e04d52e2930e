"""The page and the chart of an audit of promotions."""

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from .colours import COLOURS
from .html import svg, write_page
from .matplotlib_figures import PALE, plain


def draw_audit(table: pd.DataFrame, settings: Mapping[str, Any]) -> Figure:
    """Draw a bar for each item: the number of fake accounts that promote the item. If the largest
    number of accounts is not enough, the bar has this length and is pale.

    Args:
        table, settings: of a :class:`graphpoison.PromotionAudit`.
    """
    ordered = _ordered(table)
    figure = Figure(figsize=(5.4, 1.2 + 0.34 * len(ordered)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(ordered.to_dict("records")):
        enough = not pd.isna(row["accounts"])
        number = row["accounts"] if enough else settings["most"]
        axes.barh(place, number, color=COLOURS[0] if enough else PALE, height=0.6)
        text = f" {number:,}" if enough else f" more than {number:,}"
        axes.text(number, place, text, va="center", size=8)
    names = [f"{plain(str(row.item))}\n({row.users:,} users)" for row in ordered.itertuples()]
    axes.set_yticks(range(len(ordered)), names, size=8)
    axes.invert_yaxis()
    axes.margins(x=0.22)
    axes.set_xlabel(
        f"fake accounts that bring the item into the top-{settings['k']}\n"
        f"lists of {settings['share']:.0%} of the users"
    )
    axes.grid(alpha=0.3, axis="x")
    axes.set_axisbelow(True)
    return figure


def write_audit(
    table: pd.DataFrame, settings: Mapping[str, Any], path: str | os.PathLike[str]
) -> None:
    """Write the page of an audit, see :meth:`graphpoison.PromotionAudit.to_html`."""
    ordered = _ordered(table)
    draw = partial(draw_audit, table, settings)
    text = "Number of fake accounts that promote each item"
    context = {
        "finding": _finding(ordered, settings),
        "settings": settings,
        "chart": svg(draw, text, 0),
        "rows": ordered.to_dict("records"),
    }
    write_page("audit.html", context, path)


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows in order of the number of accounts, items without a number last."""
    return table.sort_values("accounts", na_position="last", kind="stable")


def _finding(ordered: pd.DataFrame, settings: Mapping[str, Any]) -> str:
    promoted = ordered[ordered["accounts"].fillna(0) > 0]
    if promoted.empty:
        return f"{settings['most']:,} fake accounts promote none of the {len(ordered)} items"
    first = promoted.iloc[0]
    accounts = f"{first['accounts']:,} fake account" + ("" if first["accounts"] == 1 else "s")
    share = f"{settings['share']:.0%} of the users"
    return f"{accounts} bring item {first['item']} into the top-{settings['k']} lists of {share}"
