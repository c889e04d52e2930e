"""The tower of :mod:`~graphpoison.training.mlp_pair_loss` in torch, part by part.

Only the layers of one part are in memory, whatever the number of pairs. On a CPU they fit into the
cache.
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
"""Slots in a part: few enough for a CPU's cache to hold their layers, enough to occupy a GPU."""


class PairOutputs(NamedTuple):
    """Tensors [m] that a pass writes to, one number for each pair; None is not written.

    Args:
        residual: the derivative of the loss w.r.t. the score.
        curvature: the derivative of the residual along a direction.
        on_labels: the cotangent of the label, for a pass along a direction.
    """

    residual: Tensor | None
    curvature: Tensor | None
    on_labels: Tensor


@dataclass(frozen=True, eq=False)
class Part:
    """Some pairs of a block, in slots.

    Args:
        chunks: the chunks that hold the pairs.
        labels: Tensor [slots].
        share: Tensor [slots], 1 / (number of all pairs), and 0 in empty slots.
    """

    chunks: Chunks
    labels: Tensor
    share: Tensor


class ChunkedTower:
    """The tower on the pairs of a block, a number of chunks at a time.

    Args:
        block: a block of m pairs that has a single part.
        labels: Tensor [m].
        scoring: the terms of a score.
        count: the number of pairs of all blocks, over which the loss is averaged.

    Attributes:
        gradient_along: whether a pass along a direction also computes all gradients.
    """

    def __init__(self, block: Block, labels: Tensor, scoring: PairScores, count: int) -> None:
        self.labels, self.scoring, self.count = labels, scoring, count
        self.gradient_along = scoring.tower != "product"
        slots = SLOTS.get(labels.device.type, SLOTS["cpu"])
        self.split = [self._part(chunks) for chunks in chunked(block.pattern, slots)]
        self.workspace = Workspace()

    def scores(self, dots: Sequence[Tensor], params: Params) -> Tensor:
        """Logits [m], from the dot products [m], if any, and the other score parameters."""
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
        """Gradients w.r.t. ``params`` and, given a ``direction``, their derivatives along it.

        The table of users has one gradient for the whole block; any other parameter has a sum over
        the pairs of each part, [parts, ...].

        Args:
            dots: the dot products [m] in the scores and, given a direction, their tangents; empty
                if scores have no dot product.
            params: the tables, the first layer and the tower, as in :class:`PairScores`.
            direction: tangents of ``params``, of the same shapes, or None.
            outputs: the tensors to write to; without a direction only the residual is written.
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
        """Run a part forwards and backwards, and add its gradients to the sums."""
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
        """Cotangents of the scores: the residual, preceded by its derivative if dual."""
        probability = scores[0].sigmoid_()
        residual = (probability - part.labels).mul_(part.share)
        if not self.dual:
            return (residual,)
        change, chunks = scores[1].mul_(part.share), part.chunks
        on_labels[chunks.held] = change[chunks.filled].neg_()
        curvature = probability.addcmul_(probability, probability, value=-1.0).mul_(change)
        return curvature, residual
