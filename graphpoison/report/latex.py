"""Tables for papers, in LaTeX with booktabs."""

import os
from collections.abc import Hashable

import numpy as np
import pandas as pd

from .._checks import positive_int
from .._io import atomic_write
from .summary import ALL, KEYS, transfer_grid

_FIGURES = ["drop", "drop_against", "difference"]


def to_latex(
    frame: pd.DataFrame,
    path: str | os.PathLike[str] | None = None,
    digits: int = 4,
    caption: str | None = None,
    label: str | None = None,
) -> str:
    r"""A booktabs table of ``report.table``, or of a transfer matrix; drops as mean ± ci95.

    Needs ``\usepackage{booktabs}``. For a report, columns with only one value are moved to a
    comment above the table. For a transfer matrix, rows are surrogates and columns are victims.

    Args:
        frame: ``report.table``, rows chosen from it, or the result of
            :func:`graphpoison.transfer_matrix`.
        path: file to which the table is written; None writes no file.
        digits: decimal places.
        caption, label: caption and label; with either, the table floats.

    Returns:
        The LaTeX text.

    Raises:
        ValueError: ``frame`` is neither a report's table nor a transfer matrix.
    """
    positive_int("digits", digits, minimum=0)
    constant: dict[str, str] = {}
    if set(KEYS) <= set(frame.columns):
        constant = {key: str(frame[key].iloc[0]) for key in KEYS if frame[key].nunique() == 1}
        cells = frame[[key for key in KEYS if key not in constant]].astype(str)
        words: list[Hashable] = [key for key in cells if key != "flips"]
        cells = cells.assign(
            clean=[_number(value, digits) for value in frame["clean"]],
            poisoned=[_number(value, digits) for value in frame["poisoned"]],
            drop=_plus_minus(frame["drop"], frame["ci95"], digits),
            seeds=frame["seeds"].astype(str),
        )
    else:
        grid, half = transfer_grid(frame)
        names = list(map(str, grid.columns))
        first = "surrogate" if "surrogate" not in names else "flips by"
        cells, words = pd.DataFrame({first: grid.index.astype(str)}), [first]
        for name, victim in zip(names, grid.columns, strict=True):
            cells[name] = _plus_minus(grid[victim], half[victim], digits)
    return _written(_commented(_tabular(cells, words, caption, label), constant), path)


def _tabular(
    cells: pd.DataFrame, words: list[Hashable], caption: str | None, label: str | None
) -> str:
    """``cells`` as LaTeX: the columns ``words`` are escaped, the others are LaTeX already."""
    style = cells.style.hide(axis="index").format(escape="latex", subset=words)
    style = style.format_index(escape="latex", axis="columns")
    text: str = style.to_latex(
        hrules=True,
        column_format="".join("l" if name in words else "r" for name in cells.columns),
        caption=caption,
        label=label,
        position_float="centering" if caption or label else None,
    )
    return text


def _plus_minus(mean: pd.Series, half: pd.Series, digits: int) -> list[str]:
    return [
        _number(value, digits) + ("" if np.isnan(width) else rf" $\pm$ {width:.{digits}f}")
        for value, width in zip(mean, half, strict=True)
    ]


def _number(value: float, digits: int) -> str:
    """Fixed digits, with LaTeX's minus sign."""
    if np.isnan(value):
        return "--"
    text = f"{abs(value):.{digits}f}"
    return f"$-${text}" if value < 0 and float(text) else text


def comparison_to_latex(
    table: pd.DataFrame,
    path: str | os.PathLike[str] | None = None,
    digits: int = 4,
    caption: str | None = None,
    label: str | None = None,
) -> str:
    """The table of a comparison, see :meth:`graphpoison.report.Comparison.to_latex`."""
    positive_int("digits", digits, minimum=0)
    names = ["study", "task", "victim", "budget", "metric", "split", "users", "attack", "against"]
    constant = {name: str(table[name].iloc[0]) for name in names if table[name].nunique() == 1}
    words: list[Hashable] = [name for name in names if name not in constant]
    cells = (
        table[words]
        .astype(str)
        .assign(
            **{name: [_number(value, digits) for value in table[name]] for name in _FIGURES},
            interval=[
                "--" if np.isnan(low) else f"[{_number(low, digits)}, {_number(high, digits)}]"
                for low, high in zip(table["low"], table["high"], strict=True)
            ],
            p=[_probability(value) for value in table["p_holm"]],
            pairs=table["pairs"].astype(str),
        )
    )
    cells = cells.rename(
        columns={"drop_against": "drop against", "interval": "95% interval", "p": "p (Holm)"}
    )
    return _written(_commented(_tabular(cells, words, caption, label), constant), path)


def _probability(value: float) -> str:
    if np.isnan(value):
        return "--"
    return "$<$ 0.001" if value < 0.001 else f"{value:.3f}"


def _commented(text: str, constant: dict[str, str]) -> str:
    """``text`` below a comment with the columns that have only one value."""
    said = {name: value for name, value in constant.items() if (name, value) != ("users", ALL)}
    words = " ".join("; ".join(f"{key}: {value}" for key, value in said.items() if value).split())
    return f"% {words}\n{text}" if words else text


def _written(text: str, path: str | os.PathLike[str] | None) -> str:
    if path is not None:
        with atomic_write(path) as file:
            file.write(text.encode())
    return text
