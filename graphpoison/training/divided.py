r"""Training with the rows of both tables divided among ranks.

Each rank holds, updates and stores its own rows of the tables of users and items. The rows of users
are the rows of the rank's training pairs; the rows of items are equal shares. An update of one
number by the optimiser needs no other number, so the updates have the same bits on every rank.
"""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from .._ranks import Ranks
from ..sparse.shares import Block, Node, Shares
from .field import Cotangents, Linearisation, TrainingField
from .pair_loss import PairLoss
from .prepared import Params


class DividedField(TrainingField):
    """Another field, whose coordinates are the parameters ``(users, items, ...)``, divided.

    Coordinates are this rank's rows of users and items, and all of the other parameters.

    Args:
        whole: the field of all rows.
        shares: the rows of users of each rank.
        items: number of items.
    """

    def __init__(self, whole: TrainingField, shares: Shares, items: int) -> None:
        self.whole, self.tensors, self.ranks = whole, whole.tensors, shares.ranks
        size = shares.ranks.size
        users = [shares.rows_of(rank) for rank in range(size)]
        self.rows = users, [slice(items * r // size, items * (r + 1) // size) for r in range(size)]

    def coordinates(self, params: Params) -> Params:
        own = (rows[self.ranks.rank] for rows in self.rows)
        return *(table[rows] for table, rows in zip(params, own, strict=False)), *params[2:]

    def params(self, coordinates: Params) -> Params:
        return (
            *(gathered(self.ranks, *pair) for pair in zip(coordinates, self.rows, strict=False)),
            *coordinates[2:],
        )

    def params_vjp(self, coordinates: Params, cotangents: Params) -> tuple[Params, Cotangents]:
        return self.coordinates(cotangents), (None,) * len(self.tensors)

    def tensors_vjp(self, cotangents: Cotangents) -> Cotangents:
        return self.whole.tensors_vjp(cotangents)

    def linearise(self, coordinates: Params) -> Linearisation:
        return _Divided(self, self.whole.linearise(self.params(coordinates)))


class _Divided(Linearisation):
    """A linearisation of the field of all rows, which every rank computes."""

    def __init__(self, field: DividedField, point: Linearisation) -> None:
        self.field, self.point = field, point

    @property
    def gradient(self) -> Params:
        return self.field.coordinates(self.point.gradient)

    def vjp(self, cotangents: Params) -> tuple[Params, Cotangents]:
        back, on_tensors = self.point.vjp(self.field.params(cotangents))
        return self.field.coordinates(back), on_tensors


class DividedPairs(DividedField):
    """The mean loss of pairs. A rank needs all items, and of the users only its own.

    Args:
        whole: the field of all rows.
        loss: the loss of the pairs; its score parameters are the parameters.
        items: number of items.
    """

    def __init__(self, whole: TrainingField, loss: PairLoss, items: int) -> None:
        super().__init__(whole, loss.shares, items)
        self.loss = DividedLoss(loss, self.rows[1])

    def linearise(self, coordinates: Params) -> Linearisation:
        return _DividedPairs(self, coordinates)


class _DividedPairs(Linearisation):
    def __init__(self, field: DividedPairs, coordinates: Params) -> None:
        self.field, self.coordinates = field, coordinates

    @property
    def gradient(self) -> Params:
        users, items, *rest = self.coordinates
        return self.field.loss.linearise(users, self._gathered(items), *rest).gradient

    def vjp(self, cotangents: Params) -> tuple[Params, Cotangents]:
        (users, items, *rest), (on_users, on_items, *on_rest) = self.coordinates, cotangents
        both = self._gathered(torch.stack([items, on_items], dim=1))  # one message for two tables
        items, on_items = (each.contiguous() for each in both.unbind(1))
        point = self.field.loss.linearise(users, items, *rest)
        return point.vjp((on_users, on_items, *on_rest))

    def _gathered(self, items: Tensor) -> Tensor:
        return gathered(self.field.ranks, items, self.field.rows[1])


class DividedLoss(PairLoss):
    """A loss of pairs whose gradients have only this rank's rows of users and items.

    Args:
        loss: the same loss, with gradients of all rows; tensor 0 has users, tensor 1 items.
        items: the rows of items of each rank.
    """

    def __init__(self, loss: PairLoss, items: Sequence[slice]) -> None:
        self.shares, self.blocks, self.losses = loss.shares, loss.blocks, loss.losses
        self.tables, self.targets, self.items = loss.tables, loss.targets, items

    def rows(self, block: Block, params: Params) -> Params:
        start = self.shares.rows_of(self.shares.ranks.rank).start
        users, *rest = params
        return users[block.rows.start - start : block.rows.stop - start], *rest

    def _exchanged(
        self, rows: list[list[Tensor]], nodes: Sequence[Node], like: Params, tables: list[bool]
    ) -> Iterator[Node]:
        """The nodes of all ranks, in order, with this rank's rows of items."""
        ranks, shares = self.shares.ranks, self.shares
        numbers = [number for number, is_table in enumerate(tables) if not is_table]
        count = len(like) // tables.count(True)

        def parts(values: Iterable[Tensor], rank: int) -> list[Tensor]:
            """The parts of the sums of one node that ``rank`` needs."""
            return [
                value[self.items[rank]] if number % count == 1 else value
                for number, value in zip(numbers, values, strict=True)
            ]

        sent = [
            part.reshape(-1)
            for rank in range(ranks.size)
            for _, _, values in nodes
            for part in parts(values, rank)
        ]
        shaped = [parts((like[number] for number in numbers), rank) for rank in range(ranks.size)]
        sizes = [[part.numel() for part in each] for each in shaped]
        places = [shares.nodes_of(rank) for rank in range(ranks.size)]
        counts = [[len(own) * sum(each) for each in sizes] for own in places]
        received = ranks.exchange(torch.cat([like[0].new_empty(0), *sent]), counts)
        for own, whole in zip(places, received, strict=True):
            pieces = iter(whole.split(sizes[ranks.rank] * len(own)))
            for height, place in own:
                yield height, place, [next(pieces).view(p.shape) for p in shaped[ranks.rank]]


def gathered(ranks: Ranks, own: Tensor, rows: Sequence[slice]) -> Tensor:
    """The table of which each rank has its own ``rows``."""
    return ranks.gather(own, [each.stop - each.start for each in rows])
