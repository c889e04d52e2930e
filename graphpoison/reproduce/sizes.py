"""Table 4.19: the sizes of the data sets."""

import logging
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from ..datasets import describe
from ..datasets.counts import THESIS

logger = logging.getLogger(__name__)

COUNTS = ("users", "items", "interactions", "negatives")


def sizes(root: str | Path | None = None) -> pd.DataFrame:
    """Numbers of users, items, interactions and sampled negatives of the four data sets, ours and
    the thesis's.

    Returns:
        Columns ``dataset``, ``count``, ``ours`` (NaN if the files were not found), ``thesis`` and
        ``difference``.
    """
    rows = []
    for name, printed in THESIS.items():
        try:
            ours = asdict(describe(name, root=root).ours)
        except FileNotFoundError as error:
            logger.warning("%s: %s", name, str(error).splitlines()[0])
            ours = {}
        for count in COUNTS:
            thesis, found = getattr(printed, count), ours.get(count, float("nan"))
            rows.append([name, count, found, thesis, found - thesis])
    return pd.DataFrame(rows, columns=["dataset", "count", "ours", "thesis", "difference"])
