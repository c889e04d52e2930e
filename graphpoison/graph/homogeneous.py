"""Undirected ``Data`` graphs in and out: each pair stored once, source < target."""

import logging

import torch
from torch import Tensor
from torch_geometric.data import Data

from .._checks import pair_index

logger = logging.getLogger(__name__)


def undirected_pairs(data: Data) -> Tensor:
    """The edges of ``data`` as pairs [2, E] with source < target, sorted, each once.

    Self-loops are left out (the models add their own) and repeated edges count once.

    Raises:
        TypeError: ``data`` is no ``Data`` or has no ``edge_index``.
        ValueError: an edge has no counterpart in the other direction, or an index is out of range;
            edge weights are those of a normalised adjacency.
    """
    if not isinstance(data, Data):
        raise TypeError(f"data must be a torch_geometric Data, found {type(data).__name__}.")
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
        ValueError: not one number above 0 for each edge, or the two directions (or repetitions) of
            an edge differ.
    """
    weight: Tensor | None = getattr(data, "edge_weight", None)
    if weight is None:
        return None
    index, num_nodes = data.edge_index, int(data.num_nodes or 0)
    if weight.shape != (index.size(1),) or not bool(((weight > 0) & weight.isfinite()).all()):
        raise ValueError(
            f"data.edge_weight must hold {index.size(1)} finite numbers above 0, one for each edge "
            f"(leave out edges of weight 0), found shape {tuple(weight.shape)}"
            + (f" and values down to {float(weight.min())}." if weight.numel() else ".")
        )
    between = index[0] != index[1]
    codes = encode(ordered(index[:, between]), num_nodes)
    weight = weight[between] if weight.is_floating_point() else weight[between].float()
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

    To flip an edge would leave the weights around it as they were, and models normalise again.
    """
    if weight is None or weight.shape != index.shape[1:] or bool((weight == weight[:1]).all()):
        return
    degree = torch.bincount(index[1], minlength=num_nodes).to(weight)
    product = weight.square() * degree[index[0]] * degree[index[1]]
    if torch.allclose(product, torch.ones_like(product)):
        raise ValueError(
            "data.edge_weight is the adjacency that GCNNorm has normalised already, and models "
            "normalise it themselves; leave torch_geometric.transforms.GCNNorm out."
        )


def ordered(pairs: Tensor) -> Tensor:
    """``pairs`` [2, K] with the smaller node first."""
    return torch.stack([pairs.min(dim=0).values, pairs.max(dim=0).values])


def encode(pairs: Tensor, num_targets: int) -> Tensor:
    """Codes ``source * num_targets + target`` [K] of ``pairs`` [2, K], int64 whatever these are."""
    return pairs[0].long() * num_targets + pairs[1]


def among(pairs: Tensor, others: Tensor, num_targets: int) -> Tensor:
    """Which of ``pairs`` [2, K] are among ``others`` [2, M], BoolTensor [K]."""
    return torch.isin(encode(pairs, num_targets), encode(others, num_targets))


def decode(codes: Tensor, num_targets: int) -> Tensor:
    """Pairs [2, K] from codes ``source * num_targets + target``."""
    source = torch.div(codes, num_targets, rounding_mode="floor")
    return torch.stack([source, codes - source * num_targets])
