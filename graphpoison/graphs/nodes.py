"""A graph for node classification, read once from ``Data`` into an immutable value."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import torch
from torch import Tensor
from torch_geometric.data import Data

from .._checks import pair_index, real_numbers, refuse_batch
from .adjacency import with_edge_index
from .codes import decode, encode, ordered

logger = logging.getLogger(__name__)

MOST_IDENTITIES = 20_000
FEWEST = 1_000  # class numbers below this are accepted in any graph
MASKS = ("train_mask", "val_mask", "test_mask")


@dataclass(frozen=True, eq=False)
class NodeGraph:
    """An undirected graph with features and labels of its nodes, checked by
    :func:`~graphpoison.graphs.read_nodes`.

    Args:
        x: Tensor [N, F], features: dense, of floating point, finite.
        y: LongTensor [N], classes 0, 1, ...; below 0 where a node has no label.
        edge_index: LongTensor [2, 2E], both directions of each edge, sorted by (source, target),
            each once, without self-loops.
        edge_weight: Tensor [2E], above 0 and the same in both directions; None where all are 1.
        train_mask, val_mask, test_mask: BoolTensor [N]; None if the data have no such mask.
            ``val_mask`` is also None if it sets no node.
    """

    x: Tensor
    y: Tensor
    edge_index: Tensor
    edge_weight: Tensor | None = None
    train_mask: Tensor | None = None
    val_mask: Tensor | None = None
    test_mask: Tensor | None = None

    @property
    def num_nodes(self) -> int:
        return self.x.size(0)

    @property
    def num_features(self) -> int:
        return self.x.size(1)

    @property
    def num_classes(self) -> int:
        return int(self.y.max()) + 1

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of sources and of targets, which are the same nodes."""
        return self.num_nodes, self.num_nodes

    @cached_property
    def pairs(self) -> Tensor:
        """Each edge once, with source < target and sorted, LongTensor [2, E]."""
        return self.edge_index[:, self._forward]

    @cached_property
    def pair_weight(self) -> Tensor | None:
        """The weights [E] of :attr:`pairs`; None where all are 1."""
        return None if self.edge_weight is None else self.edge_weight[self._forward]

    @property
    def _forward(self) -> Tensor:
        return self.edge_index[0] < self.edge_index[1]

    def mask(self, name: str) -> Tensor:
        """The mask ``name``. All nodes that it sets have labels.

        Raises:
            TypeError: there is no such mask.
            ValueError: the mask sets no node, or a node without a label.
        """
        mask: Tensor | None = getattr(self, name) if name in MASKS else None
        if mask is None:
            there = [other for other in MASKS if getattr(self, other) is not None]
            raise TypeError(f"data.{name} is missing; there are {there}.")
        if not bool(mask.any()):
            raise ValueError(f"data.{name} sets no node; it must set one at least.")
        if int(self.y[mask].min()) < 0:
            raise ValueError(
                f"data.y is {int(self.y[mask].min())} for a node in data.{name}: labels are 0, 1, "
                "2, ...; leave nodes without a label out of the mask."
            )
        return mask

    def with_edges(self, edge_index: Tensor, edge_weight: Tensor | None = None) -> "NodeGraph":
        """The same nodes with other edges, which are not checked; used by defences."""
        return replace(self, edge_index=edge_index, edge_weight=edge_weight)

    def with_pairs(self, pairs: Tensor, weight: Tensor | None = None) -> "NodeGraph":
        """The same nodes with the undirected edges ``pairs`` [2, E] and their ``weight`` [E]."""
        index = torch.cat([pairs, pairs.flip(0)], dim=1)
        order = torch.argsort(encode(index, self.num_nodes))
        both = None if weight is None else torch.cat([weight, weight])[order]
        return replace(self, edge_index=index[:, order], edge_weight=both)


def read_nodes(data: Data | NodeGraph) -> NodeGraph:
    """The graph of ``data``; a ``NodeGraph`` is returned unchanged.

    Repeated edges count once, and self-loops are left out because models add their own. ``adj_t``
    and ``EdgeIndex`` are read too. A graph without ``x`` has the identity [N, N] as features.

    Raises:
        TypeError: ``data`` is no ``Data``, or lacks edges or ``y``; features, labels, edge
            weights or a mask are no Tensor.
        ValueError: an edge has no counterpart in the other direction; an index is out of range;
            features are not [N, F] or not finite; labels are no integers [N]; a mask is no
            BoolTensor [N]; edge weights are not above 0, differ between directions, or are
            normalised already.
    """
    if isinstance(data, NodeGraph):
        return data
    refuse_batch(data)
    if not isinstance(data, Data):
        raise TypeError(f"data must be a torch_geometric Data, found {type(data).__name__}.")
    for name in ("x", "y", "edge_weight", *MASKS):
        value = getattr(data, name, None)
        if value is None and name == "y":
            raise TypeError("data.y is missing.")
        if value is not None and not isinstance(value, Tensor):
            raise TypeError(f"data.{name} must be a Tensor, found {type(value).__name__}.")
    plain = with_edge_index(data)
    pairs = undirected_pairs(plain)  # which refuses a graph without edge_index
    count = int(plain.num_nodes or 0)
    x = _identity(plain, count) if data.x is None else _features(data.x, count)
    y = _labels(data.y, x.size(0))
    masks = {name: _mask(name, getattr(data, name, None), y) for name in MASKS}
    if masks["val_mask"] is not None and not bool(masks["val_mask"].any()):
        masks["val_mask"] = None
    _warn_of_overlap(masks)
    graph = NodeGraph(x, y, plain.edge_index[:, :0], None, **masks)
    return graph.with_pairs(pairs, pair_weights(plain))


def _warn_of_overlap(masks: Mapping[str, Tensor | None]) -> None:
    for first, second in combinations(masks, 2):
        a, b = masks[first], masks[second]
        both = 0 if a is None or b is None else int((a & b).sum())
        if both:
            logger.warning(
                "%d nodes are in data.%s and in data.%s: accuracy is measured on nodes seen in "
                "training.",
                both,
                first,
                second,
            )


def _identity(data: Data, count: int) -> Tensor:
    """The identity [N, N] as features, as in the literature on PolBlogs."""
    if count > MOST_IDENTITIES:
        raise ValueError(
            f"data has no x and {count:,} nodes; the identity as features is made for up to "
            f"{MOST_IDENTITIES:,}. Set data.x, to torch.zeros(num_nodes, 0) if no model needs it."
        )
    logger.info("data has no x; the features are the identity [%d, %d]", count, count)
    return torch.eye(count, device=data.edge_index.device)


def _features(x: Tensor, count: int) -> Tensor:
    if x.dim() != 2 or x.size(0) != count:
        raise ValueError(
            f"data.x must have a row for each of {count} nodes, [{count}, F], found shape "
            f"{tuple(x.shape)}."
        )
    x = x.to_dense() if x.layout != torch.strided else x
    x = real_numbers("data.x", x)
    wrong = x.numel() - int(x.isfinite().sum())
    if wrong:
        raise ValueError(f"data.x has {wrong} entries that are not finite; fix or drop them.")
    return x


def _labels(y: Tensor, count: int) -> Tensor:
    y = y.squeeze(1) if y.dim() == 2 and y.size(1) == 1 else y
    if y.shape != (count,) or y.is_floating_point() or y.is_complex():
        raise ValueError(
            f"data.y must be integer labels [{count}], found {y.dtype} {tuple(y.shape)}."
        )
    if count and int(y.max()) >= max(count, FEWEST):
        raise ValueError(
            f"data.y names class {int(y.max())}, but there are {count} nodes; number the classes "
            "0, 1, 2, ..., and give nodes without a label a number below 0."
        )
    return y.long()


def _mask(name: str, mask: Tensor | None, labels: Tensor) -> Tensor | None:
    if mask is not None and (mask.shape != labels.shape or mask.dtype != torch.bool):
        more = ", several splits: choose one" if mask.dim() == 2 else ""
        raise ValueError(
            f"data.{name} must be a BoolTensor [{labels.numel()}], found {mask.dtype} "
            f"{tuple(mask.shape)}{more}."
        )
    return mask


def undirected_pairs(data: Data) -> Tensor:
    """The edges of ``data`` as pairs [2, E] with source < target, sorted, each once.

    Self-loops are left out (the models add their own) and repeated edges count once.

    Raises:
        TypeError: ``data`` has no ``edge_index``.
        ValueError: an edge has no counterpart in the other direction, or an index is out of range;
            edge weights are the entries of a normalised adjacency.
    """
    if data.edge_index is None:
        raise TypeError("data has neither edge_index nor a sparse adj_t.")
    num_nodes = int(data.num_nodes or 0)
    index = pair_index("data.edge_index", data.edge_index, (num_nodes, num_nodes))
    _refuse_normalised(index, getattr(data, "edge_weight", None), num_nodes)
    loops = index[0] == index[1]
    if bool(loops.any()):
        logger.info("left out %d self-loops", int(loops.sum()))
        index = index[:, ~loops]
    forward = torch.unique(encode(index, num_nodes))
    backward = torch.unique(encode(index.flip(0), num_nodes))
    if not torch.equal(forward, backward):
        missing = int((~torch.isin(forward, backward)).sum())
        raise ValueError(
            f"data.edge_index is directed: {missing} edges have no counterpart in the other "
            "direction. Apply torch_geometric.transforms.ToUndirected() first."
        )
    pairs = decode(forward, num_nodes)
    return pairs[:, pairs[0] < pairs[1]]


def pair_weights(data: Data) -> Tensor | None:
    """``data.edge_weight`` of the pairs [E] that :func:`undirected_pairs` finds, or None.

    Raises:
        TypeError: the weights are sparse, or of a dtype that is not supported.
        ValueError: the weights are not one number above 0 per edge, or differ between the two
            directions (or the repetitions) of an edge.
    """
    weight: Tensor | None = getattr(data, "edge_weight", None)
    if weight is None:
        return None
    index, num_nodes = data.edge_index, int(data.num_nodes or 0)
    if weight.layout != torch.strided:
        raise TypeError(f"data.edge_weight must be dense, found {weight.layout}; use .to_dense().")
    weight = real_numbers("data.edge_weight", weight)
    if weight.shape != (index.size(1),) or not bool(((weight > 0) & weight.isfinite()).all()):
        raise ValueError(
            f"data.edge_weight must hold {index.size(1)} finite numbers above 0, one for each edge "
            f"(leave out edges of weight 0), found shape {tuple(weight.shape)}"
            + (f" and values down to {float(weight.min())}." if weight.numel() else ".")
        )
    between = index[0] != index[1]
    codes = encode(ordered(index[:, between]), num_nodes)
    weight = weight[between]
    codes, place = torch.unique(codes, return_inverse=True)
    low, high = (
        weight.new_empty(codes.numel()).scatter_reduce(0, place, weight, which, include_self=False)
        for which in ("amin", "amax")
    )
    if not torch.equal(low, high):
        raise ValueError(
            f"data.edge_weight differs between the two directions of {int((low != high).sum())} "
            "edges; apply torch_geometric.transforms.ToUndirected(reduce='mean') first."
        )
    return high


def _refuse_normalised(index: Tensor, weight: Tensor | None, num_nodes: int) -> None:
    """Raise a ValueError if the weights are 1 / sqrt(d_i d_j), self-loops included.

    After a flip, the normalised weights around it would be wrong, and models would normalise twice.
    """
    if weight is None or weight.shape != index.shape[1:] or bool((weight == weight[:1]).all()):
        return
    degree = torch.bincount(index[1], minlength=num_nodes).to(weight)
    product = weight.square() * degree[index[0]] * degree[index[1]]
    if torch.allclose(product, torch.ones_like(product)):
        raise ValueError(
            "data.edge_weight has been normalised by GCNNorm, but models normalise the adjacency "
            "themselves; leave torch_geometric.transforms.GCNNorm out."
        )
