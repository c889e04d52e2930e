"""The sizes of a data set, and the sizes stated in the thesis."""

from dataclasses import asdict, dataclass

import pandas as pd


@dataclass(frozen=True)
class Counts:
    """Sizes of a table of interactions after its filters.

    Args:
        users: distinct users.
        items: distinct items.
        interactions: rows, repeated pairs included.
        negatives: unobserved pairs drawn.
        pairs: distinct (user, item) pairs, as a graph can hold them; None if not known.
    """

    users: int
    items: int
    interactions: int
    negatives: int
    pairs: int | None = None


THESIS = {
    "movielens-100k": Counts(943, 1_682, 100_000, 100_000),
    "steam": Counts(1_698, 1_397, 132_831, 100_000),
    "netflix": Counts(8_138, 1_503, 1_660_495, 1_500_000),
    "anime": Counts(2_000, 1_197, 207_662, 200_000),
}
"""Table 4.19 of the thesis. It does not state the number of distinct pairs."""


@dataclass(frozen=True)
class Description:
    """A data set's counts as found in the files, and as published.

    Args:
        name: as given to :func:`graphpoison.datasets.load`.
        ours: the counts of the files after the filters.
        thesis: the column of Table 4.19, or None if the table does not have the data set.
    """

    name: str
    ours: Counts
    thesis: Counts | None = None

    @property
    def agrees(self) -> bool | None:
        """Whether the numbers of users, items and interactions equal the thesis's; None if the
        thesis does not have the data set."""
        if self.thesis is None:
            return None
        names = ("users", "items", "interactions")
        return all(getattr(self.ours, name) == getattr(self.thesis, name) for name in names)

    @property
    def table(self) -> pd.DataFrame:
        """One row per count, with the columns ``ours`` and, if known, ``thesis``."""
        columns = {"ours": self.ours, "thesis": self.thesis}
        return pd.DataFrame(
            {name: asdict(counts) for name, counts in columns.items() if counts is not None},
            dtype="Int64",
        ).rename_axis("count")


def count(frame: pd.DataFrame, negatives: int | None = None) -> Counts:
    """The counts of a table with columns ``user`` and ``item``.

    Args:
        frame: one row per interaction.
        negatives: number of unobserved pairs drawn; if None, the number of distinct pairs.
    """
    users, user_ids = pd.factorize(frame["user"])
    items, item_ids = pd.factorize(frame["item"])
    pairs = int(pd.unique(users * max(len(item_ids), 1) + items).size)
    return Counts(
        users=len(user_ids),
        items=len(item_ids),
        interactions=len(frame),
        negatives=pairs if negatives is None else negatives,
        pairs=pairs,
    )
