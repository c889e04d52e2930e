"""The only module that writes to PyG graphs: flips and fake users, with attributes and negatives.

Every function returns a new graph; its argument is not changed.
"""

import copy
from dataclasses import replace

import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData

from .binary_features import flip_binary
from .codes import encode
from .edge_flips import edge_attributes, flip_edges, flip_negatives
from .fake_users import FakeUsers
from .interactions import EdgeType, num_nodes
from .link_labels import LinkLabels


def flip_nodes(data: Data, pairs: Tensor, entries: Tensor) -> Data:
    """A copy with the undirected ``pairs`` [2, K] and the features ``entries`` [2, K] flipped."""
    flipped, count = copy.copy(data), int(data.num_nodes or 0)
    if entries.size(1):
        flipped.x = flip_binary(data.x, entries)
    pairs = pairs.to(data.edge_index.device)
    both = torch.cat([pairs, pairs.flip(0)], dim=1)
    attributes = edge_attributes(data._store)
    flipped.edge_index, changed = flip_edges(data.edge_index, attributes, both, count)
    for name, values in changed.items():
        flipped[name] = values
    return flipped


def flip_interactions(data: HeteroData, edge_type: EdgeType, pairs: Tensor) -> HeteroData:
    """A copy with ``pairs`` [2, K] flipped, also in reverse edge types and in the training
    negatives (``neg_edge_index`` or labels)."""
    shape = (num_nodes(data, edge_type[0]), num_nodes(data, edge_type[2]))
    pairs = pairs.to(data[edge_type].edge_index.device)
    flipped = copy.copy(data)
    for kind in [edge_type, *reverse_edge_types(data, edge_type)]:
        turned = kind != edge_type
        flips = pairs.flip(0) if turned else pairs
        store = data[kind]
        num_targets = shape[0 if turned else 1]
        edges, changed = flip_edges(store.edge_index, edge_attributes(store), flips, num_targets)
        flipped[kind].update({"edge_index": edges, **changed})
        if "neg_edge_index" in store:
            negative = flip_negatives(store.neg_edge_index, flips, edges, num_targets)
            flipped[kind].neg_edge_index = negative
        labels = training_labels(data, kind)
        if labels is not None:
            labels.flip(flips, edges, num_targets).write(flipped[kind])
    return flipped


def join_users(data: HeteroData, edge_type: EdgeType, joining: FakeUsers) -> HeteroData:
    """A copy with fake users and their initial interactions.

    Attributes with one row per user are extended by zeros, except ``raw_id``, whose values are
    unique. All other pairs of fake users become training negatives, if ``data`` have negatives.
    """
    users = edge_type[0]
    shape = (num_nodes(data, users), num_nodes(data, edge_type[2]))
    grown = copy.copy(data)
    for key, value in data[users].items():
        if key != "raw_id" and isinstance(value, Tensor) and data[users].is_node_attr(key):
            more = value.new_zeros(joining.count, *value.shape[1:])
            grown[users][key] = torch.cat([value, more])
    grown[users].num_nodes = shape[0] + joining.count
    fresh = joining.pairs(shape, data[edge_type].edge_index.device)
    grown = _with_negatives(grown, edge_type, fresh)
    return flip_interactions(grown, edge_type, joining.numbered(shape))


def reverse_edge_types(data: HeteroData, edge_type: EdgeType) -> list[EdgeType]:
    """The edge types of ``data`` that hold exactly the reversed edges of ``edge_type``."""
    source, _, target = edge_type
    shape = (num_nodes(data, source), num_nodes(data, target))
    here = _codes(data[edge_type].edge_index, shape)
    found: list[EdgeType] = []
    for kind in data.edge_types:
        turned = (kind[0], kind[2]) == (target, source) and kind != edge_type
        if turned and "edge_index" in data[kind]:
            there = _codes(data[kind].edge_index.flip(0), shape)
            if torch.equal(here, there):
                found.append(kind)
    return found


def training_labels(data: HeteroData, edge_type: EdgeType) -> LinkLabels | None:
    """The labels of ``edge_type`` if they are of training pairs, else None."""
    shape = (num_nodes(data, edge_type[0]), num_nodes(data, edge_type[2]))
    labels = LinkLabels.of(data[edge_type], shape)
    if labels is None or labels.held_out(data[edge_type].edge_index, shape[1]):
        return None
    return labels


def _with_negatives(data: HeteroData, edge_type: EdgeType, pairs: Tensor) -> HeteroData:
    """A copy with ``pairs`` [2, K] added to the training negatives, if ``data`` have negatives."""
    grown = copy.copy(data)
    for kind in [edge_type, *reverse_edge_types(data, edge_type)]:
        store, more = grown[kind], pairs.flip(0) if kind != edge_type else pairs
        if "neg_edge_index" in store:
            store.neg_edge_index = torch.cat([store.neg_edge_index, more], dim=1)
        labels = training_labels(data, kind)
        if labels is not None and labels.negative.size(1):
            replace(labels, negative=torch.cat([labels.negative, more], dim=1)).write(store)
    return grown


def _codes(index: Tensor, shape: tuple[int, int]) -> Tensor:
    codes: Tensor = torch.unique(encode(index, shape[1]))
    return codes
