"""The tower of :mod:`~graphpoison.training.mlp_pair_loss` in torch, a part of the pairs at a time.

The layers of a tower are wider than a pair. The layers of one part stay in the cache, and memory
holds no more than these, whatever the number of pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..sparse.chunks import Chunks, chunked
from ..sparse.shares import Block
from .activations import activation
from .dual import GradAndTangent
from .first_layer import FirstLayer, ProductLayer, SumLayer
from .mlp import Tower
from .pair_scores import PairScores
from .prepared import Params
from .workspace import Workspace

SLOTS = {"cpu": 16_384, "cuda": 2**20}
"""Slots in a part: a CPU's cache holds their layers, and a GPU is busy with them."""


class PairOutputs(NamedTuple):
    """Where a pass writes a number for each pair, Tensors [M]; None is not written.

    Args:
        residual: the cotangent of the score.
        curvature: its derivative along a direction.
        on_labels: the cotangent of the label, along a direction.
    """

    residual: Tensor | None
    curvature: Tensor | None
    on_labels: Tensor


@dataclass(frozen=True, eq=False)
class Part:
    """Some pairs, in slots.

    Args:
        chunks: which.
        labels: Tensor [slots].
        share: Tensor [slots], one over the number of all pairs, 0 where a slot is empty.
    """

    chunks: Chunks
    labels: Tensor
    share: Tensor


class ChunkedTower:
    """The pairs of a block, some chunks of them at a time.

    Args:
        block: the m pairs, of one part.
        labels: Tensor [m].
        scoring: how.
        count: the number of pairs that the loss is the mean of.

    Attributes:
        gradient_along: whether a pass along a direction computes all gradients too.
    """

    def __init__(self, block: Block, labels: Tensor, scoring: PairScores, count: int) -> None:
        self.labels, self.scoring, self.count = labels, scoring, count
        self.gradient_along = scoring.tower != "product"
        slots = SLOTS.get(labels.device.type, SLOTS["cpu"])
        self.split = [self._part(chunks) for chunks in chunked(block.pattern, slots)]
        self.workspace = Workspace()

    def scores(self, dots: Sequence[Tensor], params: Params) -> Tensor:
        """Logits [M], given the dot products [M], if any, and the other score parameters."""
        found, run = torch.empty_like(self.labels), _Run(self, dots, params, None)
        for part in self.split:
            _, outputs = run.forward(part.chunks)
            found[part.chunks.held] = outputs[0][part.chunks.filled]
        return found

    def parts(
        self,
        dots: Sequence[Tensor],
        params: Params,
        direction: Params | None,
        outputs: PairOutputs,
    ) -> list[GradAndTangent]:
        """Gradients of ``params``, and their derivatives along a ``direction`` if there is one; but
        for the table of users, sums [parts, ...] over the pairs of each part.

        Args:
            dots: terms [M] of the scores and, with a direction, their tangents; or nothing.
            params: the tables, the first layer and the tower, as in :class:`PairScores`.
            direction: the same shapes.
            outputs: to be written; without a direction the residual alone.
        """
        run = _Run(self, dots, params, direction)
        for part in self.split:
            run.both_ways(part, outputs)
        first, *summed = [*run.first.parts, *run.tower.head_gradients]
        return [first, *(part.stacked() for part in summed)]

    def _part(self, chunks: Chunks) -> Part:
        labels = self.labels[chunks.entry]
        share = torch.zeros_like(labels)
        share[chunks.filled] = 1.0 / self.count
        return Part(chunks, labels, share)


class _Run:
    """One pass over all parts at one point."""

    def __init__(
        self, of: ChunkedTower, dots: Sequence[Tensor], params: Params, direction: Params | None
    ) -> None:
        kind: type[FirstLayer] = ProductLayer if of.scoring.tower == "product" else SumLayer
        count = kind.num_params
        self.dots, self.dual = dots, direction is not None
        self.first = kind(params[:count], direction and direction[:count], of.workspace)
        head, on_head = params[count:], direction and direction[count:]
        self.tower = Tower(activation(of.scoring.activation), head, on_head, of.workspace)

    def forward(self, chunks: Chunks) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        """The layers and the scores of a part, with their tangents."""
        layers, outputs = self.tower.forward(self.first.forward(chunks))
        for output, values in zip(outputs, self.dots, strict=False):
            output += values.index_select(0, chunks.entry)
        return layers, outputs

    def both_ways(self, part: Part, outputs: PairOutputs) -> None:
        """Take in the gradients of a part."""
        chunks = part.chunks
        layers, scores = self.forward(chunks)
        on_scores = self._on_scores(part, scores, outputs.on_labels)
        for output, values in zip(outputs, reversed(on_scores), strict=False):
            if output is not None:
                output[chunks.held] = values[chunks.filled]
        self.first.backward(chunks, self.tower.backward(layers, on_scores))

    def _on_scores(
        self, part: Part, scores: tuple[Tensor, ...], on_labels: Tensor
    ) -> tuple[Tensor, ...]:
        """Cotangents of the scores: the residual, or its derivative and the residual."""
        probability = scores[0].sigmoid_()
        residual = (probability - part.labels).mul_(part.share)
        if not self.dual:
            return (residual,)
        change, chunks = scores[1].mul_(part.share), part.chunks
        on_labels[chunks.held] = change[chunks.filled].neg_()
        curvature = probability.addcmul_(probability, probability, value=-1.0).mul_(change)
        return curvature, residual
