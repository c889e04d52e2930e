"""Interactions in the forms used for training: dense rows of users, a SciPy matrix, counts."""

from typing import Any

import torch
from torch import Tensor

from ...graphs import Interactions


def dense_rows(graph: Interactions, users: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Rows [U', I] of the matrix of interactions, 1 where a user has an item and 0 elsewhere.

    Args:
        graph: the interactions, with a sorted ``edge_index``.
        users: LongTensor [U'], in any order, possibly with repetitions.
        dtype: dtype of the rows.
    """
    row, column = graph.edge_index
    start = torch.searchsorted(row, users)
    counts = torch.searchsorted(row, users, right=True) - start
    place = torch.arange(users.numel(), device=users.device).repeat_interleave(counts)
    within = torch.arange(place.numel(), device=users.device) - (counts.cumsum(0) - counts)[place]
    found = torch.zeros(users.numel(), graph.num_items, dtype=dtype, device=row.device)
    found[place, column[start[place] + within]] = 1
    return found


def interaction_matrix(graph: Interactions, dtype: str = "float32") -> Any:
    """The interactions as ``scipy.sparse.csr_matrix`` [U, I] of ones, rows of fake users included.

    Column numbers are sorted and 32-bit, as ``implicit`` requires.
    """
    import numpy as np
    from scipy.sparse import csr_matrix

    index = graph.edge_index.cpu().numpy()
    ones = np.ones(index.shape[1], dtype=dtype)
    return csr_matrix((ones, (index[0], index[1])), shape=graph.shape)


def item_counts(graph: Interactions, dtype: torch.dtype = torch.float32) -> Tensor:
    """The number of users [I] that have each item."""
    return torch.bincount(graph.edge_index[1], minlength=graph.num_items).to(dtype)
