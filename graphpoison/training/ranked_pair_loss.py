r"""A ranking loss of dot products, to second order.

With scores :math:`s_e = \langle A_u, B_i \rangle` of the M training pairs, a loss that compares
these scores (:mod:`.bpr`, :mod:`.sampled_softmax`) has a gradient g w.r.t. them, and in a direction
:math:`\dot s` the derivative h of that gradient. The sparse matrices G and H of g and h take these
to A and B as in :mod:`~graphpoison.training.sparse_pair_loss`.
"""

from torch import Tensor

from ..sparse import Pattern, sddmm
from ..sparse.products import both_products
from .bpr import Triples
from .field import Cotangents, Linearisation
from .pair_loss import PairLoss
from .prepared import Params
from .sampled_softmax import Slates


class RankedPairLoss(PairLoss):
    """The training pairs of a pattern, compared with one another.

    Args:
        pattern: the training pairs.
        compared: which are compared.
        weights: Tensor, of ``compared.weights``.
    """

    def __init__(self, pattern: Pattern, compared: Triples | Slates, weights: Tensor) -> None:
        self.pattern, self.compared = pattern, compared
        self.active = compared.active(weights)

    def linearise(self, *score_params: Tensor) -> "RankedPairPoint":
        return RankedPairPoint(self, *score_params)

    def loss(self, labels: Tensor, *score_params: Tensor) -> Tensor:
        """The loss with the weights as ``labels``, differentiable to any order."""
        return self.compared.loss(sddmm(self.pattern, *score_params), labels)


class RankedPairPoint(Linearisation):
    """The field at ``A = left`` [U, D], ``B = right`` [I, D]."""

    def __init__(self, loss: RankedPairLoss, left: Tensor, right: Tensor) -> None:
        self.loss, self.left, self.right = loss, left, right
        self.scores = sddmm(loss.pattern, left, right)

    @property
    def gradient(self) -> tuple[Tensor, Tensor]:
        """``(G B, G^T A)``."""
        gradient = self.loss.active.gradient(self.scores)
        return both_products(self.loss.pattern, gradient, self.left, self.right)

    def vjp(self, cotangents: Params) -> tuple[Params, Cotangents]:
        """Cotangents of A and B, and of the weights."""
        return self._derivatives(cotangents)[1:]

    def gradient_and_vjp(self, cotangents: Params) -> tuple[Params, Params, Cotangents]:
        gradient, back, on_weights = self._derivatives(cotangents)
        return both_products(self.loss.pattern, gradient, self.left, self.right), back, on_weights

    def _derivatives(self, cotangents: Params) -> tuple[Tensor, Params, Cotangents]:
        """g [M], and what :meth:`vjp` returns."""
        pattern, (on_left, on_right) = self.loss.pattern, cotangents
        change = sddmm(pattern, on_left, self.right) + sddmm(pattern, self.left, on_right)
        gradient, curvature, on_weights = self.loss.active.derivatives(self.scores, change)
        first = both_products(pattern, gradient, on_left, on_right)
        second = both_products(pattern, curvature, self.left, self.right)
        back = tuple(a.add_(b) for a, b in zip(first, second, strict=True))
        return gradient, back, (on_weights,)
