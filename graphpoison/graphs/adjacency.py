"""Graphs that carry ``adj_t`` or an ``EdgeIndex`` instead of a plain ``edge_index``."""

import copy
from typing import TypeVar

import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.data import Data, HeteroData
from torch_geometric.data.storage import BaseStorage, EdgeStorage
from torch_geometric.transforms import ToSparseTensor
from torch_geometric.utils import to_edge_index

from .edge_flips import edge_attributes

Graph = TypeVar("Graph", Data, HeteroData)


def with_edge_index(data: Graph) -> Graph:
    """``data`` itself, or a copy in which every ``adj_t`` has become an ``edge_index``, and every
    ``EdgeIndex`` a plain tensor.

    ``adj_t`` is a ``torch_sparse.SparseTensor`` or a torch sparse tensor, transposed as PyG has it;
    values other than 1 become ``edge_weight``, or ``edge_attr`` where an edge has several.

    Raises:
        TypeError: an ``adj_t`` is a tuple, as ``GCNNorm`` leaves it.
    """
    if not any(_is_sparse(store) or _edge_indices(store) for store in data.edge_stores):
        return data
    data = copy.copy(data)
    for store in data.edge_stores:
        for key, index in _edge_indices(store).items():
            store[key] = index.as_tensor()
        if not _is_sparse(store):
            continue
        if isinstance(store["adj_t"], tuple):  # gcn_norm's matrix and values, of torch tensors
            raise TypeError(
                "adj_t is a tuple, as GCNNorm makes it; models normalise the adjacency themselves: "
                "leave torch_geometric.transforms.GCNNorm out."
            )
        index, value = to_edge_index(store["adj_t"])
        del store["adj_t"]
        store["edge_index"] = index.flip(0)
        if value is not None and value.dim() > 1:
            store["edge_attr"] = value
        elif value is not None and not bool((value == 1).all()):
            store["edge_weight"] = value
    return data


def like(data: Graph, original: Graph) -> Graph:
    """``data`` with ``edge_index`` replaced by ``adj_t`` or an ``EdgeIndex`` wherever ``original``
    has one. Edge weights, if there are any, become the values of ``adj_t``."""
    before = original.edge_stores
    if any(_is_sparse(store) for store in before):
        data = _like_sparse(data, before)
    if any(_edge_indices(store) for store in before):
        data = copy.copy(data)
        for store, theirs in zip(data.edge_stores, before, strict=True):
            for key, index in _edge_indices(theirs).items():
                _become(store, key, index)
    return data


def _like_sparse(data: Graph, before: list[EdgeStorage]) -> Graph:
    adjacency = next(store["adj_t"] for store in before if _is_sparse(store))
    layout = adjacency.layout if isinstance(adjacency, Tensor) else None
    pairs = list(zip(data.edge_stores, before, strict=True))
    values = [
        name
        for name in ("edge_weight", "edge_attr")
        if any(name in store and name not in theirs for store, theirs in pairs)
    ]
    bare = copy.copy(data)
    lists = [_pop_other_lists(store) for store in bare.edge_stores]
    sparse: Graph = ToSparseTensor(attr=values[0] if values else None, layout=layout)(bare)
    for store, (plain, theirs), others in zip(sparse.edge_stores, pairs, lists, strict=True):
        if not _is_sparse(theirs):
            store.clear()
            store.update(plain)
        store.update(others)
    return sparse


def _pop_other_lists(store: EdgeStorage) -> dict[str, Tensor]:
    """Remove and return the lists of other pairs in ``store`` that are as long as ``edge_index``:
    PyG would treat them as edge attributes and sort them."""
    own = {"edge_index", *edge_attributes(store)}
    others = {
        key: value for key, value in store.items() if key not in own and store.is_edge_attr(key)
    }
    for key in others:
        del store[key]
    return others


def _become(store: EdgeStorage, key: str, before: EdgeIndex) -> None:
    """Turn ``store[key]`` into an ``EdgeIndex`` with the sort order and symmetry of ``before``."""
    index = store[key]
    if before.sort_order is not None:
        order = torch.argsort(index[0 if before.is_sorted_by_row else 1], stable=True)
        if key == "edge_index":
            store.update({name: part[order] for name, part in edge_attributes(store).items()})
        index = index[:, order]
    sizes = store.size() if store._key else (store.num_nodes, store.num_nodes)
    known = (
        None if old is None else now for old, now in zip(before.sparse_size(), sizes, strict=True)
    )
    store[key] = EdgeIndex(
        index,
        sparse_size=tuple(known),
        sort_order=before.sort_order,
        is_undirected=before.is_undirected,
    )


def _edge_indices(store: BaseStorage) -> dict[str, EdgeIndex]:
    return {key: value for key, value in store.items() if isinstance(value, EdgeIndex)}


def _is_sparse(store: BaseStorage) -> bool:
    if "adj_t" not in store or "edge_index" in store:
        return False
    adjacency = store["adj_t"]
    return not isinstance(adjacency, Tensor) or adjacency.layout != torch.strided
