"""Splits of interactions into training and unseen parts, and the validation split of a graph.

A pair (u, i) is written as the code ``u * num_items + i`` here; codes are sorted and distinct.
"""

import logging
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from .._checks import choice, in_range, positive_int, seed_number
from ..graphs import Interactions
from ..graphs import read_interactions as read_graph_interactions
from ..graphs.sampling import Codes, sample_unoccupied

logger = logging.getLogger(__name__)

EdgeType = tuple[str, str, str]
Split = Literal["random", "per-user", "leave-one-out", "time"]
Parts = tuple[Codes, Codes]

SPLITS = ("random", "per-user", "leave-one-out", "time")
BY_TIME = ("leave-one-out", "time")
RATES: EdgeType = ("user", "rates", "item")
PARTS = ("edge_index", "neg_edge_index", "unseen_edge_index", "unseen_neg_edge_index")


def check_split(split: str, timed: bool) -> None:
    """Raise a ValueError if ``split`` is unknown, lacks the times that it needs, or ignores the
    given times."""
    choice("split", split, SPLITS)
    if split == "time" and not timed:
        raise ValueError(
            "split='time' needs the time of each interaction: name the column of times, or use "
            "split='per-user'."
        )
    if timed and split not in BY_TIME:
        raise ValueError(
            f"time has no effect on split={split!r}; leave it out, or use split='time' or "
            "split='leave-one-out'."
        )


def split_codes(
    codes: Codes,
    num_items: int,
    split: str,
    fraction: float,
    rng: np.random.Generator,
    times: npt.NDArray[np.int64] | None = None,
) -> Parts:
    r"""The training part and the unseen part of ``codes`` [E], both sorted.

    A user with :math:`n_u` interactions has this many unseen interactions:

    - ``"random"``: any number; ``round(fraction * E)`` of all E are drawn uniformly;
    - ``"per-user"``: ``round(fraction * n_u)``, drawn uniformly;
    - ``"leave-one-out"``: 1 if :math:`n_u \ge 2`: the last by ``times``, or a random one;
    - ``"time"``: ``round(fraction * n_u)``, the last ones by ``times``.

    Halves are rounded to the nearest even number. At least one interaction stays in training: one
    in all for ``"random"``, one of each user for the other splits.

    Args:
        codes: sorted, distinct codes ``user * num_items + item``.
        num_items: number of items.
        split: one of :data:`SPLITS`.
        fraction: in [0, 1).
        rng: generator of all draws, and of the order of equal ``times``.
        times: int64 [E], larger for later interactions.
    """
    if split == "random":
        return split_at_random(codes, fraction, rng)
    users = codes // num_items
    chance = rng.permutation(codes.size)
    latest = np.zeros_like(codes) if times is None else -times
    order = np.lexsort((chance, latest, users))  # the first ones of each user become unseen
    _, starts, counts = np.unique(users, return_index=True, return_counts=True)
    wanted = np.ones_like(counts) if split == "leave-one-out" else np.rint(fraction * counts)
    held_out = np.minimum(wanted, counts - 1).astype(np.int64)
    place = np.arange(codes.size) - np.repeat(starts, counts)
    unseen = place < np.repeat(held_out, counts)
    return np.sort(codes[order[~unseen]]), np.sort(codes[order[unseen]])


def split_at_random(codes: Codes, fraction: float, rng: np.random.Generator) -> Parts:
    """``codes`` without a share drawn uniformly, and this share; both sorted."""
    num_unseen = min(round(fraction * codes.size), max(codes.size - 1, 0))
    order = rng.permutation(codes.size)
    return np.sort(codes[order[num_unseen:]]), np.sort(codes[order[:num_unseen]])


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


def graph_of(
    positives: Parts, negatives: Parts, shape: tuple[int, int], kind: EdgeType
) -> HeteroData:
    """A graph of users and items from (training, unseen) codes of positives and negatives."""
    data = HeteroData()
    data[kind[0]].num_nodes, data[kind[2]].num_nodes = shape
    parts = (positives[0], negatives[0], positives[1], negatives[1])
    for key, codes in zip(PARTS, parts, strict=True):
        data[kind][key] = torch.from_numpy(np.stack(np.divmod(codes, shape[1])))
    return data


def numbered_times(column: pd.Series) -> npt.NDArray[np.int64]:
    """Times as int64 [rows]. Datetimes and dates as text become nanoseconds since 1970 (UTC).
    Integers are kept; if a number is not an integer, all numbers are replaced by their ranks.

    Raises:
        ValueError: a time is missing, or is text that is neither a number nor a date.
    """
    missing = int(column.isna().sum())
    if missing:
        raise ValueError(
            f"column time={column.name!r} has {missing} missing times in {len(column)} rows; drop "
            "these rows, or use split='per-user', which needs no time."
        )
    if pd.api.types.is_integer_dtype(column):
        whole: npt.NDArray[np.int64] = column.to_numpy(dtype=np.int64)
        return whole
    if not pd.api.types.is_datetime64_any_dtype(column):
        numbers = pd.to_numeric(column, errors="coerce")
        if not numbers.isna().any():
            return pd.factorize(numbers, sort=True)[0].astype(np.int64)
    try:
        dates = pd.to_datetime(column, utc=True, format="ISO8601")
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"column time={column.name!r} must hold numbers or dates such as 2024-05-31 12:00; the "
            f"first row has {column.iloc[0]!r}: {error}"
        ) from error
    return dates.dt.tz_localize(None).to_numpy(dtype="datetime64[ns]").astype(np.int64)


def validation_split(
    data: HeteroData,
    fraction: float = 0.2,
    split: Split = "per-user",
    seed: int = 0,
    edge_type: EdgeType | None = None,
) -> HeteroData:
    """A new graph whose unseen part is drawn from the training interactions of ``data``.

    Choose the hyperparameters of attacks and recommenders on the result, and report on ``data``.
    The unseen interactions of ``data`` are absent from the result: they are neither interactions
    nor negatives. Training negatives of ``data`` are split in the proportion of the interactions.
    If ``data`` have none, as many negatives as interactions are drawn outside all interactions of
    ``data``, seen and unseen.

    Args:
        data: a bipartite graph, as :func:`from_interactions` makes it; not changed.
        fraction: share of the training interactions that is unseen in the result; in (0, 1).
        split: as in :func:`from_interactions`. Times are read from ``data[edge_type].time`` [E],
            which :func:`from_interactions` sets if it is given ``time``; ``"leave-one-out"`` uses
            them if present.
        seed: seed of the split and of the negatives.
        edge_type: the interactions to split; if None, the only edge type that is not a reverse
            type.

    Returns:
        ``HeteroData`` with the nodes of ``data`` and only ``edge_type``, in the four parts that
        :func:`from_interactions` makes. Of the other attributes of edges, only ``time`` is kept.

    Raises:
        TypeError: ``data`` is no ``HeteroData``.
        ValueError: ``fraction`` is out of range or ``split`` is unknown; ``split="time"``, but
            ``data`` have no times.
    """
    if not isinstance(data, HeteroData):
        raise TypeError(f"data must be a torch_geometric HeteroData, found {type(data).__name__}.")
    choice("split", split, SPLITS)
    if in_range("fraction", fraction, 0.0, 1.0, open_low=True) == 1.0:
        raise ValueError("fraction must lie in (0, 1), found 1.0; keep a part for training.")
    graph = read_graph_interactions(data, edge_type)
    rng = np.random.default_rng(seed_number("seed", seed))
    width, kind = graph.num_items, graph.edge_type
    known = _codes(graph.edge_index, width)
    times = _times(data, graph, known) if split in BY_TIME else None
    if split == "time" and times is None:
        raise ValueError(
            f"split='time' needs the times of interactions, and data[{kind}] has no attribute time "
            "[E]; make data by from_interactions(frame, split='time', time=...), or use "
            "split='per-user'."
        )
    positives = split_codes(known, width, split, fraction, rng, times)
    negatives = _training_negatives(graph, known, rng)
    share = positives[1].size / max(known.size, 1)
    found = graph_of(positives, split_at_random(negatives, share, rng), graph.shape, kind)
    for node_type in (kind[0], kind[2]):
        found[node_type].update(data[node_type].to_dict())
    if times is not None:
        found[kind].time = torch.from_numpy(times[np.searchsorted(known, positives[0])])
    return found.to(graph.edge_index.device)


def _training_negatives(graph: Interactions, known: Codes, rng: np.random.Generator) -> Codes:
    """The training negatives of ``graph``, drawn if it has none, without seen and unseen
    interactions."""
    unseen = [] if graph.unseen is None else [_codes(graph.unseen, graph.num_items)]
    taken = np.unique(np.concatenate([known, *unseen]))
    if graph.negatives is None:
        return draw_negatives(taken, graph.shape, known.size, rng)
    return np.setdiff1d(_codes(graph.negatives, graph.num_items), taken)


def _codes(pairs: Tensor, num_items: int) -> Codes:
    users, items = pairs.cpu().numpy()
    return np.sort(users * num_items + items)


def _times(data: HeteroData, graph: Interactions, known: Codes) -> npt.NDArray[np.int64] | None:
    """The times of the interactions ``known``; the earliest one of a repeated interaction."""
    store = data[graph.edge_type]
    if "time" not in store or "edge_index" not in store:
        return None
    index, times = store.edge_index, torch.as_tensor(store.time)
    if times.dim() != 1 or times.numel() != index.size(1):
        raise ValueError(
            f"data[{graph.edge_type}].time must have one time for each of the {index.size(1)} "
            f"interactions, found a tensor of shape {tuple(times.shape)}."
        )
    users, items = index.cpu().numpy()
    codes, numbers = users * graph.num_items + items, numbered_times(pd.Series(times.cpu().numpy()))
    return first_times(codes, numbers, known)


def first_times(codes: Codes, times: npt.NDArray[np.int64], known: Codes) -> npt.NDArray[np.int64]:
    """For each code in ``known`` [E], the smallest of the ``times`` [rows] where ``codes`` [rows]
    equal it."""
    found = np.full(known.size, np.iinfo(np.int64).max)
    np.minimum.at(found, np.searchsorted(known, codes), times)
    return found
