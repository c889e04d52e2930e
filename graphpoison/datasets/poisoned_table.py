"""Poisoned tables with all columns of the attacked table."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .._random import numpy_generator
from .source import Reading
from .tables import id_columns
from .text_tables import first_line, read_table, separator_of

ROWS = 0  # a stream of the seed


def rows_of(path: Path, reading: Reading) -> tuple[pd.DataFrame, str, str]:
    """Return the rows of a text table that ``reading`` keeps, and the names of the columns of user
    and item ids. Every field is text.

    Raises:
        OSError, ValueError: as :func:`.read_interactions` raises.
    """
    frame = read_table(path, separator_of(path, first_line(path)), header=True)
    users, items = id_columns(path, list(frame.columns), reading.user, reading.item)
    if reading.rating is not None and reading.min_rating is not None:
        frame = frame[pd.to_numeric(frame[reading.rating]) >= reading.min_rating]
    return frame, str(frame.columns[users]), str(frame.columns[items])


def with_other_columns(
    pairs: pd.DataFrame, rows: pd.DataFrame, user: str, item: str, seed: int = 0
) -> pd.DataFrame:
    """Return the rows whose pair is in ``pairs``, in order, and a new row for each other pair.

    The other columns of a new row are copied from a random row of the same item, or of any item if
    the item has no row. The new row follows the copied row. A new row therefore has a time and a
    rating of a real interaction, and a table that is sorted by time stays sorted.

    Args:
        pairs: columns ``user`` and ``item``, ids as text.
        rows: a table of text.
        user, item: names of the columns of user and item ids in ``rows``.
        seed: seed of the draw.
    """
    rows = rows.reset_index(drop=True)
    known = pd.MultiIndex.from_arrays([rows[user], rows[item]])
    wanted = pd.MultiIndex.from_frame(pairs[["user", "item"]].astype(str))
    kept, new = rows[known.isin(wanted)], pairs[~wanted.isin(known)]
    draw = numpy_generator(seed, ROWS)
    donors = _donors(rows[item], new["item"].astype(str), draw)
    added = rows.iloc[donors].assign(
        **{user: new["user"].astype(str).to_numpy(), item: new["item"].astype(str).to_numpy()}
    )
    order = np.argsort(np.concatenate([kept.index, added.index]), kind="stable")
    found: pd.DataFrame = pd.concat([kept, added], ignore_index=True).iloc[order]
    return found


def _donors(items: pd.Series, wanted: pd.Series, draw: np.random.Generator) -> Any:
    """Return the position of a row for each of ``wanted``: of the same item if there is one."""
    codes, names = pd.factorize(items)
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes, minlength=len(names))
    starts = np.concatenate([[0], np.cumsum(counts)])
    place = pd.Index(names).get_indexer(wanted)
    known = place >= 0
    start, count = np.where(known, starts[place], 0), np.where(known, counts[place], len(items))
    return order[start + (draw.random(len(place)) * count).astype(np.int64)]
