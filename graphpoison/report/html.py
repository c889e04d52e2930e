"""Self-contained HTML pages from templates, with drawings in the colours of the page."""

import io
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import jinja2
import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from .._io import atomic_write
from . import matplotlib_figures

INKS = {
    matplotlib_figures.INK: "--ink",
    matplotlib_figures.PALE: "--faint",
    matplotlib_figures.ADDED: "--added",
    matplotlib_figures.REMOVED: "--removed",
    matplotlib_figures.HIT: "--hit",
    matplotlib_figures.PLAIN: "--paper",
}
"""Colour of the drawings -> CSS variable of the page, which has a light and a dark value."""

STYLE: Any = {
    **dict.fromkeys(("text.color", "axes.labelcolor"), matplotlib_figures.INK),
    **dict.fromkeys(("xtick.labelcolor", "ytick.labelcolor"), matplotlib_figures.INK),
    **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), matplotlib_figures.PALE),
    "grid.color": matplotlib_figures.PALE,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "graphpoison",
}
"""Settings of matplotlib for the drawings of a page."""


def write_page(template: str, context: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Render ``template`` of the folder ``assets`` with ``context`` and write it to ``path``."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("graphpoison.report", "assets"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"cell": cell, "count": "{:,}".format}
    page = environment.get_template(template).render(**context)
    with atomic_write(path) as file:
        file.write(page.encode())


def svg(draw: Callable[[], Figure], text: str, number: int) -> Markup:
    """The figure that ``draw`` returns as an ``<svg>`` element with the colours and fonts of the
    page; ``number`` makes its ids unique, and ``text`` is its description for screen readers."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(["Creator", "Date", "Format", "Type"])
    with matplotlib.rc_context(STYLE):
        figure = draw()
        figure.patch.set_alpha(0)
        FigureCanvasSVG(figure).print_svg(buffer, metadata=nothing)
    drawn = buffer.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>drawing-{number}-", drawn)
    for colour, variable in INKS.items():
        drawn = drawn.replace(colour, f"var({variable})")
    label = Markup.escape(text)
    return Markup(drawn.replace("<svg", f'<svg role="img" aria-label="{label}"', 1))


def cell(value: Any) -> str:
    """A value as readable text."""
    if value is None:
        return "none"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(cell, value)) or "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
