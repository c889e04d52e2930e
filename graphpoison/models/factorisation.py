r"""Matrix factorisation and generalised matrix factorisation.

.. math::
    \text{cf: } \hat y_{ui} = \sigma(\langle p_u, q_i \rangle) \qquad
    \text{gmf: } \hat y_{ui} = \sigma(h^\top (p_u \odot q_i))

GMF is He et al. (2017), "Neural Collaborative Filtering", equation 9; with ``layers`` the product
goes through a feed-forward head, as in section 4.2 of the thesis (two hidden layers).
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from .._checks import in_range, positive_int
from ..graph import Pattern, sddmm
from .base import Recommender, glorot
from .prepared import Params


@dataclass(frozen=True)
class CF(Recommender):
    """Matrix factorisation with a dot product; parameters ``(P [U, D], Q [I, D])``.

    Args:
        dim: embedding dimensions D.
        scale: standard deviation of the initial embeddings.
    """

    dim: int = 32
    scale: float = 0.1

    pairwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        positive_int("dim", self.dim)
        in_range("scale", self.scale, 0.0, float("inf"), open_low=True)

    def init(
        self, shape: tuple[int, int], generator: torch.Generator, dtype: torch.dtype
    ) -> Params:
        return _embeddings(shape, self.dim, self.scale, generator, dtype)

    @property
    def dot_product(self) -> bool:
        return True

    def factors(self, params: Params) -> tuple[Tensor, Tensor]:
        users, items = params
        return users, items

    def scores(self, params: Params, graph: Pattern, weight: Tensor, pairs: Pattern) -> Tensor:
        return sddmm(pairs, *params)


@dataclass(frozen=True)
class GMF(Recommender):
    """Generalised matrix factorisation; parameters ``(P, Q, h [D])`` or ``(P, Q, W1, b1, ...)``.

    Args:
        dim: embedding dimensions D.
        layers: widths of hidden layers (ReLU) between the product and the output; none by default.
        scale: standard deviation of the initial embeddings.
    """

    dim: int = 32
    layers: tuple[int, ...] = ()
    scale: float = 0.1

    pairwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        positive_int("dim", self.dim)
        in_range("scale", self.scale, 0.0, float("inf"), open_low=True)
        for width in self.layers:
            positive_int("layers", width)

    def init(
        self, shape: tuple[int, int], generator: torch.Generator, dtype: torch.dtype
    ) -> Params:
        embeddings = _embeddings(shape, self.dim, self.scale, generator, dtype)
        if not self.layers:
            return (*embeddings, 1.0 + glorot(self.dim, 1, generator, dtype).squeeze(1))
        head: list[Tensor] = []
        widths = (self.dim, *self.layers, 1)
        for fan_in, fan_out in pairwise(widths):
            head += [
                glorot(fan_in, fan_out, generator, dtype),
                torch.zeros(fan_out, dtype=dtype),
            ]
        return (*embeddings, *head)

    @property
    def dot_product(self) -> bool:
        return not self.layers

    def factors(self, params: Params) -> tuple[Tensor, Tensor]:
        users, items, output = params
        return users * output, items

    def scores(self, params: Params, graph: Pattern, weight: Tensor, pairs: Pattern) -> Tensor:
        if not self.layers:
            return sddmm(pairs, *self.factors(params))
        users, items, *head = params
        user, item = pairs.index
        hidden = users.index_select(0, user) * items.index_select(0, item)
        for kernel, bias in zip(head[:-2:2], head[1:-2:2], strict=True):
            hidden = torch.relu(hidden @ kernel + bias)
        return (hidden @ head[-2] + head[-1]).squeeze(1)


def _embeddings(
    shape: tuple[int, int], dim: int, scale: float, generator: torch.Generator, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    users, items = (
        scale * torch.randn(count, dim, generator=generator, dtype=dtype) for count in shape
    )
    return users, items
