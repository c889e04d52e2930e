"""Flips in edge lists and in the attributes of their edges."""

import torch
from torch import Tensor
from torch_geometric.data.storage import EdgeStorage

from .codes import decode, encode

ONE_WHERE_NEW = ("edge_weight", "edge_label")


def flip_edges(
    index: Tensor, attributes: dict[str, Tensor], pairs: Tensor, num_targets: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """``index`` [2, E] with ``pairs`` [2, K] flipped: pairs in it are removed, others are added.

    The result is sorted by (source, target). A new edge has 1 in ``edge_weight`` and in
    ``edge_label``, and 0 in every other attribute.
    """
    codes, flips = encode(index, num_targets), encode(pairs, num_targets)
    kept = ~torch.isin(codes, flips)
    fresh = flips[~torch.isin(flips, codes)]
    merged = torch.cat([codes[kept], fresh])
    order = torch.argsort(merged, stable=True)
    changed: dict[str, Tensor] = {}
    for name, values in attributes.items():
        fill = values.new_full((fresh.numel(), *values.shape[1:]), float(name in ONE_WHERE_NEW))
        changed[name] = torch.cat([values[kept], fill])[order]
    return decode(merged[order], num_targets), changed


def flip_negatives(negative: Tensor, pairs: Tensor, edges: Tensor, num_targets: int) -> Tensor:
    """``negative`` [2, N] after flips of ``pairs`` [2, K]: pairs that are now in ``edges`` are
    removed, the others are added. Sorted by (source, target)."""
    codes, flips, present = (encode(index, num_targets) for index in (negative, pairs, edges))
    kept = codes[~torch.isin(codes, flips)]
    return decode(torch.cat([kept, flips[~torch.isin(flips, present)]]).sort().values, num_targets)


def edge_attributes(store: EdgeStorage) -> dict[str, Tensor]:
    """The tensors of an edge store with one row per edge, without labels of other pairs."""
    count = store["edge_index"].size(1)
    return {
        key: value
        for key, value in store.items()
        if isinstance(value, Tensor)
        and not ("index" in key and value.dim() == 2 and value.size(0) == 2)
        and f"{key}_index" not in store
        and not store.is_node_attr(key)
        and value.dim() > 0
        and value.size(0) == count
    }
