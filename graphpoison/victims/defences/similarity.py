"""Similarity of the features at both ends of an edge."""

import torch
from torch import Tensor


def cosine_similarity(x: Tensor, edge_index: Tensor) -> Tensor:
    """Cosines [E] of the rows of ``x`` [N, F] at both ends of each edge; 0 if a row is zero."""
    return dot_products(torch.nn.functional.normalize(x, dim=1), edge_index)


def dot_products(x: Tensor, edge_index: Tensor) -> Tensor:
    """Dot products [E] of the rows of ``x`` [N, F] at both ends of each edge; computed in blocks of
    edges, without a matrix [E, F]."""
    blocks = edge_index.split(2**14, dim=1)
    none = [x.new_empty(0)]
    return torch.cat(none + [(x[source] * x[target]).sum(dim=1) for source, target in blocks])
