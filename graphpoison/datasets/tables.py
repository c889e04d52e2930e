"""Interactions read from files: CSV and similar tables, RecBole's ``.inter``, LightGCN's lists."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .._checks import choice, positive_int
from .._io import refuse_special
from .batches import PARQUET, Numbered, numbers_of, read_columns
from .text_tables import decoded, first_line, open_text, read_table, separator_of, suffix

logger = logging.getLogger(__name__)
TIMES = ("timestamp", "time", "date", "datetime", "day", "createdat")
NO_IDS = frozenset((*TIMES, "rating", "ratings", "stars", "score", "", "index", "unnamed:0"))
"""Names of columns, in lower case without spaces, that hold no ids: they are not taken by place."""


def read_interactions(
    path: str | Path,
    user: str | int | None = None,
    item: str | int | None = None,
    *,
    separator: str | None = None,
    header: bool = True,
    lists: bool = False,
    others: Sequence[str] | None = None,
) -> pd.DataFrame:
    """A table of interactions, ready for :func:`from_interactions`.

    Reads CSV and similar tables, RecBole's ``.inter`` (columns such as ``user_id:token``, whose
    types are dropped from the names), Parquet and, with ``lists``, LightGCN's lists; text files
    also with ``.gz``. The table may be larger than memory: it is read in batches of rows, and
    memory holds one number for each id of a row, the distinct ids, and the other columns to keep.

    Args:
        path: the file, in UTF-8; or, if its name ends in ``.parquet``, in Parquet.
        user: name of the column of user ids, or its position from 0. If None, the column ``user``
            or ``user_id`` in any spelling (``UserID``), else the first column. Columns named as
            times, ratings or row numbers (``timestamp``, ``rating``, ``index``) do not count.
        item: the same for item ids: ``item`` or ``item_id``, else the second column.
        separator: separator of the fields. If None, a tab for ``.inter`` and ``.tsv``, otherwise
            the first of tab, ``::``, ``;``, ``,``, ``|`` and space that is in the first line.
        header: whether the first line names the columns; if not, their names are 0, 1, ...
        lists: whether each line is a user followed by the items of this user, separated by spaces.
        others: names of the other columns to keep, if the table has them; all of them if None.

    Returns:
        Columns ``user`` and ``item``, then the others under their own names. Ids are int64 if all
        ids are written as integers, else strings as in the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a column is unknown, or both are the same; an id is missing; the lines do not
            have the same number of fields; the file is empty, or lacks a header.
    """
    path = Path(path)
    with decoded(path):
        if lists:
            first_line(path)
            return _read_lists(path)
        table = _Table.of(path, separator, header)
        columns = table.columns
    if header and all(map(_is_number, map(str, columns))):
        raise ValueError(
            f"{path} has no header, its first line is {first_line(path).strip()!r}; name the "
            "columns there, or give header=False."
        )
    users, items = id_columns(path, columns, user, item)
    guessed = any(
        wanted is None and not _usual(argument, columns)
        for argument, wanted in (("user", user), ("item", item))
    )
    chosen = columns[users], columns[items]
    if guessed and len(columns) > 2:
        logger.warning(
            "%s: users are %r, items are %r, by their places; if that is wrong, name them by user= "
            "and item=.",
            *(path, *chosen),
        )
    else:
        logger.info("%s: users are %r, items are %r.", path, *chosen)
    rest = [place for place in range(len(columns)) if place not in (users, items)]
    if others is not None:
        wanted_names = list(map(str, others))
        rest = [place for place in rest if str(columns[place]) in wanted_names]
    taken = sorted({"user", "item"} & {columns[place] for place in rest})
    if taken:
        raise ValueError(
            f"{path} has a column {taken[0]!r} besides the one chosen; choose that one, or read "
            "the file with pandas and name the columns to from_interactions."
        )
    with decoded(path):
        of_ids, of_others = table.read((users, items), rest)
    ids = {
        name: _ids(name, str(columns[place]), *column, path)
        for name, place, column in zip(("user", "item"), (users, items), of_ids, strict=True)
    }
    frame = pd.DataFrame(ids)
    for place, column in zip(rest, of_others, strict=True):
        frame[columns[place]] = column
    return frame


def id_columns(
    path: Path, columns: Sequence[object], user: str | int | None, item: str | int | None
) -> tuple[int, int]:
    """The positions of the columns of users and of items, see :func:`read_interactions`.

    Raises:
        ValueError: a column is unknown, or both are the same.
    """
    first, second = _id_places(columns)
    users = _place(path, "user", user, columns, default=first)
    items = _place(path, "item", item, columns, default=second)
    if users == items:
        raise ValueError(
            f"user={columns[users]!r} and item={columns[items]!r} are one column of {path}; name "
            f"two of {list(columns)}."
        )
    return users, items


@dataclass(frozen=True)
class _Table:
    """A table in a file.

    Args:
        path: the file.
        separator: separator of the fields; None for Parquet.
        header: whether the first line names the columns.
        columns: the names of the columns, or their numbers if there is no header.
    """

    path: Path
    separator: str | None
    header: bool
    columns: list[str | int]

    @classmethod
    def of(cls, path: Path, separator: str | None, header: bool) -> "_Table":
        if suffix(path) == PARQUET:
            return cls(path, None, True, _parquet_columns(path))
        mark = separator or separator_of(path, first_line(path))
        return cls(path, mark, header, list(read_table(path, mark, header, rows=1).columns))

    def read(
        self, ids: Sequence[int], others: Sequence[int]
    ) -> tuple[list[Numbered], list["pd.Series[Any]"]]:
        """The columns of ids (the number of the id in each row, and the distinct ids), and the
        other columns, as numbers if all of their values are numbers."""
        if self.separator is None or len(self.separator) == 1:
            try:
                options = self.path, self.separator, self.header, len(self.columns)
                return read_columns(*options, ids, others)
            except (ValueError, OSError) as error:  # pandas reads the table, or has a better error
                if self.separator is None:
                    raise ValueError(
                        f"{self.path} cannot be read, or it is damaged: {error}"
                    ) from error
        return _read_whole(self.path, self.separator, self.header, ids, others)


def _read_whole(
    path: Path, separator: str, header: bool, ids: Sequence[int], others: Sequence[int]
) -> tuple[list[Numbered], list["pd.Series[Any]"]]:
    """As :func:`.read_columns`, all rows at once."""
    frame = read_table(path, separator, header)
    numbered = [pd.factorize(frame.iloc[:, at].to_numpy(dtype=object)) for at in ids]
    return numbered, [numbers_of(frame.iloc[:, at]) for at in others]


def _parquet_columns(path: Path) -> list[str | int]:
    from pyarrow import ArrowException, parquet

    refuse_special(path)
    try:
        return list(parquet.read_schema(path).names)
    except (ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{path} is no Parquet file, or it is damaged: {error}") from error


def _place(
    path: Path, argument: str, wanted: str | int | None, columns: Sequence[object], default: int
) -> int:
    names = [str(name) for name in columns]
    if wanted is None:
        wanted = next(iter(_usual(argument, columns)), default)
    if isinstance(wanted, str):
        try:
            return names.index(choice(argument, wanted, names))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    if positive_int(argument, wanted, minimum=0) >= len(columns):
        raise ValueError(
            f"{path}: {argument}={wanted} is no column: there are only {columns}; check separator=."
        )
    return wanted


def _id_places(columns: Sequence[object]) -> list[int]:
    """Positions of the first two columns that may hold ids by their names, else of the first two
    columns."""
    found = [place for place, name in enumerate(columns) if _plain(name) not in NO_IDS]
    return found[:2] if len(found) > 1 else [0, 1]


def _plain(name: object) -> str:
    return str(name).lower().replace("_", "").replace(" ", "")


def _usual(argument: str, columns: Sequence[object]) -> list[int]:
    """Positions of the columns ``argument`` and ``argument`` + ``id``, in this order, if any."""
    plain = [_plain(name) for name in columns]
    return [plain.index(name) for name in (argument, f"{argument}id") if name in plain]


def _ids(
    argument: str,
    column: object,
    numbers: npt.NDArray[np.integer[Any]],
    distinct: npt.NDArray[np.object_],
    path: Path,
) -> pd.Series:
    """The ids as integers if all are written as plain integers, else as text: distinct ids stay
    distinct."""
    empty = numbers == np.flatnonzero(distinct == "")[0] if "" in distinct else np.empty(0)
    missing = int(empty.sum())
    if missing:
        raise ValueError(
            f"column {argument}={str(column)!r} of {path} has {missing} missing ids in "
            f"{len(numbers)} rows, first in row {int(empty.argmax()) + 1}; drop these rows "
            "or fill them in."
        )
    ids = np.asarray(distinct, dtype=object)
    if all(_is_integer(text) for text in ids):
        ids = ids.astype(np.int64)
    return pd.Series(ids[numbers], dtype=None if ids.dtype == np.int64 else object)


def _is_integer(text: str) -> bool:
    return re.fullmatch(r"0|-?[1-9][0-9]{0,17}", text) is not None


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?[0-9]+(\.[0-9]*)?", text) is not None


def _read_lists(path: Path) -> pd.DataFrame:
    users, items = [], []
    with open_text(path) as file:
        for line in file:
            user, *liked = line.split() or [""]
            users += [user] * len(liked)
            items += liked
    columns = {"user": users, "item": items}
    numbered = {name: pd.factorize(np.array(ids, dtype=object)) for name, ids in columns.items()}
    return pd.DataFrame({name: _ids(name, name, *ids, path) for name, ids in numbered.items()})
