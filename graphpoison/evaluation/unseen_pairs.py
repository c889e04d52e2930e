"""The pairs on which a recommender is tested."""

import numpy as np
import torch
from torch import Tensor

from ..graphs import Interactions
from ..graphs.codes import among, encode
from ..graphs.sampling import sample_pairs


def unseen_pairs(graph: Interactions, rng: np.random.Generator) -> tuple[Tensor, Tensor] | None:
    """The unseen pairs of ``graph`` [2, K], sorted, with their labels [K]; None if there are none.

    If ``graph`` has no unseen negatives, as many as positives are drawn outside the training pairs.

    Raises:
        ValueError: an unseen interaction is also a training interaction or an unseen negative.
    """
    if graph.unseen is None or not graph.unseen.size(1):
        return None
    _refuse_overlap(graph, graph.unseen)
    negatives = graph.unseen_negatives
    if negatives is None:
        occupied = torch.cat([graph.training_pairs.index, graph.unseen], dim=1)
        negatives = sample_pairs(graph.shape, graph.unseen.size(1), occupied, rng)
    pairs = torch.cat([graph.unseen, negatives], dim=1)
    labels = torch.ones(pairs.size(1), device=pairs.device)
    labels[graph.unseen.size(1) :] = 0.0
    order = torch.argsort(encode(pairs, graph.num_items))
    return pairs[:, order], labels[order]


def _refuse_overlap(graph: Interactions, unseen: Tensor) -> None:
    for others, what in (
        (graph.edge_index, "training interactions"),
        (graph.unseen_negatives, "unseen negatives"),
    ):
        if others is not None:
            both = int(among(unseen, others, graph.num_items).sum())
            if both:
                raise ValueError(
                    f"{both} unseen interactions are {what} too; drop them from one of the two."
                )
