r"""The log loss of pairs scored by a tower, to second order, a block of pairs at a time.

The same as :mod:`~graphpoison.models.log_loss` for scores of the form of
:mod:`~graphpoison.models.pair_scores`. What a tower keeps for one pair is wider than the pair: in
blocks it stays in the cache, and memory holds one block's activations whatever the number of pairs.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad, softplus

from ..graph import Pattern
from ..graph.row_blocks import RowBlock, row_blocks
from ..graph.sparse import (
    Sampler,
    product,
    sum_by_column,
    sum_by_row,
    transpose_values,
    transposed_product,
)
from .activations import activation
from .pair_scores import PairScores
from .prepared import Params
from .scratch import Scratch
from .tower import Tower, missing, narrowed, widened
from .training import Cotangents, Linearisation

BLOCK = 32_768
"""Pairs in a block, give or take a row."""


class Towers:
    """Pairs with labels, to be scored by a tower.

    Args:
        pattern: the M pairs.
        labels: Tensor [M].
        scoring: how.
    """

    def __init__(self, pattern: Pattern, labels: Tensor, scoring: PairScores) -> None:
        self.labels = labels.detach()
        self.scoring = scoring
        self.blocks = row_blocks(pattern, BLOCK)
        self.scratch = Scratch()

    def point(self, *sides: Tensor) -> "TowerLoss":
        return TowerLoss(self, sides)

    def loss(self, labels: Tensor, *sides: Tensor) -> Tensor:
        """The mean log loss, differentiable once in labels and sides."""
        result: Tensor = _Loss.apply(self, labels, *sides)
        return result


class TowerLoss(Linearisation):
    """The field at ``sides``, see :class:`PairScores`."""

    def __init__(self, space: Towers, sides: Params) -> None:
        self.space, self.shapes = space, sides
        self.sides = self._widened(sides)

    @property
    def gradient(self) -> Params:
        return self._total(None)[0]

    def reverse(self, cotangents: Params) -> tuple[Params, Cotangents]:
        back, on_labels = self._total(self._widened(cotangents))
        return back, (on_labels,)

    def scores(self) -> Tensor:
        """Logits [M]."""
        found = [_Block(self.space, block, self.sides, None).outputs for block in self.space.blocks]
        return torch.cat(found)

    def _total(self, direction: Params | None) -> tuple[Params, Tensor]:
        """The field, or its derivative; and the cotangent of the labels in the latter case."""
        total = tuple(torch.zeros_like(side) for side in self.sides)
        on_labels = torch.zeros_like(self.space.labels)
        for block in self.space.blocks:
            _Block(self.space, block, self.sides, direction).add_to(total, on_labels)
        return tuple(map(narrowed, total, self.shapes)), on_labels

    def _widened(self, sides: Params) -> Params:
        dot, (left, right, *head) = self.space.scoring.split(sides)
        extra = (0, missing(left.size(1)))
        return (*dot, pad(left, extra), pad(right, extra), *widened(tuple(head)))


class _Block:
    """One block of pairs at given sides and direction, scored."""

    def __init__(
        self, space: Towers, block: RowBlock, sides: Params, direction: Params | None
    ) -> None:
        self.space, self.block = space, block
        self.count = block.pattern.num_entries
        split = space.scoring.split
        self.dot, (self.left, self.right, *head) = split(sides)
        self.on_dot, rest = split(direction) if direction is not None else ((), ())
        self.on_tables, on_head = rest[:2], rest[2:]
        self.tower = Tower(
            activation(space.scoring.activation),
            space.scoring.tower == "sum",
            tuple(head),
            on_head if direction is not None else None,
            space.scratch,
        )
        self.layers, self.outputs = self.tower.forward(self._inputs(), self.count)
        self._add_dot_products()

    def add_to(self, total: Params, on_labels: Tensor) -> None:
        """Add this block's share of the field, or of its derivative, to ``total``."""
        entries, count, size = self.block.entries, self.count, self.space.labels.numel()
        probability = self.outputs[:count].sigmoid()
        residual = (probability - self.space.labels[entries]).div_(size)
        on_outputs = residual
        if self.outputs.numel() > count:
            change = self.outputs[count:].div_(size)
            torch.neg(change, out=on_labels[entries])
            curvature = probability.addcmul_(probability, probability, value=-1.0).mul_(change)
            on_outputs = torch.cat([curvature, residual])
        dot, (left, right, *head) = self.space.scoring.split(total)
        on_stack, on_head = self.tower.backward(self.layers, on_outputs, count)
        for part, found in zip(head, on_head, strict=True):
            part += found
        on_left, on_right = self._outputs_of(on_stack)
        left[self.block.rows] += sum_by_row(self.block.pattern, on_left)
        right += sum_by_column(self.block.pattern, on_right)
        if dot:
            self._add_dot_cotangents(dot, on_outputs)

    def _inputs(self) -> Tensor:
        """What goes into the tower, stacked."""
        left, right = self._gather("tables", self.left, self.right)
        self.gathered = (left, right)
        height = (2 if self.on_tables else 1) * self.count
        stack = self.space.scratch("inputs", (height, left.size(1)), left)
        values, tangents = stack[: self.count], stack[self.count :]
        if self.on_tables:
            self.on_gathered = self._gather("directions", *self.on_tables)
        if self.space.scoring.tower == "sum":
            torch.add(left, right, out=values)
            if self.on_tables:
                torch.add(*self.on_gathered, out=tangents)
            return stack
        torch.mul(left, right, out=values)
        if self.on_tables:
            torch.mul(self.on_gathered[0], right, out=tangents)
            tangents.addcmul_(left, self.on_gathered[1])
        return stack

    def _outputs_of(self, on_stack: Tensor) -> tuple[Tensor, Tensor]:
        """Cotangents [n, H] of the gathered rows, from those of what went into the tower."""
        first = on_stack[: self.count]
        if self.space.scoring.tower == "sum":
            return first, first
        left, right = self.gathered
        on_left = self.space.scratch("on left", (self.count, first.size(1)), first)
        torch.mul(first, right, out=on_left)
        on_right = first.mul_(left)
        if self.on_tables:
            second = on_stack[self.count :]
            on_left.addcmul_(second, self.on_gathered[1])
            on_right.addcmul_(second, self.on_gathered[0])
        return on_left, on_right

    def _gather(self, name: str, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        pattern, scratch = self.block.pattern, self.space.scratch
        rows, columns = (
            scratch(f"{name}, {side}", (self.count, table.size(1)), table)
            for side, table in (("left", left), ("right", right))
        )
        torch.index_select(left[self.block.rows], 0, pattern.row, out=rows)
        torch.index_select(right, 0, pattern.col, out=columns)
        return rows, columns

    def _add_dot_products(self) -> None:
        if not self.dot:
            return
        (left, right), rows = self.dot, self.block.rows
        Sampler(self.block.pattern, self.outputs[: self.count])(left[rows], right, add=True)
        if self.on_dot:
            sample = Sampler(self.block.pattern, self.outputs[self.count :])
            sample(self.on_dot[0][rows], right, add=True)
            sample(left[rows], self.on_dot[1], add=True)

    def _add_dot_cotangents(self, total: Params, on_outputs: Tensor) -> None:
        pattern, rows = self.block.pattern, self.block.rows
        for weight, (left, right) in zip(
            on_outputs.split(self.count), filter(None, (self.dot, self.on_dot)), strict=True
        ):
            total[0][rows] += product(pattern, weight, right)
            total[1].add_(
                transposed_product(pattern, transpose_values(pattern, weight), left[rows])
            )


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(ctx, space, labels, *sides):  # type: ignore[no-untyped-def]
        ctx.point = space.point(*(side.detach() for side in sides))
        scores = ctx.point.scores()
        ctx.save_for_backward(scores)
        return (softplus(scores, threshold=40.0) - labels * scores).mean()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, on_loss):  # type: ignore[no-untyped-def]
        (scores,) = ctx.saved_tensors
        on_sides = (on_loss * part for part in ctx.point.gradient)
        return None, scores * (-on_loss / scores.numel()), *on_sides
