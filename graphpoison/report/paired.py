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
    1945), exact for up to 50 pairs without zeros and ties; its interval holds the shifts that the
    test does not reject, and exists from 6 pairs on.
    """
    return _student(differences) if test == "t" else _signed_rank(differences)


def _student(differences: np.ndarray) -> Paired:
    from scipy import stats

    mean = float(differences.mean())
    if len(differences) < 2:
        return Paired(mean, math.nan, math.nan, math.nan)
    if np.ptp(differences) == 0:  # t is infinite, or 0 by 0
        return Paired(mean, mean, mean, 1.0 if mean == 0 else 0.0)
    half = confidence_halfwidth(differences, LEVEL)
    return Paired(mean, mean - half, mean + half, float(stats.ttest_1samp(differences, 0.0).pvalue))


def _signed_rank(differences: np.ndarray) -> Paired:
    rows, columns = np.triu_indices(len(differences))
    means = np.sort((differences[rows] + differences[columns]) / 2)
    middle = float(np.median(means))
    if len(differences) < 2:
        return Paired(middle, math.nan, math.nan, math.nan)
    ends = np.unique(means)
    # between two neighbouring means no rank changes, so that one shift stands for all there
    shifts = np.concatenate([[ends[0] - 1.0], (ends[:-1] + ends[1:]) / 2, [ends[-1] + 1.0]])
    kept = _rank_p(differences[:, None] - shifts) > 1 - LEVEL
    p = float(_rank_p(differences[:, None])[0])
    if kept[0] or kept[-1] or not kept.any():
        return Paired(middle, math.nan, math.nan, p)
    inside = kept.nonzero()[0]
    return Paired(middle, float(ends[inside[0] - 1]), float(ends[inside[-1]]), p)


def _rank_p(shifted: np.ndarray) -> np.ndarray:
    """p of the signed-rank test of each column of ``shifted`` [n, m]; 1 where all are 0."""
    from scipy import stats

    p = np.ones(shifted.shape[1])
    some = (shifted != 0).any(axis=0)
    if some.any():
        p[some] = np.asarray(stats.wilcoxon(shifted[:, some], axis=0).pvalue)
    return p


def holm(p: np.ndarray) -> np.ndarray:
    r"""``p`` [m] corrected for m tests (Holm 1979): the i-th smallest becomes
    :math:`\max_{j \le i} \min(1, (m - j + 1) \, p_{(j)})`; NaN are no tests."""
    found = np.full(p.shape, math.nan)
    tested = (~np.isnan(p)).nonzero()[0]
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    found[order] = np.maximum.accumulate(np.minimum(1.0, factors * p[order]))
    return found
