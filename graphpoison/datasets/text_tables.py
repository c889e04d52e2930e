"""Tables in text files: CSV and similar tables, RecBole's ``.inter``; plain or gzipped."""

import gzip
import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pandas as pd

from .._io import refuse_special

LONGEST_LINE = 1_000_000
SEPARATORS = ("\t", "::", ";", ",", "|", " ")


def suffix(path: Path) -> str:
    """The file's suffix in lower case, without a final ``.gz``."""
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()


def open_text(path: Path) -> IO[str]:
    """Opens the file to read it as UTF-8, without a byte order mark; decompresses ``.gz`` files."""
    refuse_special(path)
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


@contextmanager
def decoded(path: Path) -> Iterator[None]:
    """Turns errors of decoding ``path`` in this block into a ValueError that names the file."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not in UTF-8 ({error.reason}: {error.object[error.start : error.end]!r}); "
            "save it in UTF-8."
        ) from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is not a gzip file, or it is damaged: {error}.") from error


def first_line(path: Path) -> str:
    """The first line of a file.

    Raises:
        ValueError: the line is empty, or has :data:`LONGEST_LINE` characters or more.
    """
    with open_text(path) as file:
        line = file.readline(LONGEST_LINE)
    if len(line) == LONGEST_LINE:
        raise ValueError(
            f"{path} is not a table: its first line has {LONGEST_LINE:,} characters or more."
        )
    if not line.strip():
        raise ValueError(f"{path} is empty or starts with an empty line; give a table.")
    return line


def separator_of(path: Path, first: str) -> str:
    """The separator of the fields, from the name of the file and its first line."""
    if suffix(path) in (".inter", ".tsv"):
        return "\t"
    return next((mark for mark in SEPARATORS if mark in first.strip()), ",")


def read_table(path: Path, separator: str, header: bool, rows: int | None = None) -> pd.DataFrame:
    """Returns the table, or its first ``rows`` rows, with every field as a string.

    The type in the column names of ``.inter`` files is removed.

    Raises:
        ValueError: the file cannot be read as a table with this separator.
    """
    try:
        with open_text(path) as file, warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # pandas would drop fields
            frame = pd.read_csv(
                file,
                sep=separator if len(separator) == 1 else re.escape(separator),
                engine="c" if len(separator) == 1 else "python",
                header=0 if header else None,
                index_col=False,
                dtype=str,
                keep_default_na=False,
                nrows=rows,
            ).fillna("")  # fields that a short line lacks, if the separator has several characters
    except (ValueError, pd.errors.ParserWarning) as error:
        raise ValueError(
            f"{path} is not a table with {separator!r} between the fields: {error} Give "
            "separator=, or lists=True if each line is a user followed by the user's items."
        ) from error
    if suffix(path) == ".inter":
        frame.columns = pd.Index([str(name).partition(":")[0] for name in frame.columns])
    return frame
