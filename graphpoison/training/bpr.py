r"""Bayesian personalised ranking (Rendle et al. 2009), with weights instead of observations.

.. math::
    L = \frac{\sum_{(u, i, j) \in S} w_{ui} (1 - w_{uj}) \log(1 + e^{s_{uj} - s_{ui}})}
             {\sum_{(u, i, j) \in S} w_{ui} (1 - w_{uj})}

For weights 0 and 1 this is the paper's criterion, :math:`-\log \sigma(s_{ui} - s_{uj})`, averaged
over the triples of S in which u interacted with i and not with j. S is drawn once and does not
depend on the weights. An addition of (u, i) therefore activates the triples (u, i, j), and
deactivates the triples (u, j, i); a removal has the opposite effect. The loss does not depend on a
model's output bias, so the bias is not trained.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from .._random import generator
from ..sparse import Pattern

PARTNERS = 4
"""Number of other pairs of the same user that each training pair is compared with."""


@dataclass(frozen=True, eq=False)
class Triples:
    """Triples (u, i, j): two training pairs (u, i) and (u, j) of the same user.

    Args:
        first, second: LongTensors [T], positions of (u, i) and (u, j) among the training pairs.
        repeats: each entry of ``first`` occurs this number of times in a row.
    """

    first: Tensor
    second: Tensor
    repeats: int = 1

    @classmethod
    def of(cls, pattern: Pattern, seed: int) -> "Triples":
        """Draws ``PARTNERS`` other pairs of the same user for each pair, with replacement.

        Pairs of users with a single pair have no triples. The result is kept in ``pattern.memo``.
        """
        key = ("bpr", seed)
        if key not in pattern.memo:
            pattern.memo[key] = cls(*draw_others(pattern, seed, PARTNERS), repeats=PARTNERS)
        found: Triples = pattern.memo[key]
        return found

    def weights(self, labels: Tensor) -> Tensor:
        """The normalised weight [T] of each triple, from the edge weights ``labels`` [M].

        Raises:
            ValueError: no user has both an interaction and a negative.
        """
        active = labels[self.first] * (1.0 - labels[self.second])
        total = active.sum()
        refuse_nothing_to_rank("bpr", total)
        return active / total

    def within(self, entries: slice) -> "Triples":
        """The triples of the training pairs ``entries``, with positions counted from
        ``entries.start``; ``entries`` must hold all pairs of their users."""
        (part,), start = self.targets(entries), entries.start
        return Triples(self.first[part] - start, self.second[part] - start, self.repeats)

    def targets(self, entries: slice) -> tuple[slice]:
        """The slice of :meth:`weights` that belongs to the training pairs ``entries``."""
        return (consecutive(self.first, entries),)

    def differences(self, scores: Tensor) -> Tensor:
        """``s_j - s_i`` [T] for ``scores`` [M], as a new tensor."""
        found = scores.index_select(0, self.second)
        if self.repeats == 1:
            return found.sub_(scores.index_select(0, self.first))
        own = scores.index_select(0, self.first[:: self.repeats])
        found.view(-1, self.repeats).sub_(own.unsqueeze(1))
        return found

    def loss(self, scores: Tensor, weights: Tensor) -> Tensor:
        """The loss of ``scores`` [M], a scalar, with the ``weights`` [T] of :meth:`weights`."""
        return weights @ softplus(scores[self.second] - scores[self.first], threshold=40.0)

    def active(self, weights: Tensor, parts: Sequence[slice] = ()) -> "ActiveTriples":
        """First and second derivatives of the loss with these ``weights`` [T]; ``parts`` are
        consecutive training pairs on which functions such as the sigmoid are computed separately,
        see :meth:`graphpoison.sparse.shares.Block.split`."""
        return ActiveTriples(self, weights, parts)


class ActiveTriples:
    r"""Derivatives of the loss :math:`\sum_t a_t \log(1 + e^{d_t})`, with :math:`d_t = s_j - s_i`.

    .. math::
        g = \sum_t a_t \sigma(d_t) (e_j - e_i), \qquad
        h = \sum_t a_t \sigma'(d_t) \dot d_t (e_j - e_i)

    are the gradient w.r.t. the scores and its derivative in a direction :math:`\dot s`. The
    cotangent of :math:`a_t` is :math:`\sigma(d_t) \dot d_t`. A triple of weight 0 contributes
    nothing to g and h, but its weight has a cotangent.

    Args:
        triples: T triples.
        weights: Tensor [T], the weights a.
        parts: see :meth:`Triples.active`; one part by default.
    """

    def __init__(self, triples: Triples, weights: Tensor, parts: Sequence[slice] = ()) -> None:
        self.triples, self.place = triples, weights.nonzero().squeeze(1)
        self.weights = weights[self.place]
        self.few = Triples(triples.first[self.place], triples.second[self.place])
        self.parts, self.parts_of_few = (
            [each.targets(part)[0] for part in parts] or [slice(None)]
            for each in (triples, self.few)
        )

    def gradient(self, scores: Tensor) -> Tensor:
        """g [M]."""
        share = _sigmoid(self.few.differences(scores), self.parts_of_few).mul_(self.weights)
        return self._scattered(share, scores)

    def derivatives(self, scores: Tensor, change: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """g [M], h [M] in the direction ``change`` [M], and the cotangents [T] of the weights."""
        probability = _sigmoid(self.triples.differences(scores), self.parts)
        on_weights = self.triples.differences(change).mul_(probability)
        active = probability[self.place]
        gradient = self._scattered(active * self.weights, scores)
        slope = on_weights[self.place].mul_(self.weights)
        for part in self.parts_of_few:
            slope[part].addcmul_(slope[part], active[part], value=-1.0)
        curvature = self._scattered(slope, scores)
        return gradient, curvature, on_weights

    def _scattered(self, values: Tensor, like: Tensor) -> Tensor:
        """``sum_t values_t (e_j - e_i)`` [M]."""
        return scattered(self.few.second, values, self.few.first, values, like)


def _sigmoid(values: Tensor, parts: Sequence[slice]) -> Tensor:
    """In place, part by part."""
    for part in parts:
        values[part].sigmoid_()
    return values


def refuse_nothing_to_rank(loss: str, weight: Tensor) -> None:
    """Raise a ValueError if ``weight``, the total weight of all comparisons, is 0."""
    if not float(weight.detach()) > 0.0:
        raise ValueError(
            f"loss={loss!r} needs users with both interactions and negatives among the training "
            "pairs, but found none; give negatives for each user, or use loss='log'."
        )


def scattered(others: Tensor, gains: Tensor, own: Tensor, losses: Tensor, like: Tensor) -> Tensor:
    """Sums [M] of ``gains`` at positions ``others``, minus sums of ``losses`` at ``own``."""
    total = torch.zeros_like(like).index_add_(0, others, gains)
    return total.index_add_(0, own, losses, alpha=-1.0)


def consecutive(increasing: Tensor, numbers: slice) -> slice:
    """The slice of ``increasing`` whose values lie in the range ``numbers``."""
    ends = torch.tensor([numbers.start, numbers.stop], device=increasing.device)
    return slice(*torch.searchsorted(increasing.contiguous(), ends).tolist())


def draw_others(pattern: Pattern, seed: int, count: int) -> tuple[Tensor, Tensor]:
    """Draws ``count`` other pairs of the same user for each pair, with replacement.

    Returns two LongTensors [T] of positions among the entries of ``pattern``: each pair, repeated
    ``count`` times in a row, and the pairs drawn for it. Pairs of users with a single pair are
    left out.
    """
    pointers = pattern.csr[0].long().cpu()
    start, size = pointers[:-1], pointers.diff()
    rows = pattern.row.cpu()
    first = (size[rows] > 1).nonzero().squeeze(1).repeat_interleave(count)
    user = rows[first]
    uniform = torch.rand(first.numel(), generator=generator(seed), dtype=torch.float64)
    shift = 1 + (uniform * (size[user] - 1)).long()
    second = start[user] + (first - start[user] + shift) % size[user]
    return first.to(pattern.row.device), second.to(pattern.row.device)
