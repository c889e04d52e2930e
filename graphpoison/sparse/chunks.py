"""The entries of a pattern in chunks; the slots of a chunk hold entries of a single row.

The vector of a row's node is multiplied by a chunk of columns as one small matrix product, many
products at once (``torch.bmm``), and is not gathered for every entry. A slot without an entry of
its own points to another entry of the row; its weight must be set to 0.

The binary form of a row's number of units determines the row's chunks, so most entries are in wide
chunks: 170 entries are 6 units of 32, that is a chunk of 128 slots and a chunk of 64 slots.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .csr import compress
from .kernels import multiply
from .pattern import Pattern

UNITS = (32, 16, 8)
MOST_EMPTY = 0.12
"""The widest unit is used that leaves at most this share of the slots empty."""

WIDEST = 256


@dataclass(frozen=True, eq=False)
class Chunks:
    """C chunks of K slots each.

    Args:
        rows: the rows of the pattern that the chunks belong to.
        shape: ``(C, K)``.
        owner: IntTensor [C], the row of each chunk, counted from ``rows.start``.
        entry: LongTensor [C K], the entry in each slot.
        column: IntTensor [C K], the column of this entry.
        filled: LongTensor [m], the slots that hold an entry of their own.
        held: LongTensor [m], the entries in the filled slots.
        by_owner: pointers [rows + 1] and indices of the chunks of each row.
        targets: LongTensor [I'], the columns that occur, or None for all columns of the pattern.
        by_column: pointers [I' + 1] and indices of the filled slots of each column.
        backend: the backend that computes sums.
    """

    rows: slice
    shape: tuple[int, int]
    owner: Tensor
    entry: Tensor
    column: Tensor
    filled: Tensor
    held: Tensor
    by_owner: tuple[Tensor, Tensor]
    targets: Tensor | None
    by_column: tuple[Tensor, Tensor]
    backend: str

    @property
    def num_slots(self) -> int:
        return self.column.numel()

    def sum_by_owner(self, values: Tensor) -> Tensor:
        """Sums [rows, D] over each row's chunks of ``values`` [C, D]."""
        return _sums(self.backend, self.by_owner, values)

    def add_to_columns(self, total: Tensor, values: Tensor) -> None:
        """Add to ``total`` [I, D] the sums over each column's slots of ``values`` [C K, D]."""
        sums = _sums(self.backend, self.by_column, values)
        if self.targets is None:
            total += sums
        else:
            total[self.targets] += sums


def chunked(pattern: Pattern, size: int) -> list[Chunks]:
    """All entries of ``pattern``, in parts of about ``size`` slots; kept in ``pattern.memo``."""
    key = ("chunks", size)
    if key not in pattern.memo:
        pattern.memo[key] = list(_parts(pattern, size))
    parts: list[Chunks] = pattern.memo[key]
    return parts


def _parts(pattern: Pattern, size: int) -> Iterator[Chunks]:
    counts = torch.bincount(pattern.row, minlength=pattern.shape[0])
    unit = _unit(counts)
    stop = counts.cumsum(0)
    start, left = stop - counts, _units(counts, unit)
    width = WIDEST
    while width >= unit:
        number = torch.div(left * unit, width, rounding_mode="floor")
        owner = torch.repeat_interleave(number)
        rank = torch.arange(owner.numel(), device=owner.device)
        rank -= (number.cumsum(0) - number)[owner]  # of a chunk within its row
        first = start[owner] + rank * width
        last = torch.minimum(first + width, stop[owner])
        for part in torch.arange(owner.numel(), device=owner.device).split(max(1, size // width)):
            if part.numel():
                yield _part(pattern, owner[part], first[part], last[part], width)
        start, left = start + number * width, left - number * (width // unit)
        width //= 2


def _part(pattern: Pattern, owner: Tensor, first: Tensor, last: Tensor, width: int) -> Chunks:
    start, stop = torch.stack([owner[0], owner[-1] + 1]).tolist()
    slot = first.unsqueeze(1) + torch.arange(width, device=owner.device)
    filled = (slot < last.unsqueeze(1)).flatten().nonzero().squeeze(1)
    entry = torch.minimum(slot, last.unsqueeze(1) - 1).flatten()
    column = pattern.col[entry]
    targets, place, size = None, column[filled], pattern.shape[1]
    if size > column.numel():
        targets, place = place.unique(return_inverse=True)
        size = targets.numel()
    order = torch.argsort(place, stable=True)
    owner = owner - start
    return Chunks(
        rows=slice(start, stop),
        shape=(owner.numel(), width),
        owner=owner.int(),
        entry=entry,
        column=column.int(),
        filled=filled,
        held=entry[filled],
        by_owner=compress(owner, torch.arange(owner.numel(), device=owner.device), stop - start),
        targets=targets,
        by_column=compress(place[order], filled[order], size),
        backend=pattern.backend,
    )


def _unit(counts: Tensor) -> int:
    entries = int(counts.sum())
    for unit in UNITS:
        if unit * int(_units(counts, unit).sum()) <= (1 + MOST_EMPTY) * entries:
            return unit
    return UNITS[-1]


def _units(counts: Tensor, unit: int) -> Tensor:
    return torch.div(counts + unit - 1, unit, rounding_mode="floor")


def _sums(backend: str, places: tuple[Tensor, Tensor], values: Tensor) -> Tensor:
    pointers, indices = places
    ones = values.new_ones(indices.numel())
    return multiply(backend, pointers, indices, ones, values.size(0), values)
