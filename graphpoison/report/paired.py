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
        difference: the mean of the paired differences; with ``"wilcoxon"`` the median of the
            pairwise means of these differences (Hodges and Lehmann 1963).
        low, high: 95% interval of the difference; NaN if there are too few pairs.
        p: two-sided p value; NaN for one pair.
    """

    difference: float
    low: float
    high: float
    p: float


def paired(differences: np.ndarray, test: Test) -> Paired:
    """Test the ``differences`` [n] of n pairs against 0.

    ``"t"`` is Student's t test of paired samples. ``"wilcoxon"`` is the signed-rank test (Wilcoxon
    1945) of :func:`scipy.stats.wilcoxon`. Its interval (Hollander and Wolfe 1999, section 3.3)
    contains the shifts that the test does not reject; it needs at least 6 pairs.
    """
    return _student(differences) if test == "t" else _signed_rank(differences)


def _student(differences: np.ndarray) -> Paired:
    from scipy import stats

    mean = float(differences.mean())
    if len(differences) < 2:
        return Paired(mean, math.nan, math.nan, math.nan)
    if np.allclose(differences, mean, rtol=1e-9, atol=1e-12):  # t would be infinite or 0 / 0
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
    """The number c of values of the signed-rank statistic in the lower tail of 2.5%. The interval
    goes from the c-th smallest to the c-th largest pairwise mean."""
    chance = np.ones(1)  # probability of each sum of positive ranks
    for rank in range(1, pairs + 1):
        apart = np.zeros(rank)
        chance = 0.5 * (np.append(chance, apart) + np.append(apart, chance))
    return int((chance.cumsum() <= (1 - LEVEL) / 2).sum())


def holm(p: np.ndarray) -> np.ndarray:
    r"""``p`` [m] corrected for m tests (Holm 1979): the i-th smallest becomes
    :math:`\max_{j \le i} \min(1, (m - j + 1) \, p_{(j)})`. NaN values are not counted as tests."""
    found = np.full(p.shape, math.nan)
    tested = (~np.isnan(p)).nonzero()[0]
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    found[order] = np.maximum.accumulate(np.minimum(1.0, factors * p[order]))
    return found
