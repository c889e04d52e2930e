"""Compressed sparse rows (CSR), in torch's layout."""

import warnings
from functools import cache

import torch
from torch import Tensor


def compress(major: Tensor, minor: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Pointers [size + 1] and indices [E], 32-bit if that suffices, as MKL expects."""
    dtype = torch.int32 if major.numel() < 2**31 - 1 else torch.int64
    pointers = torch.zeros(size + 1, dtype=torch.int64, device=major.device)
    torch.cumsum(torch.bincount(major, minlength=size), 0, out=pointers[1:])
    return pointers.to(dtype), minor.to(dtype)


def csr_tensor(pointers: Tensor, indices: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    """A CSR tensor of the given arrays, without checks of its invariants."""
    _acknowledge_beta_layout()
    return torch.sparse_csr_tensor(pointers, indices, values, shape, check_invariants=False)


@cache
def _acknowledge_beta_layout() -> None:
    """Triggers, and hides, torch's warning about compressed layouts, shown once per process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        torch.sparse_csr_tensor(torch.tensor([0, 1]), torch.tensor([0]), torch.ones(1), (1, 1))
