"""Pairs of a graph that are flipped to an extent in [0, 1], for projected-gradient attacks."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from ..graphs import PairState
from ..hypergradient.meta_gradient import flip_scores
from ..sparse import FactoredGradient


@dataclass(frozen=True, eq=False)
class Relaxation:
    r"""A block of pairs, each flipped to an extent :math:`p` between 0 and 1.

    The relaxed weight is :math:`w (1 - p)` for an edge of weight :math:`w`, and :math:`p` for any
    other pair. The derivative w.r.t. :math:`p` is the score of the pair. Implicit candidates are
    listed only if their extent is above 0.

    Args:
        state: the graph.
        pairs: LongTensor [2, K], the distinct pairs of the block.
    """

    state: PairState
    pairs: Tensor

    def __len__(self) -> int:
        return self.pairs.size(1)

    @cached_property
    def place(self) -> Tensor:
        """LongTensor [K], the place of each pair in ``state.index``; -1 for unlisted pairs."""
        return self.state.locate(self.pairs)

    @cached_property
    def weight(self) -> Tensor:
        """Tensor [K], the weights of the pairs, 0 where there is no edge."""
        if not self.state.num_listed:
            return self.state.weight.new_zeros(len(self))
        return torch.where(self.place >= 0, self.state.weight[self.place], 0.0)

    @property
    def present(self) -> Tensor:
        """BoolTensor [K], which of the pairs are edges."""
        return self.weight > 0

    def at(self, extent: Tensor) -> PairState:
        """The graph with the block flipped to ``extent`` [K]."""
        moved = extent > 0
        fresh = self.pairs[:, moved & (self.place < 0)]
        state = self.state.flip(fresh)
        weight, flipped = state.weight.to(extent.dtype, copy=True), state.flipped.clone()
        flipped[state.locate(fresh)] = False
        extent, whole = extent[moved], self.weight[moved].to(extent.dtype)
        partly = torch.where(whole > 0, whole * (1.0 - extent), extent)
        weight[state.locate(self.pairs[:, moved])] = partly
        return replace(state, weight=weight, flipped=flipped)

    def scores(self, gradient: Tensor | FactoredGradient) -> Tensor:
        """The derivative [K] w.r.t. the extents, from ``gradient`` w.r.t. the weights."""
        if isinstance(gradient, FactoredGradient):
            values = gradient.at(self.pairs)
        else:
            values = gradient[self.place]  # this graph lists all candidates
        return flip_scores(self.weight, values)


def project(extent: Tensor, budget: int) -> Tensor:
    r"""The nearest point of :math:`\{p \in [0, 1]^K : \sum p \le \text{budget}\}`.

    It is :math:`\text{clip}(p - \mu)` with the smallest :math:`\mu \ge 0` that meets the budget
    (Xu et al. 2019, proposition 1), found by bisection.
    """
    clipped = extent.clamp(0.0, 1.0)
    if float(clipped.sum()) <= budget:
        return clipped
    low, high = (extent.min() - 1.0).clamp(min=0.0), extent.max()
    for _ in range(100):
        middle = (low + high) / 2
        if float((extent - middle).clamp(0.0, 1.0).sum()) > budget:
            low = middle
        else:
            high = middle
    return (extent - high).clamp(0.0, 1.0)
