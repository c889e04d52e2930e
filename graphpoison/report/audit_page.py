"""The page and the chart of an audit of promotions."""

import os
import textwrap
from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .._text import counted, further
from .colours import COLOURS
from .html import svg, write_page
from .matplotlib_figures import PALE, wrapped

WIDTH, FONT = 3.6, 9  # of the chart, in inches and points


def draw_audit(table: pd.DataFrame, settings: Mapping[str, Any]) -> Figure:
    """Draw a bar for each item: the number of fake accounts that promote the item. If the largest
    number of accounts is not enough, the bar has this length and is pale. An item that is shown
    already has no bar. The fonts suit a page of 360 pixels.

    Args:
        table, settings: of a :class:`graphpoison.PromotionAudit`.
    """
    ordered = _ordered(table, settings)
    figure = Figure(figsize=(WIDTH, 1.0 + 0.4 * len(ordered)), layout="constrained")
    axes = figure.subplots()
    pale = ordered["accounts"].isna() & (ordered["detector"] != "")
    length = ordered["accounts"].fillna(pale * settings["most"])
    colours = [PALE if missing else COLOURS[0] for missing in pale]
    axes.barh(range(len(ordered)), length, color=colours, height=0.6)
    for place, (end, text, inside) in enumerate(zip(length, ordered["answer"], pale, strict=True)):
        apart, side = (-3, "right") if inside else (3, "left")
        axes.annotate(
            text, (end, place), (apart, 0), textcoords="offset points", ha=side, va="center",
            size=FONT,
        )  # fmt: skip
    names = [f"{wrapped(row.item)}\n({row.users:,} users)" for row in ordered.itertuples()]
    axes.set_yticks(range(len(ordered)), names, size=FONT)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.2 * max(1, length.max()))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    goal = f"fake accounts that bring the item {further(settings['k'], settings['gain'])}"
    figure.supxlabel(textwrap.fill(goal, 44), size=FONT)
    axes.grid(alpha=0.3, axis="x")
    axes.set_axisbelow(True)
    return figure


def write_audit(
    table: pd.DataFrame, settings: Mapping[str, Any], path: str | os.PathLike[str]
) -> None:
    """Write the page of an audit, see :meth:`graphpoison.PromotionAudit.to_html`."""
    ordered = _ordered(table, settings)
    draw = partial(draw_audit, table, settings)
    text = "Number of fake accounts that promote each item"
    context = {
        "finding": _finding(ordered, settings),
        "settings": settings,
        "chart": svg(draw, text, 0),
        "rows": ordered.to_dict("records"),
        "further": further(settings["k"], settings["gain"]),
    }
    write_page("audit.html", context, path)


def _ordered(table: pd.DataFrame, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows in order of the number of accounts, items without a number last. The columns
    ``answer`` and ``share`` have the number, and its share of the users, in words."""
    ordered = table.sort_values("accounts", na_position="last", kind="stable")
    shares = ["" if pd.isna(share) else f"{share:.1%}" for share in ordered["share_of_users"]]
    answers = [_answer(row, settings) for row in ordered.to_dict("records")]
    return ordered.assign(answer=answers, share=shares)


def _answer(row: Mapping[Any, Any], settings: Mapping[str, Any]) -> str:
    if not pd.isna(row["accounts"]):
        return f"{row['accounts']:,}"
    attacked = f"more than {settings['most']:,}"
    return attacked if row["detector"] else f"{row['before']:.1%} see it already"


def _finding(ordered: pd.DataFrame, settings: Mapping[str, Any]) -> str:
    promoted = ordered[ordered["accounts"].notna()]
    if promoted.empty:
        return f"{settings['most']:,} fake accounts promote none of the {len(ordered)} items"
    first = promoted.iloc[0]
    accounts = counted(first["accounts"], "fake account")
    verb = "brings" if first["accounts"] == 1 else "bring"
    return f"{accounts} {verb} item {first['item']} {further(settings['k'], settings['gain'])}"
