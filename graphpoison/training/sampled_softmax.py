r"""Softmax over sampled items, with edge weights instead of observations.

.. math::
    L = \frac{1}{\sum_e w_e} \sum_e w_e \log \Bigl( 1 + \sum_{f \in S(e)} (1 - w_f) e^{s_f - s_e}
        \Bigr)

over the training pairs e = (u, i), where S(e) holds K other training pairs of the same user. For
weights 0 and 1 this is the softmax cross-entropy of each interaction against the negatives in S(e).
All pairs of a user are drawn with equal probability, so no correction for their frequency is needed
(Bengio and Senécal 2008; Wu et al. 2024, "On the Effectiveness of Sampled Softmax Loss for Item
Recommendation"). S is drawn once and does not depend on the weights: an added pair becomes a
positive and ceases to be a negative of other pairs; a removal has the opposite effect. As in
:mod:`.bpr`, a model's output bias is not trained.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from ..sparse import Pattern
from .bpr import consecutive, draw_others, refuse_nothing_to_rank, scattered

OTHERS = 8
"""K, the number of other pairs of the same user that each training pair is compared with."""


@dataclass(frozen=True, eq=False)
class Slates:
    """Training pairs, each with K other pairs of the same user.

    Args:
        own: LongTensor [G], positions of the pairs among the training pairs.
        others: LongTensor [G, K], positions of the other pairs; a position may occur repeatedly.
    """

    own: Tensor
    others: Tensor

    @classmethod
    def of(cls, pattern: Pattern, seed: int) -> "Slates":
        """Draws ``OTHERS`` other pairs of the same user for each pair, with replacement.

        Pairs of users with a single pair have no slate. The result is kept in ``pattern.memo``.
        """
        key = ("softmax", seed)
        if key not in pattern.memo:
            first, second = draw_others(pattern, seed, OTHERS)
            pattern.memo[key] = cls(first[::OTHERS], second.view(-1, OTHERS))
        found: Slates = pattern.memo[key]
        return found

    def weights(self, labels: Tensor) -> Tensor:
        """The normalised weights ``a`` of the pairs, then ``c = 1 - w`` of the others; [G + G K].

        Raises:
            ValueError: no user has both an interaction and a negative.
        """
        active, others = labels[self.own], 1.0 - labels[self.others]
        refuse_nothing_to_rank("softmax", (active.unsqueeze(1) * others).sum())
        return torch.cat([active / active.sum(), others.flatten()])

    def within(self, entries: slice) -> "Slates":
        """The slates of the training pairs ``entries``, with positions counted from
        ``entries.start``; ``entries`` must hold all pairs of their users."""
        part = consecutive(self.own, entries)
        return Slates(self.own[part] - entries.start, self.others[part] - entries.start)

    def targets(self, entries: slice) -> tuple[slice, slice]:
        """The slices of :meth:`weights` that belong to the training pairs ``entries``: the slice of
        ``a`` and the slice of ``c``."""
        (count, width), part = self.others.shape, consecutive(self.own, entries)
        return part, slice(count + part.start * width, count + part.stop * width)

    def split(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """``a`` [G] and ``c`` [G, K] of :meth:`weights`."""
        count = self.own.numel()
        return weights[:count], weights[count:].view(count, -1)

    def loss(self, scores: Tensor, weights: Tensor) -> Tensor:
        """The loss of ``scores`` [M], a scalar, with the ``weights`` of :meth:`weights`."""
        share, others = self.split(weights)
        odds, rest, most = self.odds(scores, others)
        return share @ (most + (rest + (others * odds).sum(dim=1)).log())

    def odds(self, scores: Tensor, others: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``e^(s_f - s_e - m)`` [G, K], ``e^-m`` [G] and m [G].

        m is the largest gap among the pairs whose weight in ``others`` [G, K] is above 0, and at
        least 0; their odds are therefore at most 1. The odds of the other pairs, which are only
        multiplied by a weight of 0, are clamped to stay finite.
        """
        gaps = self.gaps(scores)
        most = gaps.detach().masked_fill(others <= 0.0, 0.0).amax(dim=1).clamp_(min=0.0)
        bound = 0.4 * log(torch.finfo(scores.dtype).max)
        odds = (gaps - most.unsqueeze(1)).clamp(max=bound).exp()
        return odds, (-most).exp(), most

    def gaps(self, scores: Tensor) -> Tensor:
        """``s_f - s_e`` [G, K]."""
        others = scores.index_select(0, self.others.flatten()).view(self.others.shape)
        return others - scores.index_select(0, self.own).unsqueeze(1)

    def taken(self, place: Tensor) -> "Slates":
        """The slates with the numbers ``place``."""
        return Slates(self.own[place], self.others[place])

    def active(self, weights: Tensor, parts: Sequence[slice] = ()) -> "ActiveSlates":
        """First and second derivatives of the loss with these ``weights`` [G + G K]; one part."""
        assert len(parts) < 2
        return ActiveSlates(self, weights)


class ActiveSlates:
    r"""First and second derivatives of the loss.

    Let :math:`q_f = e^{s_f - s_e} / (1 + \sum_f c_f e^{s_f - s_e})` and :math:`p = c q`. For a
    direction :math:`\dot s`, let :math:`\dot d_f = \dot s_f - \dot s_e` be the change of the gap
    :math:`s_f - s_e`, and :math:`\mu = \sum_f p_f \dot d_f` its mean. The cotangent of the gap is
    :math:`a p_f`, and its derivative is :math:`a p_f (\dot d_f - \mu)`. The cotangent of a is
    :math:`\mu`, and the cotangent of :math:`c_f` is :math:`a q_f (\dot d_f - \mu)`.

    About half of the pairs have weight 0; for these, only the cotangent of their own weight is
    computed.

    Args:
        slates: G pairs with K others each.
        weights: Tensor [G + G K].
    """

    def __init__(self, slates: Slates, weights: Tensor) -> None:
        share, others = slates.split(weights)
        self.shape, self.active = others.shape, share.nonzero().squeeze(1)
        self.idle = (share == 0).nonzero().squeeze(1)
        self.share = share[self.active].unsqueeze(1)
        self.few, self.competing = slates.taken(self.active), others[self.active]
        self.rest, self.competing_idle = slates.taken(self.idle), others[self.idle]

    def gradient(self, scores: Tensor) -> Tensor:
        """The gradient [M] w.r.t. ``scores``."""
        odds = _odds(self.few, self.competing, scores)
        return self._scattered(odds.mul_(self.competing).mul_(self.share), scores)

    def derivatives(self, scores: Tensor, change: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The gradient [M], its derivative [M] along ``change`` [M], and the cotangents of the
        weights."""
        on_share, on_others = scores.new_empty(self.shape[0]), scores.new_zeros(self.shape)
        chance = _odds(self.rest, self.competing_idle, scores).mul_(self.competing_idle)
        on_share[self.idle] = chance.mul_(self.rest.gaps(change)).sum(dim=1)
        odds, moved = _odds(self.few, self.competing, scores), self.few.gaps(change)
        chance = odds * self.competing
        mean = (chance * moved).sum(dim=1)
        odds.mul_(moved.sub_(mean.unsqueeze(1))).mul_(self.share)
        on_share[self.active], on_others[self.active] = mean, odds
        gradient = self._scattered(chance.mul_(self.share), scores)
        curvature = self._scattered(odds.mul_(self.competing), scores)
        return gradient, curvature, torch.cat([on_share, on_others.flatten()])

    def _scattered(self, values: Tensor, like: Tensor) -> Tensor:
        """``sum values_ef (e_f - e_e)`` [M] of ``values`` [active, K]."""
        others, own = self.few.others.flatten(), self.few.own
        return scattered(others, values.flatten(), own, values.sum(dim=1), like)


def _odds(slates: Slates, competing: Tensor, scores: Tensor) -> Tensor:
    """q [G, K]."""
    odds, rest, _ = slates.odds(scores, competing)
    total = (odds * competing).sum(dim=1).add_(rest)
    return odds.div_(total.unsqueeze(1))
