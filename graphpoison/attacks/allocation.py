"""The best entries of a matrix of scores under budgets for each row and each column."""

import torch
from torch import Tensor

ROUNDS = 4
"""Factor by which the number of examined entries grows until enough of them fit the budgets."""


def best_entries(scores: Tensor, rows: Tensor, cols: Tensor, count: int) -> Tensor:
    """The best ``count`` entries of ``scores`` [R, C], greedily: in order of score, an entry is
    taken unless the budget of its row or column is spent.

    Args:
        scores: Tensor [R, C]; -inf is never taken.
        rows: Tensor [R], the number of entries that each row may have; inf for any number.
        cols: Tensor [C], the same for columns.
        count: the largest number of entries.

    Returns:
        LongTensor [K] of codes ``row * C + col``, best first, K <= count.
    """
    flat, width = scores.flatten(), scores.size(1)
    looked = min(2 * count + 1000, flat.numel())
    while True:
        top = flat.topk(looked)
        codes = top.indices[top.values > -torch.inf]
        taken = within(codes // width, rows)
        if bool((cols < torch.inf).any()):
            taken = _in_turn(codes, width, rows, cols)
        found = codes[taken][:count]
        if found.numel() == count or looked == flat.numel() or codes.numel() < looked:
            return found
        looked = min(ROUNDS * looked, flat.numel())


def within(group: Tensor, budget: Tensor) -> Tensor:
    """BoolTensor [K]: True for the first ``budget[g]`` entries of each group g.

    ``group`` [K] is the group of each entry.
    """
    order = torch.argsort(group, stable=True)
    sorted_group = group[order]
    place = torch.arange(group.numel(), device=group.device)
    place = place - torch.searchsorted(sorted_group, sorted_group)
    rank = torch.empty_like(place)
    rank[order] = place
    return rank < budget[group]


def _in_turn(codes: Tensor, width: int, rows: Tensor, cols: Tensor) -> Tensor:
    """BoolTensor [K]: the entries taken in turn within the budgets of rows and of columns."""
    left_rows, left_cols = rows.tolist(), cols.tolist()
    taken = []
    for code in codes.tolist():
        row, col = divmod(code, width)
        free = left_rows[row] >= 1 and left_cols[col] >= 1
        taken.append(free)
        if free:
            left_rows[row] -= 1
            left_cols[col] -= 1
    return torch.tensor(taken, dtype=torch.bool, device=codes.device)
