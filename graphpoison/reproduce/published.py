"""A table as the thesis printed it, and its figures one by one."""

from dataclasses import dataclass
from io import StringIO

import pandas as pd

KEYS = ["row", "flips", "attack", "model", "split", "metric"]
"""The columns that tell one figure of a table from another."""

Column = tuple[str, str, str, str]
"""Attack, model, split and metric of a column of figures."""


@dataclass(frozen=True)
class Published:
    """A table as printed.

    Args:
        caption: the table's caption in the thesis.
        columns: attack, model, split and metric of each column of figures.
        text: lines of numbers, the first of them the number of perturbations (in Table 4.1 a share
            of the edges in percent) or "drop".
        scale: factor from a fraction to the units of the table, for any metric but log loss.
        drops: whether figures are drops rather than levels.
        notes: with drops, the names of the columns that tell the lines apart, after the figures.
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
        """The figures, one a row: columns :data:`KEYS` and ``thesis``.

        ``row`` counts the lines from 1 where they are drops of different experiments, and is 0
        elsewhere. The lines "drop" are left out.
        """
        lines = self.lines
        lines = lines[lines["flips"].astype(str) != "drop"].reset_index(drop=True)
        found = [
            (place + 1 if self.drops else 0, float(line["flips"]), *column, float(line[column]))
            for place, line in enumerate(lines.to_dict("records"))
            for column in self.columns
        ]
        return pd.DataFrame(found, columns=[*KEYS, "thesis"]).dropna(subset=["thesis"])
