r"""A ranking loss of dot products: gradient and adjoint.

The M training pairs have the scores :math:`s_e = \langle A_u, B_i \rangle`. Let g be the gradient
w.r.t. the scores of a loss that compares them (:mod:`.bpr`, :mod:`.sampled_softmax`), and h the
derivative of g in a direction :math:`\dot s`. The sparse matrices G and H of g and h give the
gradients w.r.t. A and B, and their derivatives, as in
:mod:`~graphpoison.training.sparse_pair_loss`.
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
    """The ranking loss of the training pairs of a block.

    Args:
        block: the block of m pairs.
        compared: the pairs of this block that are compared with one another.
        weights: Tensor, the part of ``compared.weights`` that belongs to this block.
    """

    def __init__(self, block: Block, compared: Triples | Slates, weights: Tensor) -> None:
        self.block, self.active = block, compared.active(weights, block.parts)

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
        """g [m], followed by the results of :meth:`vjp`."""
        block, (on_left, on_right) = self.loss.block, cotangents
        change = sddmm(block.pattern, on_left, self.right)
        change += sddmm(block.pattern, self.left, on_right)
        gradient, curvature, on_weights = self.loss.active.derivatives(self.scores, change)
        first = block.both_products(gradient, on_left, on_right)
        second = block.both_products(curvature, self.left, self.right)
        back = tuple(a.add_(b) for a, b in zip(first, second, strict=True))
        return gradient, back, (on_weights,)
