"""The parts of PyG's ``RandomLinkSplit`` as one graph."""

import copy

import torch
from torch_geometric.data import HeteroData

from ..graphs import EdgeType, read_interactions
from ..graphs.codes import among

LABELS = [f"{sign}edge_label{end}" for sign in ("", "pos_", "neg_") for end in ("", "_index")]


def from_link_split(
    train_data: HeteroData, held_out: HeteroData, edge_type: EdgeType | None = None
) -> HeteroData:
    """``train_data`` with the labelled pairs of ``held_out`` as unseen pairs.

    Labels are replaced by this library's attributes: pairs of ``train_data`` with label 0 become
    ``neg_edge_index``; labelled pairs of ``held_out`` become ``unseen_edge_index`` (label above 0)
    and ``unseen_neg_edge_index``. Everything else comes from ``train_data``.

    Args:
        train_data: the first part of ``RandomLinkSplit``, made with ``disjoint_train_ratio=0``.
        held_out: the second or the third part.
        edge_type: the edge type to read; may be omitted if there is only one.

    Returns:
        A new graph for :class:`graphpoison.Recommendation` and :func:`graphpoison.evaluate`.

    Raises:
        TypeError: a part is no ``HeteroData``.
        ValueError: ``train_data`` labels pairs that are not its edges, ``held_out`` labels no pairs
            outside its edges, or the two are not parts of one split.
    """
    train = read_interactions(train_data, edge_type)
    tested = read_interactions(held_out, train.edge_type)
    if train.unseen is not None:
        raise ValueError(
            f"train_data[{train.edge_type}] has labels of pairs that are not in its edge_index; "
            "split with disjoint_train_ratio=0, and give the training part first."
        )
    if tested.unseen is None:
        raise ValueError(
            f"held_out[{train.edge_type}] has no labels of pairs outside its edge_index; give the "
            "second or third part of RandomLinkSplit."
        )
    if train.shape != tested.shape or _any_common(train.edge_index, tested.unseen, train.shape[1]):
        raise ValueError("train_data and held_out are not of one split: draw both at once.")
    joined = copy.copy(train_data)
    store = joined[train.edge_type]
    for key in LABELS:
        store.pop(key, None)
    store.unseen_edge_index = tested.unseen
    for key, index in (
        ("neg_edge_index", train.negatives),
        ("unseen_neg_edge_index", tested.unseen_negatives),
    ):
        if index is not None:
            store[key] = index
    return joined


def _any_common(pairs: torch.Tensor, others: torch.Tensor, num_targets: int) -> bool:
    return bool(among(pairs, others, num_targets).any())
