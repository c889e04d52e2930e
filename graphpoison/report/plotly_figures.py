"""The interactive charts of a page, by plotly; colours of text and grid come from the page."""

import html
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ..metrics import confidence_halfwidth
from .changes import Side, histogram
from .colours import COLOURS, RANDOM, attack_colours
from .summary import curve, label, transfer_grid

DASHES = ["solid", "dash", "dot", "dashdot"]
MARKERS = ["circle", "square", "diamond", "triangle-up", "x", "cross"]

LONGEST = 24  # characters of a name in one line


def curves(runs: pd.DataFrame, baseline: str | None) -> go.Figure:
    """A metric against flips, a colour for each attack, dashes and markers for each victim.

    Args:
        runs: the runs of one metric and split.
        baseline: the attack that is drawn in grey.
    """
    figure = go.Figure()
    colours, victims = attack_colours(runs, baseline), list(runs["victim"].unique())
    for (attack, victim), group in runs.groupby(["attack", "victim"], sort=False):
        flips, mean, half = curve(group)
        name, number = _text(f"{attack} ({victim})"), victims.index(victim)
        colour = colours[str(attack)]
        band = {"x": [*flips, *flips[::-1]], "y": [*(mean - half), *(mean + half)[::-1]]}
        figure.add_scatter(
            **_plain(band), mode="lines", line_width=0, fill="toself", fillcolor=_pale(colour),
            legendgroup=name, showlegend=False, hoverinfo="skip",
        )  # fmt: skip
        figure.add_scatter(
            **_plain({"x": flips, "y": mean}),
            name=name,
            legendgroup=name,
            mode="lines+markers",
            line={"color": colour, "width": 2, "dash": DASHES[number % len(DASHES)]},
            marker={"size": 8, "symbol": MARKERS[number % len(MARKERS)]},
            customdata=[f"± {width:.4f}" if width else "" for width in half],
            hovertemplate="%{x:,} flips: %{y:.4f} %{customdata}",
        )
    figure.update_layout(xaxis_title="flips", yaxis_title=_label(runs), hovermode="closest")
    return _styled(figure, 400 + 18 * max(0, len(figure.data) // 2 - 4))


def pairs(runs: pd.DataFrame, baseline: str | None) -> go.Figure:
    """Clean (hollow) and poisoned (filled) means, each with its 95% interval.

    Args:
        runs: the runs of one metric and split; the largest budget of each attack is shown.
        baseline: the attack that is drawn in grey.
    """
    last = runs[runs["flips"] == runs.groupby("attack")["flips"].transform("max")]
    colours, names = attack_colours(runs, baseline), []
    figure = go.Figure()
    for row, ((attack, victim), group) in enumerate(last.groupby(["attack", "victim"], sort=False)):
        names.append(f"{_lines(attack)}<br>{_lines(victim)}")
        for side, symbol, apart in (("clean", "circle-open", -0.13), ("poisoned", "diamond", 0.13)):
            colour = RANDOM if side == "clean" else colours[str(attack)]
            half = confidence_halfwidth(group[side])
            error = {"array": [0 if np.isnan(half) else half], "color": colour, "width": 4}
            figure.add_scatter(
                x=[float(group[side].mean())],
                y=[row + apart],
                name=side,
                legendgroup=side,
                showlegend=row == 0,
                mode="markers",
                marker={"size": 10, "symbol": symbol, "color": colour, "line": {"width": 2}},
                error_x=error,
                hovertemplate=f"{side}: %{{x:.4f}}{'' if np.isnan(half) else f' ± {half:.4f}'}"
                "<extra></extra>",
            )
    axis = {
        "tickvals": list(range(len(names))),
        "ticktext": names,
        "range": [len(names) - 0.5, -0.5],
    }
    figure.update_layout(xaxis_title=_label(runs), yaxis=axis)
    return _styled(figure, 150 + 52 * len(names))


def transfer(frame: pd.DataFrame) -> go.Figure:
    """Drops by surrogate and victim, with 95% intervals.

    Args:
        frame: as for :func:`graphpoison.report.plot_transfer`.
    """
    grid, half = transfer_grid(frame)
    text = [
        [_cell(value, width) for value, width in zip(*line, strict=True)]
        for line in zip(grid.to_numpy(dtype=float), half.to_numpy(dtype=float), strict=True)
    ]
    figure = go.Figure(
        go.Heatmap(
            z=[[None if np.isnan(value) else float(value) for value in line] for line in
               grid.to_numpy(dtype=float)],
            x=[_lines(name) for name in grid.columns],
            y=[_lines(name) for name in grid.index],
            text=text,
            texttemplate="%{text}",
            hovertemplate="%{y} on %{x}: %{text}<extra></extra>",
            colorscale="Cividis",
            colorbar={"title": "drop", "thickness": 12},
            xgap=2,
            ygap=2,
        )
    )  # fmt: skip
    figure.update_layout(xaxis_title="victim", xaxis_type="category")
    figure.update_layout(yaxis={"autorange": "reversed", "type": "category", "automargin": True})
    return _styled(figure, 170 + 62 * len(grid))


def degrees(side: Side) -> go.Figure:
    """Histogram of degrees before and after the attack."""
    table = histogram(side)
    figure = go.Figure()
    for name, fill in (("before", "rgba(0,0,0,0)"), ("after", COLOURS[0])):
        figure.add_bar(
            x=table["degree"].tolist(),
            y=table[name].tolist(),
            name=name,
            marker={"color": fill, "line": {"color": RANDOM, "width": 1.5}},
            hovertemplate=f"degree %{{x}}: %{{y:,}} {_text(side.kind)}s {name}<extra></extra>",
        )
    figure.update_layout(barmode="group", bargap=0.15)
    highest = float(np.log10(max(1, table[["before", "after"]].to_numpy().max())))
    figure.update_layout(xaxis={"title": f"{_text(side.kind)} degree", "type": "category"})
    figure.update_layout(
        yaxis={
            "title": f"{_text(side.kind)}s",
            "type": "log",
            "dtick": 1,
            "range": [-0.2, highest + 0.1],
        }
    )
    return _styled(figure, 320)


def _styled(figure: go.Figure, height: int) -> go.Figure:
    figure.update_layout(
        template=None,
        height=height,
        margin={"l": 64, "r": 16, "t": 12, "b": 56},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
    )
    figure.update_xaxes(automargin=True, zeroline=False, title_standoff=14)
    figure.update_yaxes(automargin=True, zeroline=False, title_standoff=10)
    return figure


def _pale(colour: str) -> str:
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"


def _label(runs: pd.DataFrame) -> str:
    metric = str(runs["metric"].iloc[0])
    return _text(f"{label(metric)}, {runs['split'].iloc[0]} data")


def _cell(value: float, width: float) -> str:
    if np.isnan(value):
        return ""
    return f"{value:.4f}" + ("" if np.isnan(width) else f"<br>± {width:.4f}")


def _text(value: object) -> str:
    """``value`` escaped for plotly, which interprets some HTML."""
    return html.escape(str(value), quote=False)


def _lines(value: object) -> str:
    """``value`` escaped for plotly, with long names in several lines."""
    return "<br>".join(map(_text, textwrap.wrap(str(value), LONGEST)))


def _plain(arrays: Mapping[str, Sequence[float] | np.ndarray]) -> dict[str, list[float]]:
    """Arrays as lists, which plotly writes as numbers; it writes arrays in base 64."""
    return {name: np.asarray(values).tolist() for name, values in arrays.items()}
