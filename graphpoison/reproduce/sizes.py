"""Table 4.19: the sizes of the data sets."""

import logging
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from ..datasets import describe

logger = logging.getLogger(__name__)

COUNTS = ("users", "items", "interactions", "negatives")
THESIS = {
    "movielens-100k": (943, 1_682, 100_000, 100_000),
    "steam": (1_698, 1_397, 132_831, 100_000),
    "netflix": (8_138, 1_503, 1_660_495, 1_500_000),
    "anime": (2_000, 1_197, 207_662, 200_000),
}
"""The printed :data:`COUNTS` of each data set."""


def sizes(root: str | Path | None = None) -> pd.DataFrame:
    """Numbers of users, items, interactions and sampled negatives of the four data sets, ours and
    the thesis's.

    Returns:
        Columns ``dataset``, ``count``, ``ours`` (NaN if the files were not found), ``thesis`` and
        ``difference``.
    """
    rows = []
    for name, figures in THESIS.items():
        try:
            ours = asdict(describe(name, root=root).ours)
        except FileNotFoundError as error:
            logger.warning("%s: %s", name, str(error).splitlines()[0])
            ours = {}
        for count, thesis in zip(COUNTS, figures, strict=True):
            found = ours.get(count, float("nan"))
            rows.append([name, count, found, thesis, found - thesis])
    return pd.DataFrame(rows, columns=["dataset", "count", "ours", "thesis", "difference"])
