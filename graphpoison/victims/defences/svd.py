"""GCN-SVD (Entezari et al. 2020): training on a low-rank approximation of the adjacency."""

import numpy as np
import torch
from torch_geometric.utils import to_scipy_sparse_matrix

from ...graphs import NodeGraph
from ...sparse import FactoredGradient

ENTRIES_PER_NODE = 64


def low_rank(graph: NodeGraph, rank: int = 50) -> NodeGraph:
    """``graph`` with a low-rank approximation of the adjacency as edge weights (Entezari et al.
    2020).

    Attacks mainly change the high-rank part of the spectrum. Negative entries are left out because
    degrees could not be computed from them, and the diagonal because the model adds its own
    self-loops. The 64 N largest other entries are kept; they are found in tiles, without a dense
    N x N matrix.

    Args:
        graph: a graph with or without edge weights.
        rank: number of singular values; 50 as in Jin et al. (2020), 10 in the paper.
    """
    from scipy.sparse.linalg import svds  # takes long to import

    count = graph.num_nodes
    if not graph.edge_index.size(1):
        return graph
    adjacency = to_scipy_sparse_matrix(graph.edge_index, graph.edge_weight, count)
    adjacency = adjacency.astype(np.float64).tocsr()
    left, values, right = svds(adjacency, k=min(rank, count - 1), v0=np.ones(count))
    factors = FactoredGradient.symmetric(
        torch.from_numpy(left * values / 2), torch.from_numpy(right.T.copy()), torch.zeros(count)
    )
    none = torch.empty(0, dtype=torch.long)
    entries, pairs = factors.topk(ENTRIES_PER_NODE // 2 * count, none)
    pairs, entries = pairs[:, entries > 0], entries[entries > 0]
    both = torch.cat([pairs, pairs.flip(0)], dim=1).to(graph.edge_index)
    return graph.with_edges(both, torch.cat([entries, entries]).to(graph.x))
