"""Figures for papers, by matplotlib: PNG, SVG or PDF by the suffix of the file."""

import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .._io import atomic_write
from ..metrics import confidence_halfwidth
from .changes import Side, histogram
from .colours import RANDOM, attack_colours
from .neighbourhood import Neighbourhood, Node
from .summary import curve, label, transfer_grid

# Okabe and Ito's colours: distinct for colour-blind readers, and by lightness in greyscale.
INK, PALE, ADDED, REMOVED = "#333333", "#b3b3b3", "#d55e00", "#0072b2"
HIT, PLAIN = "#f0e442", "#ffffff"
ON_DARK, ON_LIGHT = "#fdfdfd", "#010101"  # pages replace white and black in dark mode
LONGEST = 24  # characters of a name in one line
LINES, MARKERS = ["-", "--", ":", "-."], ["o", "s", "D", "^", "x", "P"]
KEPT_LINE: dict[str, Any] = {"color": PALE, "lw": 0.8}
ADDED_LINE: dict[str, Any] = {"color": ADDED, "lw": 1.8}
REMOVED_LINE: dict[str, Any] = {"color": REMOVED, "lw": 1.6, "ls": (0, (4, 2.5))}


def plot_curves(
    runs: pd.DataFrame, metric: str, splits: Sequence[str], baseline: str | None
) -> Figure:
    """A panel for each split: the metric against flips, with the 95% interval of its mean.

    A colour for each attack, grey for ``baseline``; a line and a marker for each victim.
    """
    colours, victims = attack_colours(runs, baseline), list(runs["victim"].unique())
    figure, panels = _panels(len(splits), 3.7)
    for panel, name in zip(panels, splits, strict=True):
        chosen = runs[(runs["metric"] == metric) & (runs["split"] == name)]
        for (attack, victim), group in chosen.groupby(["attack", "victim"], sort=False):
            flips, mean, half = curve(group)
            text = plain(f"{attack} ({victim})")
            look: dict[str, Any] = {"color": colours[str(attack)], "label": text}
            number = victims.index(victim)
            look |= {"ls": LINES[number % len(LINES)], "marker": MARKERS[number % len(MARKERS)]}
            panel.plot(flips, mean, **look)
            band = {"color": look["color"], "alpha": 0.2, "linewidth": 0}
            panel.fill_between(flips, mean - half, mean + half, **band)
        panel.set_xlabel("perturbations")
        panel.set_ylabel(label(metric))
        panel.set_title(f"{name} data")
        panel.grid(alpha=0.3)
    legend_below(figure, panels[0], runs["attack"].nunique())
    return figure


def plot_pairs(runs: pd.DataFrame, baseline: str | None) -> Figure:
    """Clean (hollow) and poisoned (filled) means with their 95% intervals, a line for each attack
    and victim, after the last flip of the attack.

    Args:
        runs: the runs of one metric and split.
        baseline: the attack that is drawn in grey.
    """
    last = runs[runs["flips"] == runs.groupby("attack")["flips"].transform("max")]
    colours, names = attack_colours(runs, baseline), []
    figure, (panel,) = _panels(1, 1.3)
    for row, ((attack, victim), group) in enumerate(last.groupby(["attack", "victim"], sort=False)):
        names.append("\n".join(wrapped(name) for name in (attack, victim)))
        for side, marker, apart in (("clean", "o", -0.13), ("poisoned", "D", 0.13)):
            colour = RANDOM if side == "clean" else colours[str(attack)]
            half = confidence_halfwidth(group[side])
            panel.errorbar(
                group[side].mean(), row + apart, xerr=0 if np.isnan(half) else half, fmt=marker,
                color=colour, mfc=PLAIN if side == "clean" else colour, capsize=3,
                label=side if row == 0 else None,
            )  # fmt: skip
    figure.set_figheight(1.2 + 0.52 * len(names))
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.set_xlabel(f"{label(str(runs['metric'].iloc[0]))}, {runs['split'].iloc[0]} data")
    panel.grid(alpha=0.3, axis="x")
    legend_below(figure, panel, 2)
    return figure


def wrapped(name: object) -> str:
    """``name`` escaped, with long names in several lines."""
    return textwrap.fill(plain(str(name)), LONGEST)


def legend_below(figure: Figure, panel: Axes, most: int) -> None:
    """Put the legend of ``panel`` below the figure, in at most ``most`` columns."""
    handles, labels = panel.get_legend_handles_labels()
    fits = int(
        figure.get_figwidth() / (0.59 + 0.07 * max(map(len, labels), default=0))
    )  # about, in inches
    columns = max(1, min(most, fits))
    figure.set_figheight(figure.get_figheight() + 0.2 * -(-len(labels) // columns))
    figure.legend(
        handles, labels, loc="outside lower center", ncols=columns, frameon=False, labelcolor=INK,
        fontsize="small",
    )  # fmt: skip


def plot_degrees(sides: Sequence[Side]) -> Figure:
    """Histograms of degrees before and after the attack, a panel for each kind of node."""
    figure, panels = _panels(len(sides), 3.6)
    for panel, side in zip(panels, sides, strict=True):
        table = histogram(side)
        place = np.arange(len(table))
        panel.bar(place - 0.2, table["before"], 0.4, label="before", color="white", edgecolor=INK)
        panel.bar(place + 0.2, table["after"], 0.4, label="after", color=ADDED, edgecolor=INK)
        panel.set_xticks(place, table["degree"], rotation=60, size=8)
        panel.set_yscale("symlog", linthresh=1)
        panel.set_xlabel(f"{side.kind} degree")
        panel.set_ylabel(f"{side.kind}s")
        panel.grid(alpha=0.3, axis="y")
        panel.set_axisbelow(True)
        panel.legend()
    return figure


def draw_transfer(frame: pd.DataFrame) -> Figure:
    """See :func:`graphpoison.report.plot_transfer`."""
    grid, half = transfer_grid(frame)
    rows, columns = grid.shape
    attacks, victims = ([wrapped(name) for name in names] for names in (grid.index, grid.columns))
    wide = 0.08 * max(len(line) for name in (*attacks, *victims) for line in name.splitlines())
    lines = 1 + max(name.count("\n") for name in (*attacks, *victims))
    size = (2.0 + wide + max(1.3, wide) * columns, 1.3 + 0.2 * lines + (0.4 + 0.1 * lines) * rows)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    drops, halves = grid.to_numpy(dtype=float), half.to_numpy(dtype=float)
    image = axes.imshow(drops, cmap="cividis", aspect="auto")
    middle = float(np.nanmean([np.nanmin(drops), np.nanmax(drops)]))
    axes.set_xticks(range(columns), victims)
    axes.set_yticks(range(rows), attacks)
    axes.set_xlabel("victim")
    axes.set_ylabel("attack made with")
    for row, column in np.ndindex(rows, columns):
        value, width = drops[row, column], halves[row, column]
        text = f"{value:.4f}" if np.isnan(width) else f"{value:.4f}\n± {width:.4f}"
        colour = ON_DARK if value <= middle else ON_LIGHT
        axes.text(column, row, text, ha="center", va="center", size=8, color=colour)
    figure.colorbar(image, label="drop")
    return figure


def draw_neighbourhood(part: Neighbourhood, width: float = 7.0) -> Figure:
    """A drawing of ``part``: kept edges are thin and grey, added edges thick and orange, removed
    edges dashed and blue.

    Larger nodes have more flips; users are circles, items squares and fake users triangles.
    ``width`` is in inches.
    """
    tall = max(3.0, 0.24 * max(sum(node[0] == side for node in part.places) for side in (0, 1)))
    size = (width, tall if part.bipartite else 0.77 * width)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.set_axis_off()
    axes.margins(0.12 if part.bipartite else 0.05, 0.08)  # labels stand above nodes
    for edges, style in (
        (part.kept, KEPT_LINE),
        (part.removed, REMOVED_LINE),
        (part.added, ADDED_LINE),
    ):
        for ends in edges:
            axes.plot(*zip(*(part.places[end] for end in ends), strict=True), zorder=1, **style)
    for node, place in part.places.items():
        _draw_node(axes, part, node, place)
    _legend(axes, part)
    return figure


def _draw_node(axes: Axes, part: Neighbourhood, node: Node, place: tuple[float, float]) -> None:
    most = max(part.flips.values(), default=0) or 1
    share = part.flips[node] / most
    size = 5.0 + (3.0 * share if part.bipartite else 9.0 * share**0.5)
    axes.plot(
        *place, marker=_marker(part, node), ms=size, mfc=HIT if part.flips[node] else PLAIN,
        mec=INK, mew=0.9, ls="", zorder=2,
    )  # fmt: skip
    apart, align, level = (0.0, size / 2 + 1), "center", "bottom"
    if part.bipartite:
        apart, level = (8.0 if node[0] else -8.0, 0.0), "center"
        align = "left" if node[0] else "right"
    axes.annotate(
        plain(str(node[1])), place, apart, textcoords="offset points", ha=align, va=level, size=8,
        color=INK,
    )  # fmt: skip


def _marker(part: Neighbourhood, node: Node) -> str:
    return "^" if node in part.fake else "s" if node[0] else "o"


def _legend(axes: Axes, part: Neighbourhood) -> None:
    """A legend of the kinds of edges and nodes that occur."""
    lines = [
        (part.kept, KEPT_LINE, "edge kept"),
        (part.added, ADDED_LINE, "edge added"),
        (part.removed, REMOVED_LINE, "edge removed"),
    ]
    handles = [Line2D([], [], label=label, **style) for found, style, label in lines if found]
    kinds = {
        "fake user" if node in part.fake else part.kinds[node[0]]: _marker(part, node)
        for node in part.places
    }
    for text, marker in kinds.items() if len(kinds) > 1 else ():
        handles.append(Line2D([], [], ls="", marker=marker, mfc=HIT, mec=INK, label=text))
    axes.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=3, frameon=False,
        labelcolor=INK,
    )  # fmt: skip


def plain(name: str) -> str:
    """``name`` escaped for matplotlib, which reads dollars as formulas and leaves names that begin
    with an underscore out of a legend."""
    text = name.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def save(figure: Figure, path: str | os.PathLike[str] | None) -> Figure:
    """Write ``figure`` to ``path``, unless None; returns ``figure``."""
    if path is not None:
        FigureCanvasAgg(figure)
        with atomic_write(path) as file:
            figure.savefig(file, format=Path(path).suffix.lstrip(".") or "png", dpi=150)
    return figure


def _panels(count: int, height: float) -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=(0.8 + 4.6 * count, height), layout="constrained")
    panels: np.ndarray = figure.subplots(1, count, squeeze=False)[0]
    return figure, panels
