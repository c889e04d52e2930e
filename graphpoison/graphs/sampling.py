"""Pairs drawn uniformly without replacement among the pairs that are not occupied."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Codes = npt.NDArray[np.int64]


def sample_pairs(
    shape: tuple[int, int],
    count: int,
    occupied: Tensor,
    rng: np.random.Generator,
    *,
    upper: bool = False,
) -> Tensor:
    """``count`` distinct pairs [2, count], sorted, uniform among the pairs not in ``occupied``.

    ``occupied`` is [2, *]. Memory grows with ``count`` and ``occupied``, not with rows x columns.
    With ``upper``, only pairs with source < target are drawn (undirected graphs).

    Raises:
        ValueError: fewer than ``count`` pairs are free.
    """
    rows, cols = shape
    source, target = occupied.cpu().numpy()
    row = np.arange(rows)
    starts = row * (rows - 1) - row * (row - 1) // 2 if upper else row * cols
    total = rows * (rows - 1) // 2 if upper else rows * cols
    offset = target - source - 1 if upper else target
    taken = np.unique(starts[source] + offset)
    if count > total - taken.size:
        raise ValueError(
            f"{count} pairs were to be drawn, but only {total - taken.size} of the {total} pairs "
            f"of {rows} x {cols} nodes are free."
        )
    drawn = sample_unoccupied(taken, total, count, rng)
    chosen = np.searchsorted(starts, drawn, side="right") - 1
    offset = drawn - starts[chosen]
    pairs = np.stack([chosen, offset + chosen + 1 if upper else offset])
    return torch.from_numpy(pairs).to(occupied.device)


def sample_unoccupied(occupied: Codes, total: int, count: int, rng: np.random.Generator) -> Codes:
    """``count`` sorted numbers below ``total``, uniform among the numbers not in ``occupied``.

    ``occupied`` is sorted. Ranks in the list of free numbers are drawn; the list is not built.
    """
    ranks = np.sort(distinct_integers(total - occupied.size, count, rng))
    free_before = occupied - np.arange(occupied.size)  # in front of each occupied number
    numbers: Codes = ranks + np.searchsorted(free_before, ranks, side="right")
    return numbers


def distinct_integers(population: int, count: int, rng: np.random.Generator) -> Codes:
    """``count`` distinct integers below ``population``, uniform, by rejecting repetitions."""
    if 2 * count > population:  # rejection would repeat too often; the population is small
        return rng.permutation(population)[:count]
    chosen = np.empty(0, dtype=np.int64)
    while chosen.size < count:
        drawn = np.concatenate([chosen, rng.integers(population, size=2 * (count - chosen.size))])
        _, first = np.unique(drawn, return_index=True)
        chosen = drawn[np.sort(first)][:count]  # in the order drawn, so that the cut is uniform
    return chosen
