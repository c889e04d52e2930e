"""The components and the bridges of a graph."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def components(edges: Tensor, num_nodes: int) -> Tensor:
    """The component 0, 1, ... of each node [N] of the graph with undirected ``edges`` [2, E]."""
    from scipy.sparse.csgraph import connected_components  # scipy takes long to import

    _, label = connected_components(_matrix(edges.cpu().numpy(), num_nodes), directed=False)
    return torch.from_numpy(label).to(edges.device)


def bridges(edges: Tensor, num_nodes: int) -> Tensor:
    """Which of the distinct undirected ``edges`` [2, E] are bridges: BoolTensor [E].

    Every edge outside a breadth-first forest closes a cycle with the tree paths from its ends to
    their lowest common ancestor. The edges of the forest that are on no cycle are the bridges.
    """
    pairs = edges.cpu().numpy()
    parent, order = _forest(pairs, num_nodes)
    source, target = pairs
    child = np.where(parent[source] == target, source, target)
    in_forest = (parent[source] == target) | (parent[target] == source)
    on_cycle = np.zeros(num_nodes + 1, dtype=bool)  # of the edge from each node to its parent
    first, second = pairs[:, ~in_forest]
    while first.size:
        later = order[first] > order[second]
        lower, upper = np.where(later, first, second), np.where(later, second, first)
        on_cycle[lower] = True
        lower = parent[lower]
        apart = lower != upper
        first, second = lower[apart], upper[apart]
    return torch.from_numpy(in_forest & ~on_cycle[child]).to(edges.device)


def _forest(pairs: np.ndarray, num_nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """The parent of each node, and its place in the order of the search. One additional node,
    numbered last, is the parent of all roots."""
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    _, label = connected_components(_matrix(pairs, num_nodes), directed=False)
    roots = np.unique(label, return_index=True)[1]
    joined = np.concatenate([pairs, np.stack([np.full_like(roots, num_nodes), roots])], axis=1)
    found, parent = breadth_first_order(
        _matrix(joined, num_nodes + 1), num_nodes, directed=False, return_predecessors=True
    )
    order = np.empty(num_nodes + 1, dtype=np.int64)
    order[found] = np.arange(num_nodes + 1)
    return parent, order


def _matrix(pairs: np.ndarray, num_nodes: int) -> "csr_array":
    from scipy.sparse import csr_array

    ones = np.ones(pairs.shape[1], dtype=np.int8)
    return csr_array((ones, (pairs[0], pairs[1])), shape=(num_nodes, num_nodes))
