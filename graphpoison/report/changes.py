"""The effect of the flips on nodes: flips at each node, and degrees before and after."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from ..apply import edges_of
from ..graphs import Graph, Interactions
from ..perturbation import Perturbation

MAX_BINS = 24


@dataclass(frozen=True, eq=False)
class Change:
    """The edges of a clean graph and the flips, in arrays [2, *] of node numbers.

    Args:
        kinds: the kinds of the two ends, e.g. ``("user", "item")``; ``("node", "node")`` if the
            graph is homogeneous, each edge being listed once.
        kept: edges that are not flipped; None if the graph is not known.
        joined: initial interactions of fake users.
        added, removed: edges added and removed by flips.
        features_set, features_cleared: node (of the first kind) and feature of every entry that
            became 1 or 0.
        sizes: number of nodes of either kind, fake users included.
        num_fake: number of fake users, which are the last nodes of the first kind.
        ids: the ids of the nodes of either kind (``raw_id``), None if the data have no ids.
    """

    kinds: tuple[str, str]
    kept: np.ndarray | None
    joined: np.ndarray
    added: np.ndarray
    removed: np.ndarray
    features_set: np.ndarray
    features_cleared: np.ndarray
    sizes: tuple[int, int]
    num_fake: int
    ids: tuple[list[str] | None, list[str] | None] = (None, None)

    @property
    def bipartite(self) -> bool:
        return self.kinds[0] != self.kinds[1]

    @property
    def features(self) -> np.ndarray:
        """Node and feature of every entry that was flipped."""
        flipped: np.ndarray = np.hstack([self.features_set, self.features_cleared])
        return flipped


@dataclass(frozen=True, eq=False)
class Side:
    """The nodes of one kind, all arrays [N].

    Args:
        kind: the kind of the nodes.
        added, removed: flips of edges at each node.
        features: flips of features at each node.
        before: degrees in the clean graph, 0 for fake users; None if the graph is not known.
        after: degrees in the poisoned graph, or None.
        num_real: number of real nodes; nodes from this number on are fake users.
        ids: the ids of the nodes, None if the data have no ids.
    """

    kind: str
    added: np.ndarray
    removed: np.ndarray
    features: np.ndarray
    before: np.ndarray | None
    after: np.ndarray | None
    num_real: int
    ids: list[str] | None = None

    @property
    def flips(self) -> np.ndarray:
        """Flips at each node, of edges and of features."""
        total: np.ndarray = self.added + self.removed + self.features
        return total

    def top(self, count: int = 20) -> pd.DataFrame:
        """The ``count`` nodes with most flips, with the columns node, id (if known), flips, added,
        removed, features (if any were flipped), degree before and after (if known), and fake
        (whether the node is a fake user)."""
        flips = self.flips
        hit = np.argsort(-flips, kind="stable")[: min(count, int((flips > 0).sum()))]
        table: dict[str, Any] = {self.kind: hit}
        if self.ids is not None:
            table[f"{self.kind} id"] = [self.ids[node] for node in hit]
        table["flips"] = flips[hit]
        table |= {"added": self.added[hit], "removed": self.removed[hit]}
        if self.features.any():
            table["features"] = self.features[hit]
        if self.before is not None and self.after is not None:
            table |= {"degree before": self.before[hit], "degree after": self.after[hit]}
        return pd.DataFrame(table).assign(fake=hit >= self.num_real)


def change(perturbation: Perturbation, graph: Graph | None) -> Change:
    """The flips of ``perturbation`` and the clean graph that was attacked, if it is known.

    Raises:
        ValueError: the flips name nodes that ``graph`` lacks.
    """
    edge_type = perturbation.meta.get("edge_type")
    fake = perturbation.fake_users
    num_fake = 0 if fake is None else fake.count
    pairs, features = _array(perturbation.pairs), _array(perturbation.feature_flips)
    if graph is not None:
        edges, shape = _array(edges_of(graph)), (graph.shape[0] + num_fake, graph.shape[1])
    else:
        seen = 1 + pairs.max(axis=1, initial=-1)
        seen[0] = max(seen[0], 1 + features[0].max(initial=-1))
        shape = tuple(perturbation.meta.get("shape", seen))
        if edge_type is None:
            shape = (max(shape), max(shape))
    if (pairs >= np.array(shape)[:, None]).any() or (features[0] >= shape[0]).any():
        raise ValueError(
            f"the flips name nodes beyond the {shape[0]} x {shape[1]} of data: it is not the graph "
            "that was attacked."
        )
    removed = _array(perturbation.removed)
    joined = np.empty((2, 0), dtype=np.int64)
    if fake is not None:
        joined = _array(fake.edges) + np.array([[shape[0] - num_fake], [0]])
    kept = None
    if graph is not None:
        gone = np.isin(edges[0] * shape[1] + edges[1], removed[0] * shape[1] + removed[1])
        kept = edges[:, ~gone]
    kinds = ("node", "node") if edge_type is None else (str(edge_type[0]), str(edge_type[2]))
    return Change(
        kinds=kinds,
        kept=kept,
        joined=joined,
        added=_array(perturbation.added),
        removed=removed,
        features_set=_array(perturbation.features_set),
        features_cleared=_array(perturbation.features_cleared),
        sizes=shape,
        num_fake=num_fake,
        ids=_ids(graph, shape),
    )


def _ids(graph: Graph | None, shape: tuple[int, int]) -> tuple[list[str] | None, list[str] | None]:
    """The ids of the nodes of either kind, empty for fake users; None if the graph has no ids."""
    if not isinstance(graph, Interactions):
        return None, None
    users, items = (
        None if known is None or len(known) > number else [*known, *[""] * (number - len(known))]
        for known, number in zip((graph.user_ids, graph.item_ids), shape, strict=True)
    )
    return users, items


def sides(found: Change) -> list[Side]:
    """Users and items; or the nodes of a homogeneous graph."""
    ends = [[0], [1]] if found.bipartite else [[0, 1]]
    return [_side(found, rows) for rows in ends]


def _side(found: Change, rows: list[int]) -> Side:
    number = found.sizes[rows[0]]

    def degrees(edges: np.ndarray) -> np.ndarray:
        return np.bincount(edges[rows].ravel(), minlength=number)

    added, removed = degrees(found.added), degrees(found.removed)
    before = after = None
    if found.kept is not None:
        # A removed pair of a fake user was an initial interaction, not an edge of the clean graph.
        real = found.removed[:, found.removed[0] < found.sizes[0] - found.num_fake]
        before = degrees(found.kept) + degrees(real)
        after = degrees(found.kept) + degrees(found.joined) + added - (removed - degrees(real))
    first = 0 in rows
    features = np.bincount(found.features[0, : None if first else 0], minlength=number)
    fake = found.num_fake if first else 0
    kind, ids = found.kinds[rows[0]], found.ids[rows[0]]
    return Side(kind, added, removed, features, before, after, number - fake, ids)


def histogram(side: Side) -> pd.DataFrame:
    """Numbers of nodes by degree: ``degree`` (e.g. ``"4-7"``), ``before`` and ``after``.

    Fake users count in ``after`` only. If all degrees are at most :data:`MAX_BINS`, each degree is
    one bin; otherwise bins are spaced geometrically.
    """
    assert side.before is not None
    assert side.after is not None
    before, after = side.before[: side.num_real], side.after
    top = max(int(before.max(initial=0)), int(after.max(initial=0)))
    edges = np.arange(top + 2)
    if top > MAX_BINS:
        edges = np.unique(np.geomspace(1, top + 1, MAX_BINS).round().astype(int))
        edges = np.concatenate([[0], edges])
    names = [
        str(low) if high == low + 1 else f"{low}-{high - 1}"
        for low, high in pairwise(edges.tolist())
    ]
    counts = [
        np.histogram(degrees, [*edges[:-1], edges[-1] - 0.5])[0] for degrees in (before, after)
    ]
    return pd.DataFrame({"degree": names, "before": counts[0], "after": counts[1]})


def _array(pairs: Tensor) -> np.ndarray:
    found: np.ndarray = pairs.cpu().numpy()
    return found
