r"""The likelihood-ratio test of degree sequences.

D. Zügner, A. Akbarnejad and S. Günnemann, "Adversarial attacks on neural networks for graph data",
KDD 2018, section 4.1; a constraint of Metattack too (Zügner and Günnemann 2019). Degrees of at
least :math:`d_{min}` are modelled as draws from a power law. A sample D of n of these degrees, with
S the sum of their logarithms, has the fitted exponent :math:`\alpha` and the log-likelihood l(D):

.. math::
    \alpha = 1 + \frac{n}{S - n \log(d_{min} - 1/2)}, \qquad
    l(D) = n \log \alpha + n \alpha \log d_{min} - (\alpha + 1) S

(equations 6 and 7). The statistic of the clean degrees :math:`D_0` and the poisoned degrees
:math:`D_1` is

.. math:: \Lambda = -2 \, l(D_0 \cup D_1) + 2 \, (l(D_0) + l(D_1))

A flip changes only the degrees of its two ends, each by one. A table of the graph's distinct
degrees therefore has the statistic of every flip. (The code published with the paper, and later
code after it, has :math:`+ (\alpha + 1) S`; this module follows the equation.)
"""

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from .._checks import in_range, positive_int
from ..graphs import PairState
from .base import Constraint, Predicate
from .nodes import both_ends

ROUNDING = 1e-6
"""Relative tolerance for rounding, by which the final check may exceed the cutoff."""


@dataclass(frozen=True)
class DegreeDistribution(Constraint):
    r"""The degrees pass a likelihood-ratio test against the clean degrees (Zügner et al. 2018).

    The statistic :math:`\Lambda` compares one power law for clean and poisoned degrees with two
    separate power laws; it is 0 for equal degrees. A flip is admissible if the statistic after the
    flip is below ``cutoff``. The default 0.004 is strict: if both samples came from one power law,
    the statistic would exceed 0.004 with a probability of about 0.95 (chi-squared distribution,
    one degree of freedom). The poisoned degrees must be closer to the clean degrees than most new
    samples would be. In a bipartite graph the degrees of users and of items are tested separately,
    and both tests must pass. A side on which no degree reaches ``d_min`` has the statistic 0.

    Args:
        d_min: the smallest degree that the test includes.
        cutoff: upper bound of the statistic, above 0.

    Raises:
        TypeError, ValueError: an argument is out of range.
    """

    d_min: int = 2
    cutoff: float = 0.004

    def __post_init__(self) -> None:
        positive_int("d_min", self.d_min)
        in_range("cutoff", self.cutoff, 0.0, float("inf"), open_low=True)

    def additions(self, state: PairState) -> Predicate | None:
        return self._allowed(state, 1)

    def removals(self, state: PairState) -> Predicate | None:
        return self._allowed(state, -1)

    def violation(self, clean: PairState, poisoned: PairState) -> str | None:
        sides = list(zip(clean.degrees, poisoned.degrees, strict=True))
        worst = max(
            float(statistic(self._sample(before), self._sample(after), self.d_min))
            for before, after in sides[: 2 if clean.bipartite else 1]
        )
        if worst < self.cutoff * (1 + ROUNDING):
            return None
        return f"the degrees' likelihood ratio {worst:.3g} is not below {self.cutoff:.3g}"

    def _allowed(self, state: PairState, change: int) -> Predicate:
        """Which pairs may be flipped if a flip changes the degrees of both ends by ``change``."""
        if state.bipartite:
            source, target = (
                self._below(before, after, change, ends=1)
                for before, after in zip(state.clean_degrees, state.degrees, strict=True)
            )
            return both_ends(source[0][source[1]], target[0][target[1]])
        before, after = state.clean_degrees[0], state.degrees[0]
        verdict, place = self._below(before, after, change, ends=2)

        def allowed(source: Tensor, target: Tensor) -> Tensor:
            return verdict[place[source], place[target]]

        return allowed

    def _below(
        self, clean: Tensor, degrees: Tensor, change: int, ends: int
    ) -> tuple[Tensor, Tensor]:
        """Whether the statistic is below the cutoff after the degrees of one or two nodes change.

        Returns:
            BoolTensor [K] (``ends`` 1) or [K, K] (``ends`` 2) over the K distinct degrees, and a
            LongTensor [N], the index of each node's degree among them.
        """
        distinct, place = degrees.unique(return_inverse=True)
        step = self._terms(distinct + change) - self._terms(distinct)
        after = self._sample(degrees).unsqueeze(1) + step
        if ends == 2:
            after = after.unsqueeze(2) + step.unsqueeze(1)
        return statistic(self._sample(clean), after, self.d_min) < self.cutoff, place

    def _sample(self, degrees: Tensor) -> Tensor:
        return self._terms(degrees).sum(dim=1)

    def _terms(self, degrees: Tensor) -> Tensor:
        """The terms of n and of S that belong to each degree: [2, N]."""
        counted = (degrees >= self.d_min).double()
        return torch.stack([counted, counted * degrees.clamp(min=1).double().log()])


def statistic(clean: Tensor, poisoned: Tensor, d_min: int) -> Tensor:
    """Lambda [...] of samples given as (n, S), ``clean`` [2] and ``poisoned`` [2, ...]."""
    clean = clean.view(2, *[1] * (poisoned.dim() - 1))
    apart = log_likelihood(clean, d_min) + log_likelihood(poisoned, d_min)
    return 2 * (apart - log_likelihood(clean + poisoned, d_min))


def log_likelihood(sample: Tensor, d_min: int) -> Tensor:
    """``l`` [...] of a sample (n, S) [2, ...], 0 for n = 0."""
    count, logs = sample
    some = count > 0
    excess = torch.where(some, logs - count * log(d_min - 0.5), 1.0)
    alpha = 1 + count / excess
    value = count * alpha.log() + count * alpha * log(d_min) - (alpha + 1) * logs
    return torch.where(some, value, 0.0)
