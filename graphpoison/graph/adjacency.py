"""Graphs that carry ``adj_t`` instead of ``edge_index``, as PyG's ``ToSparseTensor`` makes them."""

import copy
from typing import TypeVar

import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData
from torch_geometric.data.storage import BaseStorage
from torch_geometric.transforms import ToSparseTensor
from torch_geometric.utils import to_edge_index

Graph = TypeVar("Graph", Data, HeteroData)


def with_edge_index(data: Graph) -> Graph:
    """``data`` itself, or a copy in which every ``adj_t`` has become an ``edge_index``.

    ``adj_t`` is a ``torch_sparse.SparseTensor`` or a torch sparse tensor, transposed as PyG has it;
    values other than 1 become ``edge_weight``.
    """
    if not any(_is_sparse(store) for store in data.stores):
        return data
    data = copy.copy(data)
    for store in data.stores:
        if not _is_sparse(store):
            continue
        index, value = to_edge_index(store["adj_t"])
        del store["adj_t"]
        store["edge_index"] = index.flip(0)
        if value is not None and not bool((value == 1).all()):
            store["edge_weight"] = value
    return data


def like(data: Graph, original: Graph) -> Graph:
    """``data`` with ``adj_t`` in the place of ``edge_index`` if ``original`` has it."""
    for store in original.stores:
        if _is_sparse(store):
            adjacency = store["adj_t"]
            layout = adjacency.layout if isinstance(adjacency, Tensor) else None
            weight = "edge_weight" if any("edge_weight" in part for part in data.stores) else None
            transform = ToSparseTensor(attr=weight, layout=layout)
            sparse: Graph = transform(data)
            return sparse
    return data


def _is_sparse(store: BaseStorage) -> bool:
    if "adj_t" not in store or "edge_index" in store:
        return False
    adjacency = store["adj_t"]
    return not isinstance(adjacency, Tensor) or adjacency.layout != torch.strided
