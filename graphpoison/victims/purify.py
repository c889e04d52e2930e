"""Defences that mend the graph before a model is trained on it."""

import copy

import numpy as np
import torch
from scipy.sparse.linalg import svds
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.utils import to_scipy_sparse_matrix

from ..graph import FactoredGradient
from ..graph.edit import edge_attributes

ENTRIES_PER_NODE = 64


def drop_dissimilar(data: Data, threshold: float = 0.01) -> Data:
    r"""``data`` without edges whose ends have little in common (Wu et al. 2019).

    An edge stays if the Jaccard similarity of the sets of features that are not 0,
    :math:`|F_u \cap F_v| / |F_u \cup F_v|`, is at least ``threshold``; self-loops stay.

    Args:
        data: with ``x`` [N, F] and ``edge_index`` [2, E].
        threshold: 0.01, the usual one, asks for one word in common.

    Raises:
        ValueError: no feature is 0, so that all similarities are 1.
    """
    words = data.x != 0
    if bool(words.all()):
        raise ValueError(
            "data.x has no zeros; Jaccard similarity compares sets of features such as words. Use "
            "another victim, or binary features."
        )
    source, target = data.edge_index
    common = _dot_products(words.float(), data.edge_index)
    sizes = words.sum(dim=1)
    union = sizes[source] + sizes[target] - common
    kept = (common >= threshold * union) & (union > 0) | (source == target)
    purified = copy.copy(data)
    purified.edge_index = data.edge_index[:, kept]
    for name, values in edge_attributes(data._store).items():
        purified[name] = values[kept]
    return purified


def low_rank(data: Data, rank: int = 50) -> Data:
    """``data`` with the adjacency's approximation of ``rank`` as edge weights (Entezari et al.
    2020).

    Attacks live in the high-rank part of the spectrum. Negative entries, which no degree could be
    computed from, and the diagonal, where the model puts loops of its own, are left out; of the
    rest the 64 N largest stay, found in tiles, without a dense matrix of N x N.

    Args:
        data: undirected, with ``edge_index`` [2, E], perhaps with ``edge_weight``.
        rank: the number of singular values; 50 as in Jin et al. (2020), 10 in the paper.
    """
    count = int(data.num_nodes or 0)
    if not data.num_edges:
        return data
    weight = getattr(data, "edge_weight", None)
    adjacency = to_scipy_sparse_matrix(data.edge_index, weight, count).astype(np.float64).tocsr()
    left, values, right = svds(adjacency, k=min(rank, count - 1), v0=np.ones(count))
    factors = FactoredGradient.symmetric(
        torch.from_numpy(left * values / 2), torch.from_numpy(right.T.copy()), torch.zeros(count)
    )
    none = torch.empty(0, dtype=torch.long)
    entries, pairs = factors.topk(ENTRIES_PER_NODE // 2 * count, none)
    pairs, entries = pairs[:, entries > 0], entries[entries > 0]
    purified = copy.copy(data)
    purified.edge_index = torch.cat([pairs, pairs.flip(0)], dim=1).to(data.edge_index)
    purified.edge_weight = torch.cat([entries, entries]).to(data.x)
    return purified


def cosine_similarity(x: Tensor, edge_index: Tensor) -> Tensor:
    """Cosines [E] of the rows of ``x`` [N, F] at both ends of each edge; 0 with a row of zeros."""
    return _dot_products(torch.nn.functional.normalize(x, dim=1), edge_index)


def _dot_products(x: Tensor, edge_index: Tensor) -> Tensor:
    """In blocks of edges, so that no [E, F] matrix is made."""
    blocks = edge_index.split(2**14, dim=1)
    none = [x.new_empty(0)]
    return torch.cat(none + [(x[source] * x[target]).sum(dim=1) for source, target in blocks])
