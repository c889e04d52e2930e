r"""The log loss of pairs scored by a tower, to second order, some chunks of pairs at a time.

The same as :mod:`~graphpoison.training.sparse_pair_loss` for scores of the form of
:mod:`~graphpoison.training.pair_scores`. The layers of a
tower are wider than a pair. One part of the pairs at a time, the layers stay in the cache, and
memory holds the layers of one part, whatever the number of pairs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ..sparse import Pattern
from ..sparse.chunks import Chunks, chunked
from ..sparse.products import Sampler, both_products
from .activations import activation
from .dual import GradAndTangent
from .field import Cotangents, Linearisation
from .first_layer import FirstLayer, ProductLayer, SumLayer
from .mlp import Tower
from .pair_loss import PairLoss
from .pair_scores import PairScores
from .prepared import Params
from .workspace import Workspace

SLOTS = {"cpu": 16_384, "cuda": 2**20}
"""Slots in a part: what stays in a CPU's cache, and what keeps a GPU busy."""


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


class MLPPairLoss(PairLoss):
    """Pairs with labels, to be scored by a tower.

    Args:
        pattern: the M pairs.
        labels: Tensor [M].
        scoring: how.
    """

    def __init__(self, pattern: Pattern, labels: Tensor, scoring: PairScores) -> None:
        self.pattern, self.labels, self.scoring = pattern, labels.detach(), scoring
        slots = SLOTS.get(labels.device.type, SLOTS["cpu"])
        self.parts = [self._part(chunks) for chunks in chunked(pattern, slots)]
        self.workspace = Workspace()
        self.buffers = self.labels.new_empty(4 if scoring.dot else 1, labels.numel())

    def linearise(self, *score_params: Tensor) -> "MLPPairPoint":
        return MLPPairPoint(self, score_params)

    def loss(self, labels: Tensor, *score_params: Tensor) -> Tensor:
        """The mean log loss, differentiable once in ``labels`` and ``score_params``."""
        result: Tensor = _Loss.apply(self, labels, *score_params)
        return result

    def _part(self, chunks: Chunks) -> Part:
        labels = self.labels[chunks.entry]
        share = torch.zeros_like(labels)
        share[chunks.filled] = 1.0 / self.labels.numel()
        return Part(chunks, labels, share)


class MLPPairPoint(Linearisation):
    """The field at ``score_params``; cotangents are valid until the next pass."""

    def __init__(self, loss: MLPPairLoss, score_params: Params) -> None:
        self.loss, self.score_params = loss, score_params

    @property
    def gradient(self) -> Params:
        return tuple(part.gradient for part in _Pass(self.loss, self.score_params, None).parts())

    def vjp(self, cotangents: Params) -> tuple[Params, Cotangents]:
        parts = _Pass(self.loss, self.score_params, cotangents).parts()
        return _derivatives(parts), (self.loss.buffers[0],)

    def gradient_and_vjp(self, cotangents: Params) -> tuple[Params, Params, Cotangents]:
        if self.loss.scoring.tower == "product":
            return super().gradient_and_vjp(cotangents)
        parts = _Pass(self.loss, self.score_params, cotangents).parts()
        gradient = tuple(part.gradient for part in parts)
        return gradient, _derivatives(parts), (self.loss.buffers[0],)

    def scores(self) -> Tensor:
        """Logits [M]."""
        return _Pass(self.loss, self.score_params, None).scores()


def _derivatives(parts: list[GradAndTangent]) -> Params:
    return tuple(part.derivative for part in parts if part.derivative is not None)


class _Pass:
    """All pairs once, forwards and backwards, at one point and, if any, along a direction."""

    def __init__(self, loss: MLPPairLoss, score_params: Params, direction: Params | None) -> None:
        self.loss, workspace = loss, loss.workspace
        self.dot, rest = loss.scoring.split(score_params)
        self.on_dot: Params = ()
        on_rest: Params | None = None
        if direction is not None:
            self.on_dot, on_rest = loss.scoring.split(direction)
        kind: type[FirstLayer] = ProductLayer if loss.scoring.tower == "product" else SumLayer
        first = kind.num_params
        self.first = kind(rest[:first], on_rest and on_rest[:first], workspace)
        head, on_head = rest[first:], on_rest and on_rest[first:]
        self.tower = Tower(activation(loss.scoring.activation), head, on_head, workspace)
        self.dual = direction is not None

    def scores(self) -> Tensor:
        dots, found = self._dot_products(), torch.empty_like(self.loss.labels)
        for part in self.loss.parts:
            chunks = part.chunks
            _, outputs = self._forward(chunks, dots)
            found[chunks.held] = outputs[0][chunks.filled]
        return found

    def parts(self) -> list[GradAndTangent]:
        """Gradients of the score parameters; the labels' cotangent goes to the first buffer."""
        dots, weights = self._dot_products(), self.loss.buffers[2:]
        for part in self.loss.parts:
            chunks = part.chunks
            layers, outputs = self._forward(chunks, dots)
            on_outputs = self._on_outputs(part, outputs)
            for buffer, values in zip(weights, reversed(on_outputs), strict=False):
                buffer[chunks.held] = values[chunks.filled]
            self.first.backward(chunks, self.tower.backward(layers, on_outputs))
        return [*self._dot_parts(), *self.first.parts, *self.tower.head_gradients]

    def _forward(
        self, chunks: Chunks, dots: tuple[Tensor, ...]
    ) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        layers, outputs = self.tower.forward(self.first.forward(chunks))
        for output, values in zip(outputs, dots, strict=False):
            output += values.index_select(0, chunks.entry)
        return layers, outputs

    def _on_outputs(self, part: Part, outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Cotangents of the outputs: the residual, or its derivative and the residual."""
        probability = outputs[0].sigmoid_()
        residual = (probability - part.labels).mul_(part.share)
        if not self.dual:
            return (residual,)
        change, chunks = outputs[1].mul_(part.share), part.chunks
        self.loss.buffers[0][chunks.held] = change[chunks.filled].neg_()
        curvature = probability.addcmul_(probability, probability, value=-1.0).mul_(change)
        return curvature, residual

    def _dot_products(self) -> tuple[Tensor, ...]:
        """Dot products of all pairs [M], and their tangents."""
        if not self.dot:
            return ()
        (left, right), pattern, buffers = self.dot, self.loss.pattern, self.loss.buffers
        values = Sampler(pattern, buffers[1])(left, right)
        if not self.on_dot:
            return (values,)
        tangents = Sampler(pattern, torch.empty_like(values))
        tangents(self.on_dot[0], right)
        return values, tangents(left, self.on_dot[1], add=True)

    def _dot_parts(self) -> list[GradAndTangent]:
        if not self.dot:
            return []
        pattern = self.loss.pattern
        gradient = both_products(pattern, self.loss.buffers[2], *self.dot)
        if not self.on_dot:
            return [GradAndTangent(part, None) for part in gradient]
        turned = both_products(pattern, self.loss.buffers[3], *self.dot)
        moved = both_products(pattern, self.loss.buffers[2], *self.on_dot)
        derivative = (one.add_(other) for one, other in zip(turned, moved, strict=True))
        return list(map(GradAndTangent, gradient, derivative))


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(ctx, pair_loss, labels, *score_params):  # type: ignore[no-untyped-def]
        ctx.point = pair_loss.linearise(*(param.detach() for param in score_params))
        scores = ctx.point.scores()
        ctx.save_for_backward(scores)
        return (softplus(scores, threshold=40.0) - labels * scores).mean()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, on_loss):  # type: ignore[no-untyped-def]
        (scores,) = ctx.saved_tensors
        on_params = (on_loss * part for part in ctx.point.gradient)
        return None, scores * (-on_loss / scores.numel()), *on_params
