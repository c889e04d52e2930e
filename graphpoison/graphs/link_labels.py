"""Labelled pairs beside ``edge_index``, as made by PyG's ``RandomLinkSplit``."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data.storage import EdgeStorage

from .._checks import pair_index
from .codes import among
from .edge_flips import flip_edges, flip_negatives

OWN_NAMES = ("neg_edge_index", "unseen_edge_index", "unseen_neg_edge_index")


@dataclass(frozen=True, eq=False)
class LinkLabels:
    """The labels that ``edge_label`` gives to the pairs of ``edge_label_index``.

    Args:
        positive: LongTensor [2, P], the pairs with a label above 0; all if there are no labels.
        values: Tensor [P], the labels of ``positive``: ones or ratings.
        negative: LongTensor [2, N], the pairs with label 0.
        apart: whether the two are stored as ``pos_edge_label_index`` and ``neg_edge_label_index``
            (``split_labels=True``).
    """

    positive: Tensor
    values: Tensor
    negative: Tensor
    apart: bool

    @classmethod
    def of(cls, store: EdgeStorage, shape: tuple[int, int]) -> "LinkLabels | None":
        """The labels of ``store``. None if it has no labels, or if it has ``neg_edge_index`` or
        unseen pairs, this library's names for the same information.

        Raises:
            ValueError: an index is out of range, or there are more or fewer labels than pairs.
        """
        if any(name in store for name in OWN_NAMES):
            return None
        if "pos_edge_label_index" in store:
            positive, values = _labelled(store, "pos_edge_label", shape)
            if "neg_edge_label_index" not in store:
                return cls(positive, values, positive[:, :0], apart=True)
            return cls(positive, values, _labelled(store, "neg_edge_label", shape)[0], apart=True)
        if "edge_label_index" not in store:
            return None
        index, label = _labelled(store, "edge_label", shape)
        return cls(index[:, label > 0], label[label > 0], index[:, label == 0], apart=False)

    def held_out(self, edges: Tensor, num_targets: int) -> bool:
        """Whether the pairs are held out from training: not all positive pairs are ``edges``."""
        return not bool(among(self.positive, edges, num_targets).all())

    def flip(self, pairs: Tensor, edges: Tensor, num_targets: int) -> "LinkLabels":
        """The labels of training pairs after flips of ``pairs`` [2, K], with ``edges`` the result.

        Added edges have label 1. Removed edges have label 0 if there are negatives, otherwise no
        label.
        """
        known, present = (among(pairs, others, num_targets) for others in (self.positive, edges))
        turned = pairs[:, known != present]
        positive, changed = flip_edges(
            self.positive, {"edge_label": self.values}, turned, num_targets
        )
        negative = self.negative
        if negative.size(1):
            negative = flip_negatives(negative, pairs, edges, num_targets)
        return LinkLabels(positive, changed["edge_label"], negative, self.apart)

    def write(self, store: EdgeStorage) -> None:
        """Replace the labels of ``store`` by these labels."""
        zeros = self.values.new_zeros(self.negative.size(1))
        if not self.apart:
            store["edge_label_index"] = torch.cat([self.positive, self.negative], dim=1)
            if "edge_label" in store or zeros.numel():
                store["edge_label"] = torch.cat([self.values, zeros])
            return
        store["pos_edge_label_index"], store["pos_edge_label"] = self.positive, self.values
        if "neg_edge_label_index" in store:
            store["neg_edge_label_index"], store["neg_edge_label"] = self.negative, zeros


def _labelled(store: EdgeStorage, name: str, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    index = pair_index(f"{name}_index", store[f"{name}_index"], shape)
    if name not in store:
        return index, torch.ones(index.size(1), device=index.device)
    label: Tensor = store[name]
    if label.shape != (index.size(1),):
        raise ValueError(
            f"{name} must hold one label for each of the {index.size(1)} pairs of {name}_index, "
            f"found shape {tuple(label.shape)}."
        )
    return index, label
