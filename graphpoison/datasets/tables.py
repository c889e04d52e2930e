"""Interactions read from files: CSV and similar tables, RecBole's ``.inter``, LightGCN's lists."""

import gzip
import logging
import re
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from .._checks import choice, positive_int
from .._io import refuse_special

logger = logging.getLogger(__name__)

LONGEST_LINE = 1_000_000
SEPARATORS = ("\t", "::", ";", ",", "|", " ")


def read_interactions(
    path: str | Path,
    user: str | int | None = None,
    item: str | int | None = None,
    *,
    separator: str | None = None,
    header: bool = True,
    lists: bool = False,
) -> pd.DataFrame:
    """A table of interactions, ready for :func:`from_interactions`.

    Reads CSV and similar tables, RecBole's ``.inter`` (columns such as ``user_id:token``, whose
    types are dropped from the names) and, with ``lists``, LightGCN's lists; each also with ``.gz``.

    Args:
        path: the file, in UTF-8.
        user: name of the column of user ids, or its position from 0. If None, the column ``user``
            or ``user_id`` in any spelling (``UserID``), else the first column.
        item: the same for item ids: ``item`` or ``item_id``, else the second column.
        separator: separator of the fields. If None, a tab for ``.inter`` and ``.tsv``, otherwise
            the first of tab, ``::``, ``;``, ``,``, ``|`` and space that is in the first line.
        header: whether the first line names the columns; if not, their names are 0, 1, ...
        lists: whether each line is a user followed by the items of this user, separated by spaces.

    Returns:
        Columns ``user`` and ``item``, then the others under their own names. Ids are int64 if all
        ids are written as integers, else strings as in the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a column is unknown, or both are the same; an id is missing; the lines do not
            have the same number of fields; the file is empty, or lacks a header.
    """
    path = Path(path)
    with _decoded(path):
        first = _first_line(path)
        if not first.strip():
            raise ValueError(f"{path} is empty or starts with an empty line; give a table.")
        if lists:
            return _read_lists(path)
        frame = _read_table(path, separator or _separator(path, first), header)
    columns = list(frame.columns)
    if header and all(map(_is_number, columns)):
        raise ValueError(
            f"{path} has no header, its first line is {first.strip()!r}; name the columns there, "
            "or give header=False (--no-header)."
        )
    users = _place(path, "user", user, columns, default=0)
    items = _place(path, "item", item, columns, default=1)
    if users == items:
        raise ValueError(
            f"user={columns[users]!r} and item={columns[items]!r} are one column of {path}; name "
            f"two of {columns}."
        )
    guessed = any(
        wanted is None and not _usual(argument, columns)
        for argument, wanted in (("user", user), ("item", item))
    )
    chosen = columns[users], columns[items]
    if guessed and len(columns) > 2:
        logger.warning(
            "%s: users are %r, items are %r, by their places; if that is wrong, name them by user= "
            "and item= (--user-column, --item-column).",
            *(path, *chosen),
        )
    else:
        logger.info("%s: users are %r, items are %r.", path, *chosen)
    rest = frame.drop(columns=[columns[users], columns[items]])
    taken = sorted({"user", "item"} & set(rest.columns))
    if taken:
        raise ValueError(
            f"{path} has a column {taken[0]!r} besides the one chosen; choose that one, or read "
            "the file with pandas and name the columns to from_interactions."
        )
    ids = {
        name: _ids(name, frame[columns[place]], path)
        for name, place in (("user", users), ("item", items))
    }
    return pd.concat([pd.DataFrame(ids), rest.apply(_numbers)], axis="columns")


def suffix(path: Path) -> str:
    """The file's suffix in lower case, before ``.gz``."""
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()


def _open(path: Path) -> IO[str]:
    refuse_special(path)
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


@contextmanager
def _decoded(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not in UTF-8 ({error.reason}: {error.object[error.start : error.end]!r}); "
            "save it in UTF-8."
        ) from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is no gzip file, or it is damaged: {error}.") from error


def _first_line(path: Path) -> str:
    with _open(path) as file:
        line = file.readline(LONGEST_LINE)
    if len(line) == LONGEST_LINE:
        raise ValueError(
            f"{path} is no table: its first line has {LONGEST_LINE:,} characters or more."
        )
    return line


def _separator(path: Path, first: str) -> str:
    if suffix(path) in (".inter", ".tsv"):
        return "\t"
    return next((mark for mark in SEPARATORS if mark in first.strip()), ",")


def _read_table(path: Path, separator: str, header: bool) -> pd.DataFrame:
    """The table with every field as a string. Columns of ``.inter`` lose the type in their name."""
    try:
        with _open(path) as file, warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # pandas would drop fields
            frame = pd.read_csv(
                file,
                sep=separator if len(separator) == 1 else re.escape(separator),
                engine="c" if len(separator) == 1 else "python",
                header=0 if header else None,
                index_col=False,
                dtype=str,
                keep_default_na=False,
            ).fillna("")  # fields that a short line lacks, if the separator has several characters
    except (ValueError, pd.errors.ParserWarning) as error:
        raise ValueError(
            f"{path} is no table with {separator!r} between the fields: {error} Give separator=, "
            "or lists=True if each line is a user followed by the user's items."
        ) from error
    if suffix(path) == ".inter":
        frame.columns = pd.Index([str(name).partition(":")[0] for name in frame.columns])
    return frame


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


def _usual(argument: str, columns: Sequence[object]) -> list[int]:
    """Positions of the columns ``argument`` and ``argument`` + ``id``, in this order, if any."""
    plain = [str(name).lower().replace("_", "").replace(" ", "") for name in columns]
    return [plain.index(name) for name in (argument, f"{argument}id") if name in plain]


def _numbers(column: pd.Series) -> pd.Series:
    try:
        return pd.to_numeric(column)
    except ValueError:
        return column


def _ids(argument: str, column: "pd.Series[str]", path: Path) -> pd.Series:
    """The ids as integers if all are written as plain integers, else as text: distinct ids stay
    distinct."""
    codes, distinct = pd.factorize(column.to_numpy(dtype=object))
    missing = int((column == "").sum())
    if missing:
        raise ValueError(
            f"column {argument}={str(column.name)!r} of {path} has {missing} missing ids in "
            f"{len(column)} rows, first in row {int((column == '').argmax()) + 1}; drop these rows "
            "or fill them in."
        )
    ids = np.asarray(distinct, dtype=object)
    if all(_is_integer(text) for text in ids):
        ids = ids.astype(np.int64)
    return pd.Series(ids[codes], dtype=None if ids.dtype == np.int64 else object)


def _is_integer(text: str) -> bool:
    return re.fullmatch(r"0|-?[1-9][0-9]{0,17}", text) is not None


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?[0-9]+(\.[0-9]*)?", text) is not None


def _read_lists(path: Path) -> pd.DataFrame:
    users, items = [], []
    with _open(path) as file:
        for line in file:
            user, *liked = line.split() or [""]
            users += [user] * len(liked)
            items += liked
    columns = {"user": pd.Series(users, dtype=object), "item": pd.Series(items, dtype=object)}
    return pd.DataFrame({name: _ids(name, ids, path) for name, ids in columns.items()})
