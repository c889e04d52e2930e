"""User-item interactions with sampled negatives, split into a training and an unseen part."""

import logging
from collections.abc import Hashable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch_geometric.data import HeteroData

from .._checks import choice, in_range, seed_number
from ..graphs.sampling import Codes
from .splits import (
    RATES,
    EdgeType,
    Split,
    check_split,
    draw_negatives,
    first_times,
    graph_of,
    numbered_times,
    split_at_random,
    split_codes,
)

logger = logging.getLogger(__name__)


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
    split: Split = "random",
    time: str | None = None,
) -> HeteroData:
    """Bipartite data of the distinct (user, item) pairs in ``frame``.

    Users and items are numbered from 0 in the order of their sorted ids, or of first appearance
    where the ids cannot be sorted. Negatives are drawn uniformly without replacement among the
    pairs that are in neither ``frame`` nor ``unseen``.

    Args:
        frame: one row per interaction; columns other than ``user``, ``item`` and ``time`` are
            ignored.
        user: column of user ids, of any hashable type.
        item: column of item ids, of any hashable type.
        test_fraction: share of the positives, and of the negatives, that is unseen; in [0, 1).
            At least one of each stays in training. Ignored if ``unseen`` is given, and by
            ``split="leave-one-out"``.
        seed: seed of the negatives and the split.
        edge_type: names of the user nodes, the relation and the item nodes.
        num_negatives: number of negatives, training and unseen together; if None, the number of
            positives.
        unseen: the unseen positives of a published split, in the columns of ``frame``; negatives
            are then split in the proportion of the positives.
        split: the rule for unseen interactions. ``"random"``: a share of all interactions.
            ``"per-user"``: ``round(test_fraction * n)`` of the n interactions of each user, at
            random (RecBole: RS, group_by user). ``"leave-one-out"``: one interaction of each user
            with two or more, the last one by ``time``, or else a random one (RecBole: LS).
            ``"time"``: the last ``round(test_fraction * n)`` interactions of each user by ``time``
            (RecBole: RS, group_by user, order TO). With the last three, each user keeps at least
            one training interaction, and negatives are split in the proportion of the positives.
        time: column of numbers, datetimes or dates as text (ISO 8601); required by ``"time"``,
            optional for ``"leave-one-out"``. A repeated interaction has its earliest time. Equal
            times of a user are ordered at random, from ``seed``.

    Returns:
        ``HeteroData`` with ``num_nodes`` and ``raw_id`` (list of the original ids) for both node
        types. ``edge_type`` has four disjoint int64 tensors ``[2, *]``, sorted by (user, item):
        ``edge_index``, ``neg_edge_index``, ``unseen_edge_index``, ``unseen_neg_edge_index``. With
        ``time``, it also has ``time`` (int64 [E]) of ``edge_index``: integers are kept, datetimes
        are nanoseconds since 1970, other numbers are replaced by their rank.

    Raises:
        TypeError: a frame is no DataFrame, ``edge_type`` is no triple of names, or an id is not
            hashable.
        ValueError: a column is missing or holds NaN, a frame is empty, ``test_fraction`` lies
            outside [0, 1), a pair is in both frames, ids are numbers in one frame and text in the
            other, or the two node types of ``edge_type`` are the same; ``split`` is unknown, or
            cannot be combined with ``time`` or ``unseen``; a time is neither a number nor a date.
    """
    _check_edge_type(edge_type)
    check_split(split, time is not None)
    _check_frame("frame", frame, user, item)
    rows = frame[[user, item]]
    if unseen is not None:
        if split != "random":
            raise ValueError(f"split={split!r} and unseen are two splits: leave one of them out.")
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
    rng = np.random.default_rng(seed_number("seed", seed))
    if unseen is None:
        times = None if time is None else _times(frame, time, codes, known)
        data = assemble(
            known, shape, test_fraction, rng, edge_type, num_negatives, split=split, times=times
        )
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
    *,
    split: Split = "random",
    times: npt.NDArray[np.int64] | None = None,
) -> HeteroData:
    """Draw negatives for sorted, distinct pair codes ``user * shape[1] + item``, and split both.

    ``times`` are int64 [E], in the order of ``positives``. Other arguments, the result (without
    ``raw_id``) and errors are as in :func:`from_interactions`.
    """
    if in_range("test_fraction", test_fraction, 0.0, 1.0) == 1.0:
        raise ValueError("test_fraction must lie in [0, 1), found 1.0; keep a part for training.")
    negatives = draw_negatives(positives, shape, num_negatives, rng)
    train, unseen = split_codes(positives, shape[1], split, test_fraction, rng, times)
    share = test_fraction if split == "random" else unseen.size / positives.size
    data = graph_of((train, unseen), split_at_random(negatives, share, rng), shape, edge_type)
    if times is not None:
        kept = times[np.searchsorted(positives, train)]
        data[edge_type].time = torch.from_numpy(kept)
    return data


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
    parts = split_at_random(negatives, unseen.size / positives.size, rng)
    return graph_of((train, unseen), parts, shape, edge_type)


def _times(frame: pd.DataFrame, time: str, codes: Codes, known: Codes) -> npt.NDArray[np.int64]:
    """The times [E] of the pairs ``known``; ``codes`` are the pairs of the rows of ``frame``."""
    columns = list(frame.columns)
    if columns.count(choice("time", time, columns)) > 1:
        raise ValueError(f"frame has {columns.count(time)} columns time={time!r}.")
    return first_times(codes, numbered_times(frame[time]), known)


def _number(argument: str, ids: "pd.Series[Any]") -> tuple[Codes, list[Hashable]]:
    """The position of each id in the list of distinct ids, and this list."""
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
    return place[codes].astype(np.int64, copy=False), pd.Series(distinct[order]).tolist()


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
    """The rows of both frames. Columns of two dtypes become objects, so that no id is rounded."""
    for column in rows.columns:
        here, there = (pd.api.types.infer_dtype(frame[column]) for frame in (rows, others))
        if {here, there} in ({"integer", "string"}, {"floating", "string"}):
            raise ValueError(
                f"ids in column {column!r} are of kind {here} in one frame and {there} in the "
                "other, so that no id would match; convert both to text by astype(str), or read "
                "both files with dtype=str."
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
