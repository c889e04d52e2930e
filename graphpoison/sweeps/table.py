"""The table of a study: one row for each run, in a parquet file."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from .._io import atomic_write
from .folder import Folder, Row

TABLE = "runs.parquet"
COLUMNS = {
    "run": "str",
    "kind": "str",
    "task": "str",
    "attack": "str",
    "victim": "str",
    "seed": "Int64",
    "attack_seed": "Int64",
    "budget": "str",
    "flips": "Int64",
    "share": "Float64",
    "status": "str",
    "error": "str",
    "warnings": "str",
    "started": "datetime64[us, UTC]",
    "seconds": "Float64",
    "peak_mb": "Float64",
    "device": "str",
    "threads": "Int64",
    "dtype": "str",
}
"""The first columns and their types; metrics, versions and settings follow."""
LAST = ("versions", "settings")
INNER = ("part", "shared")
"""Columns of the folder's rows that the table leaves out."""


def frame_of(rows: Iterable[Row]) -> pd.DataFrame:
    """A table of ``rows``. The columns of settings are named as by ``pandas.json_normalize``, e.g.
    ``"settings.attack.flips_per_step"``."""
    flat = [_flat({name: row[name] for name in row if name not in INNER}) for row in rows]
    names = list(dict.fromkeys([*COLUMNS, *(name for row in flat for name in row)]))
    names.sort(key=lambda name: name.startswith(LAST))
    table = pd.DataFrame({name: _column([row.get(name) for row in flat]) for name in names})
    started = pd.to_datetime(table["started"], utc=True, format="ISO8601")
    kinds: Any = COLUMNS  # names of dtypes
    return table.assign(started=started).astype(kinds)


def write_table(folder: Folder, known: dict[str, Row]) -> None:
    """Write all rows of the folder to :data:`TABLE`, in the order in which the runs started; rows
    that were read are added to ``known``.

    Another process may write the file at the same time. The file is therefore written again until
    it has all rows of the folder, so that the last process leaves a complete table.
    """
    while True:
        known |= (rows := folder.rows(known))
        with atomic_write(folder.path / TABLE) as file:
            frame_of(sorted(rows.values(), key=_began)).to_parquet(file, index=False)
        if folder.keys() <= rows.keys():
            return


def _began(row: Row) -> tuple[str, str]:
    return row["started"], row["run"]


def _flat(row: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """``row`` with nested mappings flattened: ``{"a": {"b": 1}}`` becomes ``{"a.b": 1}``."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{before}{name}.")
        else:
            listed = isinstance(value, list)
            found[f"{before}{name}"] = json.dumps(value) if listed else value
    return found


def _column(values: list[Any]) -> list[Any]:
    """``values``, as text if they have several types; a parquet column has only one type."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) < 2 or kinds <= {int, float}:
        return values
    return [value if isinstance(value, str | None) else json.dumps(value) for value in values]
