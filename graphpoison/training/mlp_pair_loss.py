r"""The log loss of pairs scored by a tower: gradient and adjoint, in one pass over the pairs.

The counterpart of :mod:`~graphpoison.training.sparse_pair_loss` for the scores of
:mod:`~graphpoison.training.pair_scores`. :mod:`~graphpoison.training.compiled_tower` computes the
tower if it has been built; otherwise :mod:`~graphpoison.training.chunked_tower` does.
"""

from torch import Tensor

from ..sparse.products import Sampler
from ..sparse.shares import Block
from .chunked_tower import ChunkedTower, PairOutputs
from .compiled_tower import CompiledTower, compiled
from .criteria import part_losses
from .dual import GradAndTangent
from .field import Cotangents
from .pair_loss import BlockLoss, LogLossPoint
from .pair_scores import PairScores
from .prepared import Params


class MLPPairLoss(BlockLoss):
    """The log loss of the pairs of a block, scored by a tower.

    Args:
        block: the block of m pairs; it has a single part unless :meth:`takes_parts` is true.
        labels: Tensor [m].
        scoring: the terms of a score.
        count: M, the number of pairs of all blocks.
    """

    def __init__(self, block: Block, labels: Tensor, scoring: PairScores, count: int) -> None:
        self.block, self.labels, self.scoring, self.count = block, labels, scoring, count
        kind = CompiledTower if self.takes_parts(labels) else ChunkedTower
        self.tower: CompiledTower | ChunkedTower = kind(block, labels, scoring, count)
        self.buffers = labels.new_empty(4 if scoring.dot else 1, labels.numel())

    @staticmethod
    def takes_parts(labels: Tensor) -> bool:
        """Whether a block of pairs with these ``labels`` may have several parts."""
        return compiled(labels)

    def linearise(self, *score_params: Tensor) -> "MLPPairPoint":
        return MLPPairPoint(self, score_params)


class MLPPairPoint(LogLossPoint):
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
        if not self.loss.tower.gradient_along:
            return super().gradient_and_vjp(cotangents)
        parts = _Pass(self.loss, self.score_params, cotangents).parts()
        gradient = tuple(part.gradient for part in parts)
        return gradient, _derivatives(parts), (self.loss.buffers[0],)

    def value(self) -> tuple[Tensor, Tensor]:
        scores, count = _Pass(self.loss, self.score_params, None).scores(), self.loss.count
        return part_losses(self.loss.block, scores, self.loss.labels) / count, scores / -count


def _derivatives(parts: list[GradAndTangent]) -> Params:
    return tuple(part.derivative for part in parts if part.derivative is not None)


class _Pass:
    """One forward and backward pass over all pairs, at a point and along an optional direction."""

    def __init__(self, loss: MLPPairLoss, score_params: Params, direction: Params | None) -> None:
        self.loss = loss
        self.dot, self.rest = loss.scoring.split(score_params)
        self.on_dot: Params = ()
        self.on_rest: Params | None = None
        if direction is not None:
            self.on_dot, self.on_rest = loss.scoring.split(direction)

    def scores(self) -> Tensor:
        return self.loss.tower.scores(self._dot_products(), self.rest)

    def parts(self) -> list[GradAndTangent]:
        """Gradients of the score parameters; writes the labels' cotangent to the first buffer."""
        dots, buffers = self._dot_products(), self.loss.buffers
        outputs = PairOutputs(None, None, buffers[0])
        if self.dot:
            outputs = PairOutputs(buffers[2], buffers[3], buffers[0])
        found = self.loss.tower.parts(dots, self.rest, self.on_rest, outputs)
        return [*self._dot_parts(), *found]

    def _dot_products(self) -> tuple[Tensor, ...]:
        """Dot products of all pairs [m], and their tangents."""
        if not self.dot:
            return ()
        (left, right), pattern, buffers = self.dot, self.loss.block.pattern, self.loss.buffers
        values = Sampler(pattern, buffers[1])(left, right)
        if not self.on_dot:
            return (values,)
        tangents = Sampler(pattern, values.new_empty(values.shape))
        tangents(self.on_dot[0], right)
        return values, tangents(left, self.on_dot[1], add=True)

    def _dot_parts(self) -> list[GradAndTangent]:
        if not self.dot:
            return []
        block, buffers = self.loss.block, self.loss.buffers
        gradient = block.both_products(buffers[2], *self.dot)
        if not self.on_dot:
            return [GradAndTangent(part, None) for part in gradient]
        turned = block.both_products(buffers[3], *self.dot)
        moved = block.both_products(buffers[2], *self.on_dot)
        derivative = (one.add_(other) for one, other in zip(turned, moved, strict=True))
        return list(map(GradAndTangent, gradient, derivative))
