"""A table as printed in the thesis, and its values one per row."""

from dataclasses import dataclass
from io import StringIO

import pandas as pd

KEYS = ["row", "flips", "attack", "model", "split", "metric"]
"""The columns that identify a value of a table."""

Column = tuple[str, str, str, str]
"""Attack, model, split and metric of a column of values."""


@dataclass(frozen=True)
class Published:
    """A table as printed.

    Args:
        caption: the table's caption in the thesis.
        columns: attack, model, split and metric of each column of values.
        text: lines of numbers. The first entry of a line is the number of perturbations (in Table
            4.1 a share of the edges in percent) or "drop".
        scale: factor from a fraction to the units of the table; log loss is not scaled.
        drops: whether values are drops, not levels.
        notes: names of the columns after the values; in a table of drops, these columns
            distinguish the lines.
    """

    caption: str
    columns: tuple[Column, ...]
    text: str
    scale: float = 1.0
    drops: bool = False
    notes: tuple[str, ...] = ()

    @property
    def lines(self) -> pd.DataFrame:
        """The lines, with columns ``flips``, :attr:`columns` and :attr:`notes`."""
        names = ["flips", *self.columns, *self.notes]
        return pd.read_csv(StringIO(self.text), sep=r"\s+", header=None, names=names)

    @property
    def figures(self) -> pd.DataFrame:
        """The values, one per row, with columns :data:`KEYS` and ``thesis``.

        In a table of drops, ``row`` is the number of the line, from 1; in other tables, ``row`` is
        0. Lines whose first entry is "drop" are left out.
        """
        lines = self.lines
        lines = lines[lines["flips"].astype(str) != "drop"].reset_index(drop=True)
        found = [
            (place + 1 if self.drops else 0, float(line["flips"]), *column, float(line[column]))
            for place, line in enumerate(lines.to_dict("records"))
            for column in self.columns
        ]
        return pd.DataFrame(found, columns=[*KEYS, "thesis"]).dropna(subset=["thesis"])
