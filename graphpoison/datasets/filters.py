"""Filters of interaction tables, each a pure function from a DataFrame to some of its rows."""

import numpy as np
import pandas as pd

from .._checks import choice, positive_int


def at_least(frame: pd.DataFrame, column: str, minimum: float) -> pd.DataFrame:
    """The rows whose ``column`` is ``minimum`` or more, e.g. four and five stars.

    Rows without a value are left out.

    Raises:
        ValueError: ``frame`` has no such column, or the column has a value that is no number.
    """
    refuse_text(frame, column, argument="column")
    return frame[frame[column] >= minimum]


def refuse_text(frame: pd.DataFrame, column: str, argument: str) -> None:
    """Raise a ValueError that names ``argument`` unless ``column`` exists and holds numbers."""
    values = frame[choice(argument, column, list(frame.columns))]
    if pd.api.types.is_numeric_dtype(values):
        return
    numbers = pd.to_numeric(values, errors="coerce")
    wrong = np.flatnonzero(numbers.isna() & values.notna() & (values != ""))
    if not wrong.size:
        raise ValueError(f"{argument}={column!r} has numbers as text: use pandas.to_numeric.")
    raise ValueError(
        f"{argument}={column!r} is no number in {wrong.size} of {len(values)} rows, first "
        f"{values.iloc[wrong[0]]!r} in row {wrong[0] + 1}: fix them, or choose another column."
    )


def k_core(
    frame: pd.DataFrame,
    min_user: int = 1,
    min_item: int = 1,
    *,
    user: str = "user",
    item: str = "item",
    repeat: bool = True,
) -> pd.DataFrame:
    """Drop users and items with too few rows, until nothing changes.

    Rows are counted, not distinct pairs: a game bought and played is two rows. The rows left are
    the largest set in which every user has ``min_user`` rows and every item ``min_item``; the set
    does not depend on whether users or items are dropped first.

    Args:
        frame: one row per interaction.
        min_user: rows that a user needs.
        min_item: rows that an item needs.
        user: column of user ids.
        item: column of item ids.
        repeat: drop until nothing changes; False drops users once, then items once.

    Returns:
        The remaining rows, in their order; possibly none.

    Raises:
        ValueError: a minimum is negative, or ``frame`` lacks a column or an id.
    """
    minima = (
        positive_int("min_user", min_user, minimum=0),
        positive_int("min_item", min_item, minimum=0),
    )
    columns = list(frame.columns)
    users, items = (
        pd.factorize(frame[choice(argument, column, columns)])[0]
        for argument, column in (("user", user), ("item", item))
    )
    missing = int(((users < 0) | (items < 0)).sum())
    if missing:
        raise ValueError(f"{missing} rows of frame lack a user or an item; drop or fix them.")
    kept = np.arange(len(frame))
    while True:
        before = kept.size
        for codes, minimum in zip((users, items), minima, strict=True):
            counts = np.bincount(codes[kept])
            kept = kept[counts[codes[kept]] >= minimum]
        if kept.size == before or not repeat:
            return frame.iloc[kept]


def sample_users(
    frame: pd.DataFrame, count: int, rng: np.random.Generator, *, user: str = "user"
) -> pd.DataFrame:
    """The rows of ``count`` users, drawn uniformly without replacement.

    The draw depends on the users' ids and ``rng``, not on the order of the rows.

    Raises:
        ValueError: ``frame`` has fewer users.
    """
    ids = frame[choice("user", user, list(frame.columns))].dropna().unique()
    try:
        ids = np.sort(ids)
    except TypeError:  # of several types, which have no order
        ids = np.array(sorted(ids, key=lambda each: (type(each).__name__, str(each))), dtype=object)
    if positive_int("count", count) > ids.size:
        raise ValueError(
            f"{count} users were to be drawn, but only {ids.size} are left; draw fewer, or lower "
            "the number of rows that a user needs."
        )
    return frame[frame[user].isin(rng.choice(ids, count, replace=False))]
