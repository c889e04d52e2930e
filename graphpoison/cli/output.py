"""The output of commands: tables for people, one JSON object for programs, logs on stderr."""

import json
import logging
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pandas as pd
import typer

from .._logging import PACKAGE, PROGRESS, quiet
from .errors import as_flags


class _Spoken(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return as_flags(super().format(record))


@contextmanager
def logs(progress: bool = True) -> Iterator[None]:
    """Print log messages of the library on stderr, without PyTorch's warnings of beta features.

    Args:
        progress: whether messages about the progress of a step are printed.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Spoken("%(message)s"))
    handler.addFilter(lambda record: progress or record.name != PROGRESS)
    logger = logging.getLogger(PACKAGE)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with quiet():
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def show_json(content: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout. Numbers that JSON lacks, such as NaN, become null."""
    typer.echo(json.dumps(_plain(content), allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if hasattr(value, "to_dict"):  # a table of pandas
        return _plain(value.to_dict("records"))
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "item"):  # a number of NumPy
        return _plain(value.item())
    return value if isinstance(value, str | int | None) else str(value)


def show_table(frame: pd.DataFrame, title: str, keep: Iterable[str] = ()) -> None:
    """Print ``frame`` as a table, without the columns that :func:`_tells` rejects, except ``keep``.

    The output is plain text if stdout is not a terminal.
    """
    kept = set(keep)
    shown = frame.loc[:, [key in kept or _tells(frame[key]) for key in frame]]
    written = pd.DataFrame({str(key): _column(shown[key].tolist()) for key in shown})
    if not sys.stdout.isatty():
        typer.echo(title)
        typer.echo(written.to_string(index=False))
        return
    _show(list(written.columns), written.to_numpy().tolist(), title)


def _tells(column: pd.Series) -> bool:
    """Whether to show a column: its values differ, or are measured, or there is one row."""
    measured = column.dtype.kind == "f" and column.notna().any()
    return bool(measured) or len(column) == 1 or column.nunique() > 1


def show_counts(counts: Mapping[str, object], title: str) -> None:
    """Print names and their values, one per line."""
    if sys.stdout.isatty():
        _show([], [[name, _text(value)] for name, value in counts.items()], title)
        return
    width = max(map(len, counts))
    for name, value in counts.items():
        typer.echo(f"{name:{width}}  {_text(value)}")


def show_rows(rows: Sequence[Mapping[str, str]]) -> None:
    """Print rows of text under a header of their keys."""
    columns = list(rows[0])
    if sys.stdout.isatty():
        _show(columns, [list(row.values()) for row in rows], "")
        return
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in columns}
    for row in [dict(zip(columns, columns, strict=True)), *rows]:
        typer.echo("  ".join(f"{row[name]:>{widths[name]}}" for name in columns))


def _show(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    """Print a table on a terminal, without a header if ``columns`` is empty."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, title=title, show_header=bool(columns))
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _text(value: object) -> str:
    if value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _column(values: list[Any]) -> list[str]:
    """Return a column as text: no decimals if all floats are integers, otherwise four for each."""
    numbers = [value for value in values if isinstance(value, float) and math.isfinite(value)]
    decimals = 0 if all(number.is_integer() for number in numbers) else 4
    return [
        f"{value:,.{decimals}f}"
        if isinstance(value, float) and math.isfinite(value)
        else _text(value)
        for value in values
    ]
