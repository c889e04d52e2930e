"""Pairs of nodes as integer codes ``source * num_targets + target``."""

import torch
from torch import Tensor


def ordered(pairs: Tensor) -> Tensor:
    """``pairs`` [2, K] with the smaller node first."""
    return torch.stack([pairs.min(dim=0).values, pairs.max(dim=0).values])


def encode(pairs: Tensor, num_targets: int) -> Tensor:
    """Codes ``source * num_targets + target`` (int64 [K]) of ``pairs`` [2, K] of any int dtype."""
    return pairs[0].long() * num_targets + pairs[1]


def among(pairs: Tensor, others: Tensor, num_targets: int) -> Tensor:
    """Which of ``pairs`` [2, K] are among ``others`` [2, M], BoolTensor [K]."""
    return torch.isin(encode(pairs, num_targets), encode(others, num_targets))


def decode(codes: Tensor, num_targets: int) -> Tensor:
    """Pairs [2, K] from codes ``source * num_targets + target``."""
    source = torch.div(codes, num_targets, rounding_mode="floor")
    return torch.stack([source, codes - source * num_targets])
