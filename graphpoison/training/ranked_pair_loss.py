r"""Bayesian personalised ranking of dot products, to second order.

With scores :math:`s_e = \langle A_u, B_i \rangle` of the M training pairs, triples t = (i, j) of
weights :math:`a_t` and :math:`d_t = s_j - s_i` (see :mod:`.bpr`), the loss :math:`\sum_t a_t
\log(1 + e^{d_t})` has the derivatives

.. math::
    g = \sum_t a_t \sigma(d_t) (e_j - e_i), \qquad
    h = \sum_t a_t \sigma'(d_t) \dot d_t (e_j - e_i)

w.r.t. the scores, the second in the direction :math:`\dot s`, and :math:`\sigma(d_t) \dot d_t` is
the cotangent of :math:`a_t`. The sparse matrices G and H of g and h take these to A and B as in
:mod:`~graphpoison.training.sparse_pair_loss`. Triples of weight 0 have a cotangent, and no part in
g and h.
"""

from torch import Tensor

from ..sparse import Pattern, sddmm
from ..sparse.products import both_products
from .bpr import Triples
from .field import Cotangents, Linearisation
from .pair_loss import PairLoss
from .prepared import Params


class RankedPairLoss(PairLoss):
    """The triples of a pattern, with their weights.

    Args:
        pattern: the training pairs.
        triples: T couples of them.
        weights: Tensor [T].
    """

    def __init__(self, pattern: Pattern, triples: Triples, weights: Tensor) -> None:
        self.pattern, self.triples = pattern, triples
        self.active = weights.nonzero().squeeze(1)
        self.active_weights = weights[self.active]
        self.active_triples = Triples(triples.first[self.active], triples.second[self.active])

    def linearise(self, *score_params: Tensor) -> "RankedPairPoint":
        return RankedPairPoint(self, *score_params)

    def loss(self, labels: Tensor, *score_params: Tensor) -> Tensor:
        """The loss with the triples' weights [T] as ``labels``, differentiable to any order."""
        return self.triples.loss(sddmm(self.pattern, *score_params), labels)

    def scattered(self, values: Tensor) -> Tensor:
        """``sum_t values_t (e_j - e_i)`` [M] over the active triples."""
        triples, total = self.active_triples, values.new_zeros(self.pattern.num_entries)
        total.index_add_(0, triples.second, values)
        return total.index_add_(0, triples.first, values, alpha=-1.0)


class RankedPairPoint(Linearisation):
    """The field at ``A = left`` [U, D], ``B = right`` [I, D]."""

    def __init__(self, loss: RankedPairLoss, left: Tensor, right: Tensor) -> None:
        self.loss, self.left, self.right = loss, left, right
        self.scores = sddmm(loss.pattern, left, right)

    @property
    def gradient(self) -> tuple[Tensor, Tensor]:
        """``(G B, G^T A)``."""
        loss = self.loss
        share = loss.active_triples.differences(self.scores).sigmoid_().mul_(loss.active_weights)
        return both_products(loss.pattern, loss.scattered(share), self.left, self.right)

    def vjp(self, cotangents: Params) -> tuple[Params, Cotangents]:
        """Cotangents of A and B, and of the triples' weights."""
        return self._derivatives(cotangents)[1:]

    def gradient_and_vjp(self, cotangents: Params) -> tuple[Params, Params, Cotangents]:
        gradient, back, on_weights = self._derivatives(cotangents)
        return both_products(self.loss.pattern, gradient, self.left, self.right), back, on_weights

    def _derivatives(self, cotangents: Params) -> tuple[Tensor, Params, Cotangents]:
        """g [M], and what :meth:`vjp` returns."""
        loss, pattern, (on_left, on_right) = self.loss, self.loss.pattern, cotangents
        change = sddmm(pattern, on_left, self.right) + sddmm(pattern, self.left, on_right)
        probability = loss.triples.differences(self.scores).sigmoid_()
        on_weights = loss.triples.differences(change).mul_(probability)
        active = probability[loss.active]
        gradient = loss.scattered(active * loss.active_weights)
        slope = on_weights[loss.active].mul_(loss.active_weights)
        curvature = loss.scattered(slope.addcmul_(slope, active, value=-1.0))
        first = both_products(pattern, gradient, on_left, on_right)
        second = both_products(pattern, curvature, self.left, self.right)
        back = tuple(a.add_(b) for a, b in zip(first, second, strict=True))
        return gradient, back, (on_weights,)
