"""A pattern cut into blocks of whole rows."""

from dataclasses import dataclass

import torch

from .pattern import Pattern


@dataclass(frozen=True, eq=False)
class RowBlock:
    """Some rows of a pattern.

    Args:
        rows, entries: which rows and entries of the whole they are.
        pattern: those rows alone, counted from 0.
    """

    rows: slice
    entries: slice
    pattern: Pattern


def row_blocks(pattern: Pattern, size: int) -> list[RowBlock]:
    """Blocks of about ``size`` entries each; the pattern remembers them."""
    if size not in pattern.memo:
        pattern.memo[size] = [_block(pattern, *cut) for cut in _cuts(pattern, size)]
    blocks: list[RowBlock] = pattern.memo[size]
    return blocks


def _block(pattern: Pattern, start: int, stop: int, low: int, high: int) -> RowBlock:
    rows, entries = slice(start, stop), slice(low, high)
    if rows == slice(0, pattern.shape[0]):
        return RowBlock(rows, entries, pattern)
    part = Pattern(
        pattern.row[entries] - start,
        pattern.col[entries],
        (stop - start, pattern.shape[1]),
        pattern.backend,
    )
    return RowBlock(rows, entries, part)


def _cuts(pattern: Pattern, size: int) -> list[tuple[int, int, int, int]]:
    """First and last row, first and last entry of each block."""
    if pattern.num_entries <= size:
        return [(0, pattern.shape[0], 0, pattern.num_entries)]
    pointers = pattern.csr[0].long()
    targets = torch.arange(0, pattern.num_entries, size, device=pointers.device)
    rows = torch.searchsorted(pointers, targets).unique()
    starts = [0, *(row for row in rows.tolist() if 0 < row < pattern.shape[0])]
    stops = [*starts[1:], pattern.shape[0]]
    entries = pointers.tolist()
    cuts = [(a, b, entries[a], entries[b]) for a, b in zip(starts, stops, strict=True)]
    return [cut for cut in cuts if cut[2] < cut[3]]
