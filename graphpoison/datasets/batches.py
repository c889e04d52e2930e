"""Columns of tables larger than memory, read by pyarrow in batches of rows.

Memory holds one batch, four bytes for each id in a row, and the text of each distinct id once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .._io import refuse_special

BATCH_BYTES = 16 * 2**20
PARQUET = ".parquet"
Numbered = tuple[npt.NDArray[Any], npt.NDArray[np.object_]]
"""The number of the id in each row, and the distinct ids."""


@dataclass
class Ids:
    """A column of ids.

    Args:
        distinct: id as text -> its number, in the order of first appearance.
        parts: int32 [rows], the number of the id in each row of each batch.
    """

    distinct: dict[str, int] = field(default_factory=dict)
    parts: list[npt.NDArray[np.int32]] = field(default_factory=list)

    def add(self, column: Any) -> None:
        """Adds a batch, a pyarrow array."""
        from pyarrow import compute, string

        encoded = compute.fill_null(compute.cast(column, string()), "").dictionary_encode()
        known = self.distinct
        place = [known.setdefault(text, len(known)) for text in encoded.dictionary.to_pylist()]
        numbers = encoded.indices.to_numpy(zero_copy_only=False)
        self.parts.append(np.asarray(place, dtype=np.int32)[numbers])

    @property
    def column(self) -> Numbered:
        """The number of the id in each row of all batches, and the distinct ids."""
        numbers = np.concatenate([np.empty(0, dtype=np.int32), *self.parts])
        return numbers, np.array([*self.distinct], dtype=object)


@dataclass
class Others:
    """A column that does not hold ids; it holds numbers if all of its values are numbers."""

    parts: list["pd.Series[Any]"] = field(default_factory=list)

    def add(self, column: Any) -> None:
        """Adds a batch, a pyarrow array."""
        self.parts.append(numbers_of(column.to_pandas()))

    @property
    def column(self) -> "pd.Series[Any]":
        """The rows of all batches.

        Raises:
            ValueError: some batches hold only numbers, but others hold text.
        """
        kinds = {pd.api.types.is_numeric_dtype(part) for part in self.parts if len(part)}
        if len(kinds) > 1:
            raise ValueError("text in some rows, and numbers in others")
        empty = [] if self.parts else [pd.Series(dtype=object)]
        return pd.concat([*empty, *self.parts], ignore_index=True)


def read_columns(
    path: Path,
    separator: str | None,
    header: bool,
    width: int,
    ids: Sequence[int],
    others: Sequence[int],
) -> tuple[list[Numbered], list["pd.Series[Any]"]]:
    """Returns the columns of ids (the number of the id in each row, and the distinct ids), and the
    other columns (as numbers, if all of their values are numbers).

    Args:
        path: the file.
        separator: separator of the fields, one character; None for Parquet.
        header: whether the first line names the columns.
        width: the number of columns.
        ids, others: positions of the columns.

    Raises:
        ValueError: the file cannot be read (``pyarrow.ArrowInvalid`` is a subclass).
    """
    numbered, rest = [Ids() for _ in ids], [Others() for _ in others]
    for batch in _batches(path, separator, header, width):
        for column, place in zip(numbered, ids, strict=True):
            column.add(batch.column(place))
        for other, place in zip(rest, others, strict=True):
            other.add(batch.column(place))
    return [column.column for column in numbered], [column.column for column in rest]


def numbers_of(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """``column`` as numbers if all of its values are numbers, else unchanged."""
    try:
        return pd.to_numeric(column)
    except ValueError:
        return column


def _batches(path: Path, separator: str | None, header: bool, width: int) -> Iterator[Any]:
    """Batches of rows with all columns; the columns of a text file are text."""
    refuse_special(path)
    if separator is None:
        from pyarrow import parquet

        with parquet.ParquetFile(path) as file:
            yield from file.iter_batches()
        return
    from pyarrow import csv, string

    plain = [str(place) for place in range(width)]
    reader = csv.open_csv(
        path,
        csv.ReadOptions(block_size=BATCH_BYTES, column_names=plain, skip_rows=int(header)),
        csv.ParseOptions(delimiter=separator, newlines_in_values=True),
        csv.ConvertOptions(column_types=dict.fromkeys(plain, string())),
    )
    with reader:
        yield from reader
