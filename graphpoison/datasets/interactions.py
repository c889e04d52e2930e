"""User-item interactions with sampled negatives, split into a training and an unseen part."""

import logging
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from .._checks import choice, in_range, positive_int
from ..graph.sampling import Codes, sample_unoccupied
from .locate import find_raw, movielens_100k

logger = logging.getLogger(__name__)

EdgeType = tuple[str, str, str]
RATES: EdgeType = ("user", "rates", "item")


def movielens(
    root: str | Path | None = None,
    seed: int = 0,
    test_fraction: float = 0.2,
    num_negatives: int | None = None,
) -> HeteroData:
    """MovieLens 100K (Harper and Konstan 2015): 943 users, 1,682 items, 100,000 interactions.

    Every rating counts as an interaction, whatever its value. Returns and raises as
    :func:`from_interactions` and :func:`graphpoison.datasets.load` say.
    """
    folder = find_raw(movielens_100k("movielens-100k"), root)
    frame = pd.read_csv(
        folder / "u.data", sep="\t", names=["user", "item", "rating", "time"], dtype=np.int64
    )
    return from_interactions(
        frame, test_fraction=test_fraction, seed=seed, num_negatives=num_negatives
    )


def from_interactions(
    frame: pd.DataFrame,
    user: str = "user",
    item: str = "item",
    test_fraction: float = 0.2,
    seed: int = 0,
    *,
    edge_type: EdgeType = RATES,
    num_negatives: int | None = None,
) -> HeteroData:
    """Bipartite data of the distinct (user, item) pairs in ``frame``.

    Users and items are numbered from 0 in the order of their sorted ids, or of first appearance
    where the ids cannot be sorted. Negatives are drawn uniformly without replacement among the
    pairs that are not in ``frame``.

    Args:
        frame: one row per interaction; other columns are not looked at.
        user: column of user ids, of any hashable type.
        item: column of item ids, of any hashable type.
        test_fraction: share of the positives, and of the negatives, that is unseen; in [0, 1).
            At least one of each stays in training.
        seed: of the negatives and the split.
        edge_type: names of the user nodes, the relation and the item nodes.
        num_negatives: negatives to draw, train and unseen together; as many as positives if None.

    Returns:
        ``HeteroData`` with ``num_nodes`` and ``raw_id`` (the original ids, list) of both node
        types and, of ``edge_type``, four disjoint int64 [2, *] sorted by (user, item):
        ``edge_index``, ``neg_edge_index``, ``unseen_edge_index``, ``unseen_neg_edge_index``.

    Raises:
        TypeError: ``frame`` is no DataFrame, ``edge_type`` no triple of names, an id not hashable.
        ValueError: a column is missing or holds NaN, ``frame`` is empty, ``test_fraction`` lies
            outside [0, 1), or the two node types of ``edge_type`` are the same.
    """
    _check_edge_type(edge_type)
    _check_frame(frame, user, item)
    users, user_ids = _number("user", frame[user])
    items, item_ids = _number("item", frame[item])
    shape = (len(user_ids), len(item_ids))
    codes = np.unique(users * shape[1] + items)
    if codes.size < len(frame):
        logger.info("Dropped %d repeated interactions.", len(frame) - codes.size)
    rng = np.random.default_rng(positive_int("seed", seed, minimum=0))
    data = assemble(codes, shape, test_fraction, rng, edge_type, num_negatives)
    data[edge_type[0]].raw_id = user_ids
    data[edge_type[2]].raw_id = item_ids
    return data


def assemble(
    positives: Codes,
    shape: tuple[int, int],
    test_fraction: float,
    rng: np.random.Generator,
    edge_type: EdgeType = RATES,
    num_negatives: int | None = None,
) -> HeteroData:
    """Draw negatives for sorted, distinct pair codes ``user * shape[1] + item``, and split both.

    Arguments otherwise, result and errors as in :func:`from_interactions`, without ``raw_id``.
    """
    if in_range("test_fraction", test_fraction, 0.0, 1.0) == 1.0:
        raise ValueError("test_fraction must lie in [0, 1), found 1.0; keep a part for training.")
    negatives = draw_negatives(positives, shape, num_negatives, rng)
    data = HeteroData()
    data[edge_type[0]].num_nodes, data[edge_type[2]].num_nodes = shape
    store = data[edge_type]
    train, unseen = _split(positives, test_fraction, rng)
    store.edge_index, store.unseen_edge_index = _pairs(train, shape), _pairs(unseen, shape)
    train, unseen = _split(negatives, test_fraction, rng)
    store.neg_edge_index, store.unseen_neg_edge_index = _pairs(train, shape), _pairs(unseen, shape)
    return data


def draw_negatives(
    positives: Codes, shape: tuple[int, int], count: int | None, rng: np.random.Generator
) -> Codes:
    """``count`` sorted codes, uniform without replacement among those not in ``positives``.

    Memory grows with the number of positives and negatives, never with users x items.
    """
    free = shape[0] * shape[1] - positives.size
    wanted = positives.size if count is None else positive_int("num_negatives", count, minimum=0)
    if wanted > free:
        logger.warning("Only %d unobserved pairs for %d negatives; taking all.", free, wanted)
    return sample_unoccupied(positives, shape[0] * shape[1], min(wanted, free), rng)


def _split(codes: Codes, fraction: float, rng: np.random.Generator) -> tuple[Codes, Codes]:
    num_unseen = min(round(fraction * codes.size), max(codes.size - 1, 0))
    order = rng.permutation(codes.size)
    return np.sort(codes[order[num_unseen:]]), np.sort(codes[order[:num_unseen]])


def _pairs(codes: Codes, shape: tuple[int, int]) -> Tensor:
    return torch.from_numpy(np.stack(np.divmod(codes, shape[1])))


def _number(argument: str, ids: "pd.Series[Any]") -> tuple[Codes, list[Hashable]]:
    """The place of each id in the list of distinct ids, and that list."""
    try:
        codes, distinct = pd.factorize(ids.to_numpy())
    except TypeError as error:
        raise TypeError(f"column {argument}={ids.name!r} has ids that are not hashable.") from error
    try:
        order = np.argsort(distinct, kind="stable")
    except TypeError:  # e.g. numbers among strings
        order = np.arange(len(distinct))
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    return place[codes].astype(np.int64), pd.Series(distinct[order]).tolist()


def _check_frame(frame: pd.DataFrame, user: str, item: str) -> None:
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"frame must be a pandas DataFrame, found {type(frame).__name__}.")
    columns = list(frame.columns)
    for argument, column in (("user", user), ("item", item)):
        choice(argument, column, columns)
        if columns.count(column) > 1:
            raise ValueError(f"frame has {columns.count(column)} columns {argument}={column!r}.")
    if user == item:
        raise ValueError(f"user and item are both column {user!r}; name two columns.")
    if frame.empty:
        raise ValueError("frame has no rows; give at least one interaction.")
    for argument, column in (("user", user), ("item", item)):
        missing = int(frame[column].isna().sum())
        if missing:
            raise ValueError(
                f"column {argument}={column!r} has {missing} missing ids (NaN) in {len(frame)} "
                "rows; drop these rows or fill them in."
            )


def _check_edge_type(edge_type: EdgeType) -> None:
    names = edge_type if isinstance(edge_type, tuple | list) else ()
    if len(names) != 3 or not all(isinstance(name, str) for name in names):
        raise TypeError(f"edge_type must be a tuple of three names, found {edge_type!r}.")
    if edge_type[0] == edge_type[2]:
        raise ValueError(
            f"edge_type={edge_type!r} joins {edge_type[0]!r} to itself; users and items need "
            "different names."
        )
