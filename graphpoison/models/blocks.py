"""Training of models that score every pair on its own, a block of pairs at a time.

What a feed-forward head keeps for one pair is wider than the pair. In blocks those activations stay
in the cache, and memory holds one block's graph whatever the number of pairs.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..graph import Pattern
from .prepared import Params
from .training import Cotangents, Linearisation, Training, accumulate, as_leaves, vjp

BLOCK = 16_384
"""Pairs at a time."""

BlockLoss = Callable[[Params, Pattern, Tensor], Tensor]
"""``loss(params, pairs, labels)``, summed over the pairs."""


class BlockedTraining(Training):
    """The mean over ``pattern`` of a loss of single pairs, by autograd; coordinates are parameters.

    Args:
        loss: the sum of the losses of some pairs.
        pattern: the M training pairs.
        labels: Tensor [M].
    """

    def __init__(self, loss: BlockLoss, pattern: Pattern, labels: Tensor) -> None:
        self.loss = loss
        self.labels = labels.detach()
        self.tensors = (self.labels,)
        self.blocks = [
            Pattern(row, col, pattern.shape, pattern.backend)
            for row, col in zip(pattern.row.split(BLOCK), pattern.col.split(BLOCK), strict=True)
        ]

    def coordinates(self, params: Params) -> Params:
        return params

    def gradient(self, coordinates: Params) -> Params:
        total: Cotangents = (None,) * len(coordinates)
        for _, leaves, loss in self.losses(coordinates, requires_grad=False):
            total = accumulate(total, torch.autograd.grad(loss, leaves))
        return tuple(part for part in total if part is not None)

    def linearise(self, coordinates: Params) -> Linearisation:
        return _Blocks(self, coordinates)

    def params(self, coordinates: Params) -> Params:
        return coordinates

    def params_reverse(self, coordinates: Params, cotangents: Params) -> tuple[Params, Cotangents]:
        return cotangents, (None,)

    def pull_back(self, cotangents: Cotangents) -> Cotangents:
        return cotangents

    def losses(
        self, coordinates: Params, requires_grad: bool
    ) -> Iterator[tuple[Tensor, Params, Tensor]]:
        """Labels, parameters and share of the loss of each block, the former two as leaves."""
        for block, labels in zip(self.blocks, self.labels.split(BLOCK), strict=True):
            leaves, leaf = as_leaves(coordinates), labels.detach().requires_grad_(requires_grad)
            with torch.enable_grad():
                yield leaf, leaves, self.loss(leaves, block, leaf) / self.labels.numel()


class _Blocks(Linearisation):
    def __init__(self, training: BlockedTraining, coordinates: Params) -> None:
        self.training, self.coordinates = training, coordinates

    @property
    def gradient(self) -> Params:
        return self.training.gradient(self.coordinates)

    def reverse(self, cotangents: Params) -> tuple[Params, Cotangents]:
        total: Cotangents = (None,) * len(self.coordinates)
        on_labels = []
        for labels, leaves, loss in self.training.losses(self.coordinates, requires_grad=True):
            with torch.enable_grad():
                field = torch.autograd.grad(loss, leaves, create_graph=True)
            found = vjp(field, (*leaves, labels), cotangents)
            total = accumulate(total, found[:-1])
            on_labels.append(found[-1])
        return tuple(part for part in total if part is not None), (torch.cat(on_labels),)
