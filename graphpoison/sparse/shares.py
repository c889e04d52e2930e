"""The rows of a pattern in parts, the parts of each rank, and sums over parts in a fixed order.

A sum over rows is computed within each part first. The sums of the parts are then added up as the
leaves of a binary tree. The parts depend only on the pattern, so the sum has the same bits for any
number of ranks. The cost is one sum for each part instead of one sum; :func:`num_parts` limits it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from .._ranks import Ranks
from .csr import compress
from .kernels import multiply
from .pattern import Pattern
from .products import product, transpose_values

BLOCK = 262_144
"""Approximate number of entries in a block of whole rows. Tensors of this size fit the cache."""

MOST_PARTS = 16
ENTRIES_OF_COLUMN = 20
"""Fewest entries of a part for each column, unless the part would be larger than a block."""

Node = tuple[int, int, list[Tensor]]
"""Height above the leaves, number from the left, and sums of a node of the tree."""


@dataclass(frozen=True, eq=False)
class Block:
    """Consecutive rows of a pattern: one or several parts, or some rows of one part.

    Args:
        rows, entries: the rows and entries of the whole pattern that the block holds.
        pattern: the pattern of only these rows, counted from 0.
        first: the number of the first part.
        cuts: the rows at which the parts begin and end, counted from 0.
    """

    rows: slice
    entries: slice
    pattern: Pattern
    first: int
    cuts: tuple[int, ...]

    @property
    def num_parts(self) -> int:
        return len(self.cuts) - 1

    def column_sums(self, permuted: Tensor, dense: Tensor) -> Tensor:
        """``A.T @ dense`` of each part, [parts, C, D], for ``dense`` [rows, D] and values of A in
        the order of :meth:`permute`."""
        pointers, indices, _ = self._transposed
        columns = self.pattern.shape[1]
        found = multiply(self.pattern.backend, pointers, indices, permuted, len(dense), dense)
        return found.view(self.num_parts, columns, -1)

    def permute(self, values: Tensor, out: Tensor | None = None) -> Tensor:
        """``values`` [m] in the order of the transposed parts."""
        if self.num_parts == 1:
            return transpose_values(self.pattern, values, out=out)
        return torch.index_select(values, 0, self._transposed[2], out=out)

    def both_products(self, values: Tensor, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """``A @ right``, and ``A.T @ left`` of each part."""
        sums = self.column_sums(self.permute(values), left)
        return product(self.pattern, values, right), sums

    @property
    def parts(self) -> list[slice]:
        """The entries of each part, counted from 0."""
        ends = self.pattern.csr[0][list(self.cuts)].tolist()
        return [slice(low, high) for low, high in pairwise(ends)]

    def split(self, values: Tensor) -> Sequence[Tensor]:
        """``values`` [m], split into parts.

        Functions such as exp are applied to each part: they may round the last numbers of a vector
        differently from the same numbers in the middle of a longer vector.
        """
        parts: Sequence[Tensor] = values.split(self._sizes)
        return parts

    @cached_property
    def _sizes(self) -> list[int]:
        return [part.stop - part.start for part in self.parts]

    @property
    def _transposed(self) -> tuple[Tensor, Tensor, Tensor]:
        """``Pattern.transposed`` of each part, one transpose below the other."""
        if self.num_parts == 1:
            return self.pattern.transposed
        key = ("transposed", self.cuts)
        if key not in self.pattern.memo:
            row, columns = self.pattern.row, self.pattern.shape[1]
            cuts = torch.tensor(self.cuts[1:-1], device=row.device)
            place = torch.bucketize(row, cuts, right=True).mul_(columns).add_(self.pattern.col)
            order = torch.argsort(place, stable=True)
            found = compress(place[order], row[order], self.num_parts * columns)
            self.pattern.memo[key] = (*found, order)
        found_before: tuple[Tensor, Tensor, Tensor] = self.pattern.memo[key]
        return found_before


@dataclass(frozen=True, eq=False)
class Shares:
    """P parts of consecutive rows, and consecutive parts for each rank.

    Args:
        rows: the rows at which parts begin and end [P + 1]. P is a power of two; a part may be
            empty.
        entries: the entries of the pattern at which parts begin and end [P + 1].
        ranks: the processes that share the parts.
    """

    rows: tuple[int, ...]
    entries: tuple[int, ...]
    ranks: Ranks

    @classmethod
    def of(cls, pattern: Pattern) -> "Shares":
        """Parts with about the same number of entries; kept in ``pattern.memo``."""
        if "shares" not in pattern.memo:
            count, pointers = num_parts(pattern), pattern.csr[0].long()
            wanted = torch.arange(1, count, device=pointers.device) * pattern.num_entries // count
            cuts = torch.searchsorted(pointers, wanted).tolist()
            rows = (0, *cuts, pattern.shape[0])
            entries = tuple(pointers[list(rows)].tolist())
            pattern.memo["shares"] = cls(rows, entries, pattern.ranks)
        found: Shares = pattern.memo["shares"]
        return found

    @classmethod
    def of_rows(cls, pattern: Pattern) -> "Shares":
        """Parts with about the same number of rows, each row with an entry in every column."""
        rows = pattern.shape[0]
        few = max(1, rows // ENTRIES_OF_COLUMN)
        count = min(MOST_PARTS, 1 << (few.bit_length() - 1))
        cuts = tuple(rows * number // count for number in range(count + 1))
        return cls(cuts, tuple(pattern.csr[0][list(cuts)].tolist()), pattern.ranks)

    def parts_of(self, rank: int) -> range:
        """The numbers of the parts of ``rank``."""
        count, size = len(self.rows) - 1, self.ranks.size
        return range(count * rank // size, count * (rank + 1) // size)

    def rows_of(self, rank: int) -> slice:
        """The rows of ``rank``."""
        parts = self.parts_of(rank)
        return slice(self.rows[parts.start], self.rows[parts.stop])

    def entries_of(self, rank: int) -> slice:
        """The entries of ``rank``."""
        parts = self.parts_of(rank)
        return slice(self.entries[parts.start], self.entries[parts.stop])

    def nodes_of(self, rank: int) -> list[tuple[int, int]]:
        """Heights and numbers of the nodes to which ``rank`` folds its own parts."""
        return [node[:2] for node in fold((0, number, []) for number in self.parts_of(rank))]

    def blocks(self, pattern: Pattern, single: bool = False) -> list[Block]:
        """The rows of this rank, in blocks.

        All parts are one block if they have at most ``BLOCK`` entries and ``single`` is false.
        Otherwise each part has blocks of its own.
        """
        parts = self.parts_of(self.ranks.rank)
        ends = [self.rows[number] for number in (*parts, parts.stop)]
        if not parts:
            return []
        if not single and self.entries[parts.stop] - self.entries[parts.start] <= BLOCK:
            return [_block(pattern, parts.start, ends)]
        return [
            _block(pattern, number, cut)
            for number, start, stop in zip(parts, ends, ends[1:], strict=False)
            for cut in _cuts(pattern, start, stop)
        ]


def num_parts(pattern: Pattern) -> int:
    """The number of parts of a pattern, a power of two.

    On a CPU it depends only on the numbers of entries and columns. A GPU adds up in no fixed order;
    there, the number of parts is the number of ranks, rounded up.
    """
    if pattern.row.is_cuda:
        return _power_above(pattern.ranks.size)
    return parts_on_cpu(pattern.num_entries, pattern.shape[1])


def parts_on_cpu(entries: int, columns: int) -> int:
    """The number of parts of a pattern on a CPU, from its numbers of entries and columns."""
    few = max(1, entries // (ENTRIES_OF_COLUMN * max(1, columns)))
    return min(MOST_PARTS, max(_power_above(-(-entries // BLOCK)), 1 << (few.bit_length() - 1)))


def _power_above(count: int) -> int:
    """The smallest power of two that is at least ``count``."""
    return 1 << max(0, count - 1).bit_length()


def fold(nodes: Iterable[Node]) -> list[Node]:
    """The nodes that remain after neighbours in the tree are added up, in the order of ``nodes``.

    All leaves together leave one node, their sum. The tensors of ``nodes`` are overwritten.
    """
    found: list[Node] = []
    for height, number, values in nodes:
        while number % 2 and found and found[-1][:2] == (height, number - 1):
            before = found.pop()[2]
            values = [one.add_(other) for one, other in zip(before, values, strict=True)]
            height, number = height + 1, number // 2
        found.append((height, number, values))
    return found


def blocks(pattern: Pattern, single: bool = False) -> list[Block]:
    """:meth:`Shares.blocks` of the entries of ``pattern``; kept in ``pattern.memo``."""
    key = ("blocks", single)
    if key not in pattern.memo:
        pattern.memo[key] = Shares.of(pattern).blocks(pattern, single)
    found: list[Block] = pattern.memo[key]
    return found


def _cuts(pattern: Pattern, start: int, stop: int) -> list[list[int]]:
    """First and last row of each block of the rows from ``start`` to ``stop``."""
    pointers = pattern.csr[0]
    low, high = int(pointers[start]), int(pointers[stop])
    wanted = pointers.new_tensor(range(low + BLOCK, high, BLOCK))
    inner = torch.searchsorted(pointers, wanted).unique().tolist()
    cuts = [start, *(row for row in inner if start < row < stop), stop]
    return [list(cut) for cut in pairwise(cuts)]


def _block(pattern: Pattern, first: int, ends: Sequence[int]) -> Block:
    rows, pointers = slice(ends[0], ends[-1]), pattern.csr[0]
    entries = slice(int(pointers[rows.start]), int(pointers[rows.stop]))
    cuts = tuple(row - rows.start for row in ends)
    if rows == slice(0, pattern.shape[0]):
        return Block(rows, entries, pattern, first, cuts)
    shape = rows.stop - rows.start, pattern.shape[1]
    row = pattern.row[entries] - rows.start
    return Block(
        rows, entries, Pattern(row, pattern.col[entries], shape, pattern.backend), first, cuts
    )
