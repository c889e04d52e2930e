"""Initial parameters, and checks of the settings that determine their sizes.

Numbers are drawn in float64 and rounded, so that a seed gives the same start in every precision.
"""

from itertools import pairwise

import torch
from torch import Tensor

from .._checks import in_range, positive_int
from ..training.activations import activation


def glorot(rows: int, cols: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """A [rows, cols] matrix, uniform as in Glorot and Bengio (2010)."""
    bound = (6.0 / (rows + cols)) ** 0.5
    uniform = torch.rand(rows, cols, generator=generator, dtype=torch.float64)
    return uniform.mul_(2.0 * bound).sub_(bound).to(dtype)


def embeddings(
    shape: tuple[int, int], dim: int, scale: float, generator: torch.Generator, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Tables [U, dim] and [I, dim] of normal numbers with standard deviation ``scale``."""
    users, items = (
        (scale * torch.randn(count, dim, generator=generator, dtype=torch.float64)).to(dtype)
        for count in shape
    )
    return users, items


def feed_forward(
    widths: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype
) -> tuple[Tensor, ...]:
    """Kernels with Glorot initialisation, and biases 0: ``(W1, b1, W2, b2, ...)``."""
    layers: list[Tensor] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [glorot(fan_in, fan_out, generator, dtype), torch.zeros(fan_out, dtype=dtype)]
    return tuple(layers)


def check_embeddings(dim: int, scale: float, dropout: float) -> None:
    """Raise a TypeError or ValueError that names the setting that is out of range."""
    positive_int("dim", dim)
    in_range("scale", scale, 0.0, float("inf"), open_low=True)
    in_range("dropout", dropout, 0.0, 0.99)


def check_layers(layers: tuple[int, ...], name: str, least: int = 0) -> None:
    """Raise a TypeError or ValueError unless ``layers`` are the widths of at least ``least``
    hidden layers, and ``name`` is an activation."""
    if not isinstance(layers, tuple | list):
        raise TypeError(f"layers must be a tuple of widths, found {layers!r}.")
    if len(layers) < least:
        raise ValueError("layers must name at least one hidden layer, found ().")
    for width in layers:
        positive_int("layers", width)
    activation(name)
