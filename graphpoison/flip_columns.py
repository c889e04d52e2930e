"""The columns of a table of flips, and the values that each may hold."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ._checks import choice

EDGE, FEATURE = "edge", "feature"
COLUMNS = {
    "step": np.int64,
    "source": np.int64,
    "target": np.int64,
    "added": np.bool_,
    "score": np.float64,
    "attack_loss": np.float64,
    "kind": str,
}
LARGEST = {"i": 2**63 - 1, "u": 2**63 - 1, "f": 2**53}


def checked_flips(
    flips: pd.DataFrame, of_nodes: bool, shape: Sequence[int] | None = None
) -> pd.DataFrame:
    """``flips`` with the columns :data:`COLUMNS` and their types; a missing ``kind`` is ``"edge"``.

    Args:
        flips: any table with these columns.
        of_nodes: whether the graph is homogeneous; its pairs have source < target.
        shape: the numbers of sources and of targets, if they are known.

    Raises:
        TypeError: ``flips`` is no DataFrame.
        ValueError: a column is missing; ``step``, ``source`` or ``target`` is not an integer from 0
            on, or a node is not below ``shape``; ``added`` is neither true nor false; a pair occurs
            twice or, in a homogeneous graph, has source >= target.
    """
    if not isinstance(flips, pd.DataFrame):
        raise TypeError(f"flips must be a pandas DataFrame, found {type(flips).__name__}.")
    table = flips if "kind" in flips else flips.assign(kind=EDGE)
    missing = set(COLUMNS) - set(table.columns)
    if missing:
        raise ValueError(f"flips lack the columns {sorted(missing)}.")
    for name in ("step", "source", "target"):
        _check_integers(name, table[name])
    _check_added(table["added"])
    for name in ("score", "attack_loss"):
        if len(table) and table[name].dtype.kind not in "fiu":
            raise ValueError(f"flips[{name!r}] must hold numbers, found {table[name].iloc[0]!r}.")
    table = table[list(COLUMNS)].astype(COLUMNS).reset_index(drop=True)
    for kind in table["kind"].unique():
        choice("kind", kind, [EDGE, FEATURE])
    if table.duplicated(["kind", "source", "target"]).any():
        raise ValueError("flips name a pair twice; each pair is flipped at most once.")
    edges = table[table["kind"] == EDGE]
    turned = edges[edges["source"] >= edges["target"]] if of_nodes else edges[:0]
    if len(turned):
        pair = tuple(turned[["source", "target"]].iloc[0].tolist())
        raise ValueError(
            f"flips name the pair {pair}; an undirected edge is one row with source < target, and "
            "no node has an edge to itself. (Flips of interactions need meta['edge_type'].)"
        )
    for name, size in zip(("source", "target"), shape or (), strict=False):
        if len(edges) and int(edges[name].max()) >= size:
            raise ValueError(
                f"flips[{name!r}] names {int(edges[name].max())}, but the attacked graph has "
                f"{size} (0 to {size - 1})."
            )
    return table


def _check_integers(name: str, values: pd.Series) -> None:
    kind = values.dtype.kind
    if kind in LARGEST:
        good = (values >= 0) & (values <= LARGEST[kind]) & (values % 1 == 0)
    else:
        good = values.map(_is_index).astype(bool)
    if not good.all():
        wrong = values[~good].iloc[0]
        raise ValueError(f"flips[{name!r}] must hold integers from 0 to 2^63 - 1, found {wrong!r}.")


def _is_index(value: object) -> bool:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and 0 <= int(value) < 2**63  # type: ignore[call-overload]


def _check_added(values: pd.Series) -> None:
    for value in pd.unique(values):
        if not isinstance(value, bool | np.bool_ | int | np.integer) or int(value) not in (0, 1):
            raise ValueError(f"flips['added'] must be True or False, found {value!r}.")
