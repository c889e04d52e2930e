"""Pairs that a recommender is tested on."""

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from ..graph import PairState, Pattern
from ..graph.bipartite import EdgeType, Interactions, read_interactions
from ..graph.homogeneous import among, encode
from ..graph.sampling import sample_pairs


def unseen_pairs(
    data: HeteroData, edge_type: EdgeType, state: PairState, rng: np.random.Generator
) -> tuple[Pattern, Tensor] | None:
    """The unseen pairs of ``data`` with their labels [K], sorted; None if there are none.

    As many negatives as positives are drawn, outside ``state``, if none are given.

    Raises:
        ValueError: an unseen interaction is a training one too, or an unseen negative.
    """
    found = read_interactions(data, edge_type)
    if found.unseen is None or not found.unseen.size(1):
        return None
    _refuse_overlap(found)
    negative = found.unseen_negative
    if negative is None:
        occupied = torch.cat([state.index, found.unseen], dim=1)
        negative = sample_pairs(found.shape, found.unseen.size(1), occupied, rng)
    pairs = torch.cat([found.unseen, negative], dim=1)
    labels = torch.ones(pairs.size(1), device=pairs.device)
    labels[found.unseen.size(1) :] = 0.0
    order = torch.argsort(encode(pairs, found.shape[1]))
    return Pattern.of(pairs[:, order], found.shape), labels[order]


def _refuse_overlap(found: Interactions) -> None:
    assert found.unseen is not None
    for others, what in (
        (found.positive, "training interactions"),
        (found.unseen_negative, "unseen negatives"),
    ):
        if others is not None:
            both = int(among(found.unseen, others, found.shape[1]).sum())
            if both:
                raise ValueError(
                    f"{both} unseen interactions are {what} too; drop them from one of the two."
                )
