"""Flips as rows of a table, and back."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from ..flip_columns import COLUMNS, EDGE, FEATURE
from ..graphs import PairState
from ..hypergradient import Flips


def rows_of(flips: Flips, attack_loss: float, step: int) -> dict[str, Any]:
    """Columns of a table of flips, arrays [K]."""
    source, target = flips.pairs.cpu().numpy()
    kind = np.full(source.size, EDGE, dtype=object)
    if flips.of_features is not None:
        kind[flips.of_features.cpu().numpy()] = FEATURE
    return {
        "step": np.full(source.size, step),
        "source": source,
        "target": target,
        "added": flips.added.cpu().numpy(),
        "score": flips.score.double().cpu().numpy(),
        "attack_loss": np.full(source.size, attack_loss),
        "kind": kind,
    }


def table_of(before: pd.DataFrame, parts: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """The flips ``before``, then all ``parts`` as one table: a table for each would take 3 ms."""
    if not parts:
        return before
    columns = {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}
    return pd.concat([before, pd.DataFrame(columns).astype(COLUMNS)])


def flips_of(table: pd.DataFrame, state: PairState) -> Flips:
    """The flips that a table records."""
    device = state.weight.device
    pairs = torch.from_numpy(table[["source", "target"]].to_numpy(dtype=np.int64).T.copy())
    added, score, of_features = (
        torch.from_numpy(values.to_numpy().copy()).to(device)
        for values in (table["added"], table["score"], table["kind"] == FEATURE)
    )
    return Flips(pairs.to(device), added, score, of_features)
