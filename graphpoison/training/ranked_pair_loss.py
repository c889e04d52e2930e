r"""A ranking loss of dot products, to second order.

With scores :math:`s_e = \langle A_u, B_i \rangle` of the M training pairs, a loss that compares
these scores (:mod:`.bpr`, :mod:`.sampled_softmax`) has a gradient g w.r.t. them, and in a direction
:math:`\dot s` the derivative h of that gradient. The sparse matrices G and H of g and h take these
to A and B as in :mod:`~graphpoison.training.sparse_pair_loss`.
"""

from torch import Tensor

from ..sparse import sddmm
from ..sparse.shares import Block
from .bpr import Triples
from .field import Cotangents, Linearisation
from .pair_loss import BlockLoss
from .prepared import Params
from .sampled_softmax import Slates


class RankedPairLoss(BlockLoss):
    """The training pairs of a block, compared with one another.

    Args:
        block: which pairs.
        compared: which of these are compared.
        weights: Tensor, of ``compared.weights``.
    """

    def __init__(self, block: Block, compared: Triples | Slates, weights: Tensor) -> None:
        self.block, self.active = block, compared.active(weights)

    def linearise(self, *score_params: Tensor) -> "RankedPairPoint":
        return RankedPairPoint(self, *score_params)


class RankedPairPoint(Linearisation):
    """The field at ``A = left`` [rows, D], ``B = right`` [I, D]."""

    def __init__(self, loss: RankedPairLoss, left: Tensor, right: Tensor) -> None:
        self.loss, self.left, self.right = loss, left, right
        self.scores = sddmm(loss.block.pattern, left, right)

    @property
    def gradient(self) -> tuple[Tensor, Tensor]:
        """``(G B, G^T A)``."""
        gradient = self.loss.active.gradient(self.scores)
        return self.loss.block.both_products(gradient, self.left, self.right)

    def vjp(self, cotangents: Params) -> tuple[Params, Cotangents]:
        """Cotangents of A and B, and of the weights."""
        return self._derivatives(cotangents)[1:]

    def gradient_and_vjp(self, cotangents: Params) -> tuple[Params, Params, Cotangents]:
        gradient, back, on_weights = self._derivatives(cotangents)
        on_params = self.loss.block.both_products(gradient, self.left, self.right)
        return on_params, back, on_weights

    def _derivatives(self, cotangents: Params) -> tuple[Tensor, Params, Cotangents]:
        """g [m], and what :meth:`vjp` returns."""
        block, (on_left, on_right) = self.loss.block, cotangents
        change = sddmm(block.pattern, on_left, self.right)
        change += sddmm(block.pattern, self.left, on_right)
        gradient, curvature, on_weights = self.loss.active.derivatives(self.scores, change)
        first = block.both_products(gradient, on_left, on_right)
        second = block.both_products(curvature, self.left, self.right)
        back = tuple(a.add_(b) for a, b in zip(first, second, strict=True))
        return gradient, back, (on_weights,)
