"""Paired tests of two attacks: the difference, its 95% interval and p; Holm's correction."""

import math
from typing import Literal, NamedTuple

import numpy as np

from ..metrics import confidence_halfwidth

Test = Literal["t", "wilcoxon"]
TESTS = ("t", "wilcoxon")
LEVEL = 0.95


class Paired(NamedTuple):
    """The result of a paired test.

    Args:
        difference: the mean of the paired differences; by Wilcoxon the median of their pairwise
            means (Hodges and Lehmann 1963).
        low, high: its 95% interval; NaN where the pairs are too few for one.
        p: two-sided; NaN for one pair.
    """

    difference: float
    low: float
    high: float
    p: float


def paired(differences: np.ndarray, test: Test) -> Paired:
    """The test of ``differences`` [n] of n pairs against 0.

    ``"t"`` is Student's t test of paired samples. ``"wilcoxon"`` is the signed-rank test (Wilcoxon
    1945) as :func:`scipy.stats.wilcoxon` has it; its interval (Hollander and Wolfe 1999, section
    3.3) holds the shifts that the test does not reject, and exists from 6 pairs on.
    """
    return _student(differences) if test == "t" else _signed_rank(differences)


def _student(differences: np.ndarray) -> Paired:
    from scipy import stats

    mean = float(differences.mean())
    if len(differences) < 2:
        return Paired(mean, math.nan, math.nan, math.nan)
    if np.allclose(differences, mean, rtol=1e-9, atol=1e-12):  # t is infinite, or 0 by 0
        return Paired(mean, mean, mean, 1.0 if abs(mean) < 1e-12 else 0.0)
    half = confidence_halfwidth(differences, LEVEL)
    return Paired(mean, mean - half, mean + half, float(stats.ttest_1samp(differences, 0.0).pvalue))


def _signed_rank(differences: np.ndarray) -> Paired:
    from scipy import stats

    rows, columns = np.triu_indices(len(differences))
    means = np.sort((differences[rows] + differences[columns]) / 2)
    middle = float(np.median(means))
    if len(differences) < 2:
        return Paired(middle, math.nan, math.nan, math.nan)
    p = float(stats.wilcoxon(differences).pvalue) if differences.any() else 1.0
    cut = _ranks_cut(len(differences))
    if not cut:
        return Paired(middle, math.nan, math.nan, p)
    return Paired(middle, float(means[cut - 1]), float(means[-cut]), p)


def _ranks_cut(pairs: int) -> int:
    """How many values of the signed-rank statistic lie in the lower tail of 2.5%, so that the
    interval goes from that one of the sorted pairwise means to its mirror image."""
    chance = np.ones(1)  # of each sum of the ranks with a plus
    for rank in range(1, pairs + 1):
        apart = np.zeros(rank)
        chance = 0.5 * (np.append(chance, apart) + np.append(apart, chance))
    return int((chance.cumsum() <= (1 - LEVEL) / 2).sum())


def holm(p: np.ndarray) -> np.ndarray:
    r"""``p`` [m] corrected for m tests (Holm 1979): the i-th smallest becomes
    :math:`\max_{j \le i} \min(1, (m - j + 1) \, p_{(j)})`; NaN are no tests."""
    found = np.full(p.shape, math.nan)
    tested = (~np.isnan(p)).nonzero()[0]
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    found[order] = np.maximum.accumulate(np.minimum(1.0, factors * p[order]))
    return found
