"""Bipartite ``HeteroData`` in and out: user-item pairs, their negatives and the unseen part."""

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from .._checks import pair_index
from .edit import edge_attributes, flip_edges, flip_negatives
from .homogeneous import among, decode, encode
from .link_labels import LinkLabels

EdgeType = tuple[str, str, str]


@dataclass(frozen=True, eq=False)
class Interactions:
    """User-item pairs of one edge type; all LongTensors [2, *], sorted, without repetition.

    Args:
        positive: training interactions.
        negative: sampled training non-interactions, or None where the data hold none.
        unseen: interactions kept out of training, or None.
        unseen_negative: non-interactions to rank them against, or None.
        shape: number of users and items.
        edge_type: where they were found.
    """

    positive: Tensor
    negative: Tensor | None
    unseen: Tensor | None
    unseen_negative: Tensor | None
    shape: tuple[int, int]
    edge_type: EdgeType


def read_interactions(data: HeteroData, edge_type: EdgeType | None = None) -> Interactions:
    """The interactions of ``data``: ``edge_index`` and, where present, ``neg_edge_index``,
    ``unseen_edge_index`` and ``unseen_neg_edge_index`` of ``edge_type``.

    Where none of the three is present, ``edge_label_index`` and ``edge_label`` are read as
    ``RandomLinkSplit`` leaves them: if all pairs with a label above 0 are edges, those with label 0
    are training negatives; otherwise all are unseen pairs. Repeated interactions count once.

    Raises:
        TypeError: ``data`` is no ``HeteroData``.
        ValueError: the edge type is absent, ambiguous or not bipartite; an index is out of range;
            a pair is both positive and negative.
    """
    kind = bipartite_edge_type(data, edge_type)
    store = data[kind]
    shape = (num_nodes(data, kind[0]), num_nodes(data, kind[2]))

    def read(key: str) -> Tensor | None:
        if key not in store:
            return None
        return _sorted_unique(pair_index(f"data[{kind}].{key}", store[key], shape), shape)

    positive = read("edge_index")
    if positive is None:
        raise ValueError(f"data[{kind}] has neither edge_index nor a sparse adj_t.")
    negative = read("neg_edge_index")
    unseen, unseen_negative = read("unseen_edge_index"), read("unseen_neg_edge_index")
    labels = LinkLabels.of(store, shape)
    if labels is not None:
        labelled = _sorted_unique(labels.negative, shape) if labels.negative.size(1) else None
        if labels.held_out(positive, shape[1]):
            unseen, unseen_negative = _sorted_unique(labels.positive, shape), labelled
        else:
            negative = labelled
    if negative is not None:
        _refuse_overlap(positive, negative, shape)
    return Interactions(positive, negative, unseen, unseen_negative, shape, kind)


def bipartite_edge_type(data: HeteroData, edge_type: EdgeType | None = None) -> EdgeType:
    """``edge_type`` if ``data`` has it, or the only one that is no reverse of another."""
    if not isinstance(data, HeteroData):
        raise TypeError(f"data must be a torch_geometric HeteroData, found {type(data).__name__}.")
    present: list[EdgeType] = list(data.edge_types)
    if edge_type is None:
        forward = [kind for kind in present if not kind[1].startswith("rev_")]
        if len(forward) != 1:
            raise ValueError(f"edge_type must be given: data has {forward}.")
        edge_type = forward[0]
    if isinstance(edge_type, str) or len(edge_type) != 3:
        raise ValueError(f"edge_type={edge_type!r} must be three names, such as {present[0]}.")
    edge_type = (edge_type[0], edge_type[1], edge_type[2])
    if edge_type not in present:
        raise ValueError(f"edge_type={edge_type} is not in data, which has {present}.")
    if edge_type[0] == edge_type[2]:
        raise ValueError(f"edge_type={edge_type} is not bipartite: both ends are {edge_type[0]!r}.")
    return edge_type


def reverse_edge_types(data: HeteroData, edge_type: EdgeType) -> list[EdgeType]:
    """The edge types of ``data`` whose edges are exactly those of ``edge_type`` turned round."""
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


def flip_interactions(data: HeteroData, edge_type: EdgeType, pairs: Tensor) -> HeteroData:
    """A copy with ``pairs`` [2, K] flipped, in reverse edge types and among the training negatives
    too, be they ``neg_edge_index`` or labels."""
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


def training_labels(data: HeteroData, edge_type: EdgeType) -> LinkLabels | None:
    """The labels of ``edge_type``, where they are those of training pairs."""
    shape = (num_nodes(data, edge_type[0]), num_nodes(data, edge_type[2]))
    labels = LinkLabels.of(data[edge_type], shape)
    if labels is None or labels.held_out(data[edge_type].edge_index, shape[1]):
        return None
    return labels


def with_negatives(data: HeteroData, edge_type: EdgeType, pairs: Tensor) -> HeteroData:
    """A copy with ``pairs`` [2, K] among the training negatives, where the data list any."""
    grown = copy.copy(data)
    for kind in [edge_type, *reverse_edge_types(data, edge_type)]:
        store, more = grown[kind], pairs.flip(0) if kind != edge_type else pairs
        if "neg_edge_index" in store:
            store.neg_edge_index = torch.cat([store.neg_edge_index, more], dim=1)
        labels = training_labels(data, kind)
        if labels is not None and labels.negative.size(1):
            replace(labels, negative=torch.cat([labels.negative, more], dim=1)).write(store)
    return grown


def num_nodes(data: HeteroData, node_type: str) -> int:
    """The number of nodes of a type, which must be known."""
    number = data[node_type].num_nodes
    if number is None:
        raise ValueError(f"data[{node_type!r}].num_nodes is not set; set it to the node count.")
    return int(number)


def _codes(index: Tensor, shape: tuple[int, int]) -> Tensor:
    codes: Tensor = torch.unique(encode(index, shape[1]))
    return codes


def _sorted_unique(index: Tensor, shape: tuple[int, int]) -> Tensor:
    return decode(_codes(index, shape), shape[1])


def _refuse_overlap(positive: Tensor, negative: Tensor, shape: tuple[int, int]) -> None:
    both = int(among(negative, positive, shape[1]).sum())
    if both:
        raise ValueError(
            f"{both} pairs of neg_edge_index are also in edge_index; a pair is either an "
            "interaction or a negative: drop them from one."
        )
