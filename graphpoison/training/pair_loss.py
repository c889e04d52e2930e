r"""The loss of training pairs in closed form, block by block, with the pairs divided among ranks.

A block of rows yields the gradient w.r.t. the table rows of its own users, and sums over its pairs
for all other parameters (a table of items, kernels). :class:`PairLoss` concatenates the rows and
adds up the sums, over the blocks of this rank and over all ranks. The order of the additions does
not depend on the number of ranks (:mod:`~graphpoison.sparse.shares`). :class:`BlockLoss` does not
use the ranks.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor

from ..sparse.shares import Block, Node, Shares, fold
from .field import Cotangents, Linearisation
from .prepared import Params


class BlockLoss(ABC):
    """The contribution of one block to a mean loss of pairs.

    The gradient w.r.t. a table of users covers only the users of the block, [rows, D]. The gradient
    w.r.t. any other score parameter has one sum for each part of the block, [parts, ...].
    """

    @abstractmethod
    def linearise(self, *score_params: Tensor) -> Linearisation:
        """The gradient w.r.t. ``score_params`` and its adjoint; valid until the next call.

        Tables of users in ``score_params`` have only the users of the block. The adjoint returns
        one cotangent of tensors, the cotangent of the targets.
        """


class LogLossPoint(Linearisation):
    """The log loss of a block at one point."""

    @abstractmethod
    def value(self) -> tuple[Tensor, Tensor | None]:
        """The loss of each part, [parts], and the cotangent of the labels; None if that cotangent
        is not one number for each listed pair."""


class PairLoss:
    """The mean loss of pairs, as a function of the score parameters.

    Args:
        shares: the parts of each rank.
        blocks: the blocks of this rank, in order.
        make: returns the loss of a block.
        tables: the numbers of the score parameters that have a row for each user.
        targets: maps a slice of pairs to the slices (one or several) of their targets.
    """

    def __init__(
        self,
        shares: Shares,
        blocks: Sequence[Block],
        make: Callable[[Block], BlockLoss],
        tables: frozenset[int],
        targets: Callable[[slice], tuple[slice, ...]],
    ) -> None:
        self.shares, self.blocks, self.tables, self.targets = shares, blocks, tables, targets
        self.losses = list(map(make, blocks))

    def linearise(self, *score_params: Tensor) -> "PairPoint":
        """The gradient w.r.t. ``score_params`` at one point, with its adjoint; valid until the
        next call. The adjoint returns the cotangents of the targets of this rank;
        :meth:`targets_vjp` gathers the cotangents of all ranks."""
        return PairPoint(self, score_params)

    def loss(self, targets: Tensor, *score_params: Tensor) -> Tensor:
        """The log loss, a scalar, differentiable once in ``targets`` and ``score_params``."""
        result: Tensor = _Loss.apply(self, targets, *score_params)
        return result

    def targets_vjp(self, own: Tensor | None) -> Tensor | None:
        """The cotangent of all targets, from the cotangents ``own`` of this rank."""
        ranks = self.shares.ranks
        if own is None or ranks.size == 1 == len(self.blocks):
            return own
        sizes = [_sizes(self.targets(block.entries)) for block in self.blocks]
        parts = own.split([size for block in sizes for size in block])
        found, kinds = [], len(self.targets(slice(0, 0)))
        for kind in range(kinds):
            counts = [
                _sizes(self.targets(self.shares.entries_of(rank)))[kind]
                for rank in range(ranks.size)
            ]
            found.append(ranks.gather(torch.cat([own[:0], *parts[kind::kinds]]), counts))
        return torch.cat(found)

    def record(self, on_loss: Tensor, score_params: Params) -> None:
        """Called when :meth:`loss` is differentiated; a subclass may collect cotangents here."""

    def rows(self, block: Block, params: Params) -> Params:
        """``params``, or their cotangents, with only the users of ``block`` in tables of users."""
        return tuple(
            param[block.rows] if number in self.tables else param
            for number, param in enumerate(params)
        )

    def joined(self, found: Iterable[tuple[Block, Params]], like: Params, times: int = 1) -> Params:
        """Gradients over all blocks of all ranks.

        Args:
            found: the blocks of this rank, in order, each with its own gradients.
            like: the score parameters.
            times: the number of gradients in ``found`` for each score parameter.
        """
        like, tables = like * times, [number in self.tables for number in range(len(like))] * times
        rows: list[list[Tensor]] = [[] for _ in like]
        nodes = fold(_leaves(found, tables, rows))
        if self.shares.ranks.size > 1:
            nodes = fold(self._exchanged(rows, nodes, like, tables))
        ((_, _, sums),) = nodes
        summed = iter(sums)
        return tuple(
            _cat(parts, param) if is_table else next(summed)
            for parts, is_table, param in zip(rows, tables, like, strict=True)
        )

    def _exchanged(
        self, rows: list[list[Tensor]], nodes: Sequence[Node], like: Params, tables: list[bool]
    ) -> Iterator[Node]:
        """The nodes of all ranks, in order; overwrites ``rows`` with the rows of all ranks."""
        own = [part for parts in rows for part in parts]
        own += [value for _, _, values in nodes for value in values]
        ranks, flat = self.shares.ranks, [part.reshape(-1) for part in own]
        sizes = [self._sizes(rank, like, tables) for rank in range(ranks.size)]
        joined = torch.cat([like[0].new_empty(0), *flat])
        received = ranks.gather(joined, list(map(sum, sizes))).split(list(map(sum, sizes)))
        of_ranks = [iter(all_.split(size)) for all_, size in zip(received, sizes, strict=True)]
        for number, param in enumerate(like):
            if tables[number]:
                parts = [next(pieces).view(-1, param.size(1)) for pieces in of_ranks]
                rows[number] = parts
        for rank, pieces in enumerate(of_ranks):
            for height, place in self.shares.nodes_of(rank):
                summed = (p for p, is_table in zip(like, tables, strict=True) if not is_table)
                yield height, place, [next(pieces).view(p.shape) for p in summed]

    def _sizes(self, rank: int, like: Params, tables: list[bool]) -> list[int]:
        """Sizes of the tensors that ``rank`` sends: rows of each table, then sums of each node."""
        rows = self.shares.rows_of(rank)
        widths = [p.size(1) for p, is_table in zip(like, tables, strict=True) if is_table]
        sums = [p.numel() for p, is_table in zip(like, tables, strict=True) if not is_table]
        return [(rows.stop - rows.start) * w for w in widths] + sums * len(
            self.shares.nodes_of(rank)
        )


class PairPoint(Linearisation):
    """The field at ``score_params``, over all blocks of all ranks."""

    def __init__(self, loss: PairLoss, score_params: Params) -> None:
        self.loss, self.score_params = loss, score_params
        pairs = zip(loss.blocks, loss.losses, strict=True)
        self.points = [
            (block, each.linearise(*loss.rows(block, score_params))) for block, each in pairs
        ]

    @property
    def gradient(self) -> Params:
        found = ((block, point.gradient) for block, point in self.points)
        return self.loss.joined(found, self.score_params)

    def vjp(self, cotangents: Params) -> tuple[Params, Cotangents]:
        """Cotangents of the score parameters, and of the targets of this rank."""
        on_targets: list[Tensor | None] = []

        def found() -> Iterator[tuple[Block, Params]]:
            for block, point in self.points:
                back, (own,) = point.vjp(self.loss.rows(block, cotangents))
                on_targets.append(own)
                yield block, back

        back = self.loss.joined(found(), self.score_params)
        return back, (self._cat(on_targets),)

    def gradient_and_vjp(self, cotangents: Params) -> tuple[Params, Params, Cotangents]:
        on_targets: list[Tensor | None] = []

        def found() -> Iterator[tuple[Block, Params]]:
            for block, point in self.points:
                rows = self.loss.rows(block, cotangents)
                gradient, back, (own,) = point.gradient_and_vjp(rows)
                on_targets.append(own)
                yield block, (*gradient, *back)

        both, count = self.loss.joined(found(), self.score_params, 2), len(self.score_params)
        return both[:count], both[count:], (self._cat(on_targets),)

    def value(self) -> tuple[Tensor, Tensor | None]:
        """The log loss, a scalar, and the cotangent of the labels of this rank."""
        on_targets: list[Tensor | None] = []

        def found() -> Iterator[tuple[Block, Params]]:
            for block, point in self.points:
                assert isinstance(point, LogLossPoint)
                value, own = point.value()
                on_targets.append(own)
                yield block, (value,)

        nodes = fold(_leaves(found(), [False], [[]]))
        scalar = self.score_params[0].new_empty(())
        if self.loss.shares.ranks.size > 1:
            nodes = fold(self.loss._exchanged([[]], nodes, (scalar,), [False]))
        ((_, _, (value,)),) = nodes
        return value, self._cat(on_targets)

    def _cat(self, parts: list[Tensor | None]) -> Tensor | None:
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return (
            known[0] if len(known) == 1 else torch.cat([self.score_params[0].new_empty(0), *known])
        )


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(ctx, pair_loss, targets, *score_params):  # type: ignore[no-untyped-def]
        ctx.pair_loss, ctx.score_params = pair_loss, tuple(map(torch.detach, score_params))
        ctx.point = pair_loss.linearise(*ctx.score_params)
        value, ctx.on_targets = ctx.point.value()
        return value

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, on_loss):  # type: ignore[no-untyped-def]
        on_params = (on_loss * part for part in ctx.point.gradient)
        ctx.pair_loss.record(on_loss, ctx.score_params)
        on_targets = ctx.pair_loss.targets_vjp(ctx.on_targets)
        return None, None if on_targets is None else on_loss * on_targets, *on_params


def _leaves(
    found: Iterable[tuple[Block, Params]], tables: list[bool], rows: list[list[Tensor]]
) -> Iterator[Node]:
    """The sums of each part, as leaves; appends rows of tables to ``rows``.

    If a part has several blocks, their sums are added up.
    """
    for number, group in groupby(found, key=lambda each: each[0].first):
        total: list[Tensor] = []
        for _, params in group:
            sums: list[Tensor] = []
            for param, is_table, own in zip(params, tables, rows, strict=True):
                (own if is_table else sums).append(param)
            total = [a.add_(b) for a, b in zip(total, sums, strict=True)] if total else sums
        for place, values in enumerate(zip(*total, strict=True)):
            yield 0, number + place, list(values)


def _cat(parts: list[Tensor], like: Tensor) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat([like[:0], *parts])


def _sizes(slices: Iterable[slice]) -> list[int]:
    return [each.stop - each.start for each in slices]
