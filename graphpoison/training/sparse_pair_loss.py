r"""The log loss of dot products at the entries of a sparse pattern: gradient and adjoint.

With scores :math:`s_e = \langle A_u, B_i \rangle` of the M pairs e = (u, i), labels y and
:math:`g_e = (\sigma(s_e) - y_e) / M`, the mean log loss has the gradients

.. math::
    \nabla_A = G B, \qquad \nabla_B = G^\top A

where ``G`` is the sparse matrix of g. The derivative of this gradient in a direction
:math:`(\dot A, \dot B)` needs only the same two products. With :math:`\dot s = \langle \dot A_u,
B_i \rangle + \langle A_u, \dot B_i \rangle` and :math:`h = \sigma'(s) \dot s / M`, it is
:math:`(H B + G \dot B, H^\top A + G^\top \dot A)`. The cotangent of the labels is
:math:`-\dot s / M`.

Every step writes into the same buffers, because allocating new memory of that size takes longer
than the arithmetic.
"""

import torch
from torch import Tensor

from ..sparse.products import Sampler, product
from ..sparse.shares import Block
from .criteria import part_losses
from .field import Cotangents
from .pair_loss import BlockLoss, LogLossPoint
from .prepared import Params
from .workspace import Workspace


class SparsePairLoss(BlockLoss):
    """The log loss of the pairs of a block.

    Args:
        block: the block of m pairs.
        labels: Tensor [m].
        count: M, the number of pairs of all blocks.
        workspace: memory that the blocks share.
    """

    def __init__(self, block: Block, labels: Tensor, count: int, workspace: Workspace) -> None:
        self.block, self.labels, self.count, self.workspace = block, labels, count, workspace
        self.probability, self.change = (
            Sampler(block.pattern, torch.zeros_like(labels)) for _ in range(2)
        )

    def linearise(self, *score_params: Tensor) -> "SparsePairPoint":
        return SparsePairPoint(self, *score_params)

    def buffer(self, name: str) -> Tensor:
        """The buffer [m] called ``name``, with one number for each pair."""
        return self.workspace(name, (1, self.labels.numel()), self.labels)[0]


class SparsePairPoint(LogLossPoint):
    """The field at ``A = left`` [rows, D], ``B = right`` [I, D].

    Points of one ``loss`` share its buffers: a point is valid until ``loss`` is linearised again.
    """

    def __init__(self, loss: SparsePairLoss, left: Tensor, right: Tensor) -> None:
        self.loss, self.left, self.right = loss, left, right
        self.known = False  # whether the probabilities of this point are in the buffers

    @property
    def gradient(self) -> Params:
        """``(G B, G^T A)``."""
        block, residual = self.loss.block, self._residual()
        permuted = block.permute(residual, out=self.loss.buffer("permuted"))
        sums = block.column_sums(permuted, self.left)
        return product(block.pattern, residual, self.right), sums

    def vjp(self, cotangents: Params) -> tuple[Params, Cotangents]:
        """Cotangents of A and B, and of the labels."""
        on_left, on_right = cotangents
        block, permuted = self.loss.block, self.loss.buffer("permuted")
        residual = self._residual()
        curvature = self._curvature(on_left, on_right)
        back_left = product(block.pattern, residual, on_right)
        back_left -= product(block.pattern, curvature, self.right)
        back_right = block.column_sums(block.permute(residual, out=permuted), on_left)
        back_right -= block.column_sums(block.permute(curvature, out=permuted), self.left)
        return (back_left, back_right), (self.loss.change.values,)

    def value(self) -> tuple[Tensor, Tensor]:
        scores, count = self.loss.probability(self.left, self.right), self.loss.count
        losses = part_losses(self.loss.block, scores, self.loss.labels)
        on_labels = scores / -count
        self._sigmoid(scores)
        return losses / count, on_labels

    def _residual(self) -> Tensor:
        """g."""
        probability = self.loss.probability.values
        if not self.known:
            self._sigmoid(self.loss.probability(self.left, self.right))
        residual = torch.sub(probability, self.loss.labels, out=self.loss.buffer("residual"))
        return residual.div_(self.loss.count)

    def _sigmoid(self, scores: Tensor) -> None:
        """In place."""
        for part in self.loss.block.split(scores):
            part.sigmoid_()
        self.known = True

    def _curvature(self, on_left: Tensor, on_right: Tensor) -> Tensor:
        """Returns -h; writes the labels' cotangent, ``-s' / M``, to ``loss.change``."""
        loss, probability = self.loss, self.loss.probability.values
        loss.change(on_left, self.right)
        change = loss.change(self.left, on_right, add=True).div_(-loss.count)
        curvature = loss.buffer("curvature")
        torch.sub(1.0, probability, out=curvature)
        return curvature.mul_(probability).mul_(change)
