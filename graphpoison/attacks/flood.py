"""Rare items that many users gain in part, so that recommenders give them the rest."""

import torch
from torch import Tensor

from .._random import generator
from .allocation import best_entries

_FLOOD = 2**29  # a stream of the seed, beyond the steps of any attack


def flooding(
    matrix: Tensor, allowed: Tensor, rows: Tensor, size: int, each: int, limit: int, seed: int
) -> Tensor:
    """Codes [K] of interactions by which users gain ``each`` of the ``size`` rarest items.

    Args:
        matrix: Tensor [U, I], the interactions.
        allowed: BoolTensor [U, I], the entries that may be flipped.
        rows: Tensor [U], how many flips each user may be in.
        size, each: the cluster of items, and how many of them a user gains.
        limit: number of interactions at most; whole users are left out beyond.
        seed: of the order of users, and of the items that each user gains.
    """
    draw = generator(seed, _FLOOD)
    rarest = torch.argsort(matrix.sum(dim=0), stable=True)[:size]
    reached = torch.randperm(matrix.size(0), generator=draw)[: limit // each].to(matrix.device)
    keys = torch.rand(matrix.size(0), rarest.numel(), generator=draw).to(matrix)
    scores = torch.full_like(matrix, -torch.inf)
    scores[reached.unsqueeze(1), rarest] = keys[reached]
    scores.masked_fill_(~allowed | (matrix > 0), -torch.inf)
    free = torch.full_like(matrix[0], torch.inf, dtype=torch.float64)
    return best_entries(scores, rows.clamp(max=each), free, limit)
