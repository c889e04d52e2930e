"""User-item interactions with sampled negatives, split into a training and an unseen part."""

import logging
from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch_geometric.data import HeteroData

from .._checks import choice, in_range, positive_int
from ..graphs.sampling import Codes, sample_unoccupied

logger = logging.getLogger(__name__)

EdgeType = tuple[str, str, str]
RATES: EdgeType = ("user", "rates", "item")
PARTS = ("edge_index", "neg_edge_index", "unseen_edge_index", "unseen_neg_edge_index")


def from_interactions(
    frame: pd.DataFrame,
    user: str = "user",
    item: str = "item",
    test_fraction: float = 0.2,
    seed: int = 0,
    *,
    edge_type: EdgeType = RATES,
    num_negatives: int | None = None,
    unseen: pd.DataFrame | None = None,
) -> HeteroData:
    """Bipartite data of the distinct (user, item) pairs in ``frame``.

    Users and items are numbered from 0 in the order of their sorted ids, or of first appearance
    where the ids cannot be sorted. Negatives are drawn uniformly without replacement among the
    pairs that are in neither ``frame`` nor ``unseen``.

    Args:
        frame: one row per interaction; other columns are not looked at.
        user: column of user ids, of any hashable type.
        item: column of item ids, of any hashable type.
        test_fraction: share of the positives, and of the negatives, that is unseen; in [0, 1).
            At least one of each stays in training. Not looked at where ``unseen`` is given.
        seed: of the negatives and the split.
        edge_type: names of the user nodes, the relation and the item nodes.
        num_negatives: negatives to draw, train and unseen together; as many as positives if None.
        unseen: the unseen positives of a published split, in the columns of ``frame``; negatives
            are then split in the proportion of the positives.

    Returns:
        ``HeteroData`` with ``num_nodes`` and ``raw_id`` (the original ids, list) of both node
        types and, of ``edge_type``, four disjoint int64 ``[2, *]`` sorted by (user, item):
        ``edge_index``, ``neg_edge_index``, ``unseen_edge_index``, ``unseen_neg_edge_index``.

    Raises:
        TypeError: a frame is no DataFrame, ``edge_type`` no triple of names, an id not hashable.
        ValueError: a column is missing or holds NaN, a frame is empty, ``test_fraction`` lies
            outside [0, 1), a pair is in both frames, ids are numbers in one and text in the other,
            or the two node types of ``edge_type`` are the same.
    """
    _check_edge_type(edge_type)
    _check_frame("frame", frame, user, item)
    rows = frame[[user, item]]
    if unseen is not None:
        _check_frame("unseen", unseen, user, item)
        rows = _joined(rows, unseen[[user, item]])
    users, user_ids = _number("user", rows[user])
    items, item_ids = _number("item", rows[item])
    shape = (len(user_ids), len(item_ids))
    codes = users * shape[1] + items
    known, held_out = np.unique(codes[: len(frame)]), np.unique(codes[len(frame) :])
    repeated = codes.size - known.size - held_out.size
    if repeated:
        logger.info("Dropped %d repeated interactions.", repeated)
    rng = np.random.default_rng(positive_int("seed", seed, minimum=0))
    if unseen is None:
        data = assemble(known, shape, test_fraction, rng, edge_type, num_negatives)
    else:
        data = _assemble_split(known, held_out, shape, rng, edge_type, num_negatives)
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
    train, unseen = _split(positives, test_fraction, rng)
    train_negatives, unseen_negatives = _split(negatives, test_fraction, rng)
    return _graph((train, train_negatives, unseen, unseen_negatives), shape, edge_type)


def _assemble_split(
    train: Codes,
    unseen: Codes,
    shape: tuple[int, int],
    rng: np.random.Generator,
    edge_type: EdgeType,
    num_negatives: int | None,
) -> HeteroData:
    positives = np.union1d(train, unseen)
    if positives.size < train.size + unseen.size:
        raise ValueError(
            f"{train.size + unseen.size - positives.size} pairs of unseen are also in frame; a "
            "pair is either for training or unseen: drop them from one."
        )
    negatives = draw_negatives(positives, shape, num_negatives, rng)
    train_negatives, unseen_negatives = _split(negatives, unseen.size / positives.size, rng)
    return _graph((train, train_negatives, unseen, unseen_negatives), shape, edge_type)


def _graph(
    parts: tuple[Codes, Codes, Codes, Codes], shape: tuple[int, int], edge_type: EdgeType
) -> HeteroData:
    data = HeteroData()
    data[edge_type[0]].num_nodes, data[edge_type[2]].num_nodes = shape
    store = data[edge_type]
    for key, codes in zip(PARTS, parts, strict=True):
        store[key] = torch.from_numpy(np.stack(np.divmod(codes, shape[1])))
    return data


def draw_negatives(
    positives: Codes, shape: tuple[int, int], count: int | None, rng: np.random.Generator
) -> Codes:
    """``count`` sorted codes, uniform without replacement among the codes not in ``positives``.

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


def _check_frame(name: str, frame: pd.DataFrame, user: str, item: str) -> None:
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"{name} must be a pandas DataFrame, found {type(frame).__name__}.")
    columns = list(frame.columns)
    for argument, column in (("user", user), ("item", item)):
        choice(argument, column, columns)
        if columns.count(column) > 1:
            raise ValueError(f"{name} has {columns.count(column)} columns {argument}={column!r}.")
    if user == item:
        raise ValueError(f"user and item are both column {user!r}; name two columns.")
    if frame.empty:
        raise ValueError(f"{name} has no rows; give at least one interaction.")
    for argument, column in (("user", user), ("item", item)):
        missing = int(frame[column].isna().sum())
        if missing:
            raise ValueError(
                f"column {argument}={column!r} of {name} has {missing} missing ids (NaN) in "
                f"{len(frame)} rows; drop these rows or fill them in."
            )


def _joined(rows: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Both, one after the other; where their types differ as objects, so that no id is rounded."""
    for column in rows.columns:
        here, there = (pd.api.types.infer_dtype(frame[column]) for frame in (rows, others))
        if {here, there} in ({"integer", "string"}, {"floating", "string"}):
            raise ValueError(
                f"ids in column {column!r} are of kind {here} in one frame and {there} in the "
                "other, so that nobody would be in both; turn them into text in both by "
                "astype(str), or read both files with dtype=str."
            )
    unlike = [column for column in rows.columns if rows[column].dtype != others[column].dtype]
    objects = dict.fromkeys(unlike, object)
    return pd.concat([rows.astype(objects), others.astype(objects)])


def _check_edge_type(edge_type: EdgeType) -> None:
    names = edge_type if isinstance(edge_type, tuple | list) else ()
    if len(names) != 3 or not all(isinstance(name, str) for name in names):
        raise TypeError(f"edge_type must be a tuple of three names, found {edge_type!r}.")
    if edge_type[0] == edge_type[2]:
        raise ValueError(
            f"edge_type={edge_type!r} joins {edge_type[0]!r} to itself; users and items need "
            "different names."
        )
