r"""The log loss of dot products at the places of a sparse pattern, to second order.

With scores :math:`s_e = \langle A_u, B_i \rangle` of the M pairs e = (u, i), labels y and
:math:`g_e = (\sigma(s_e) - y_e) / M`, the mean log loss has the gradients

.. math::
    \nabla_A = G B, \qquad \nabla_B = G^\top A

where ``G`` is the sparse matrix of g. Its derivative in a direction :math:`(\dot A, \dot B)` needs
nothing but the same two products: with :math:`\dot s = \langle \dot A_u, B_i \rangle + \langle A_u,
\dot B_i \rangle` and :math:`h = \sigma'(s) \dot s / M`, it is :math:`(H B + G \dot B, H^\top A +
G^\top \dot A)`, and :math:`-\dot s / M` for the labels.

Pairs are taken in blocks of rows, so that the arrays with one number for each pair stay in the
cache. Every step writes into the same buffers: mapping fresh memory of that size costs more than
the arithmetic on it.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..sparse import Pattern, sddmm
from ..sparse.products import Sampler, product, transpose_values, transposed_product
from ..sparse.row_blocks import row_blocks
from .criteria import log_losses
from .field import Cotangents, Linearisation
from .pair_loss import PairLoss
from .prepared import Params

BLOCK = 262_144
"""Pairs in a block, give or take a row."""


@dataclass(frozen=True, eq=False)
class Block:
    """Some rows of a pattern, with their buffers.

    Args:
        rows, entries: which rows and entries of the whole they are.
        pattern: those rows alone.
        labels: Tensor [m].
        probability, change: Samplers into [m] that keep what the whole point needs later.
        residual, curvature, permuted: Tensors [m], workspace that all blocks share.
    """

    rows: slice
    entries: slice
    pattern: Pattern
    labels: Tensor
    probability: Sampler
    change: Sampler
    residual: Tensor
    curvature: Tensor
    permuted: Tensor


class SparsePairLoss(PairLoss):
    """A pattern with labels, cut into blocks of rows when it is first linearised."""

    def __init__(self, pattern: Pattern, labels: Tensor) -> None:
        self.pattern, self.labels = pattern, labels
        self.count = labels.numel()

    @cached_property
    def change(self) -> Tensor:
        """Tensor [M], the labels' cotangent of the last point."""
        return torch.zeros_like(self.labels)

    @cached_property
    def blocks(self) -> list[Block]:
        labels, probability = self.labels, torch.zeros_like(self.labels)
        parts = row_blocks(self.pattern, BLOCK)
        workspace = labels.new_zeros(3, max(part.pattern.num_entries for part in parts))
        return [
            Block(
                part.rows,
                part.entries,
                part.pattern,
                labels[part.entries],
                Sampler(part.pattern, probability[part.entries]),
                Sampler(part.pattern, self.change[part.entries]),
                *(row[: part.pattern.num_entries] for row in workspace),
            )
            for part in parts
        ]

    def linearise(self, *score_params: Tensor) -> "SparsePairPoint":
        return SparsePairPoint(self, *score_params)

    def loss(self, labels: Tensor, *score_params: Tensor) -> Tensor:
        """The mean log loss, differentiable to any order."""
        return log_losses(sddmm(self.pattern, *score_params), labels).mean()


class SparsePairPoint(Linearisation):
    """The field at ``A = left`` [U, D], ``B = right`` [I, D].

    Points of one ``loss`` share its buffers: a point is valid until ``loss`` is linearised again.
    """

    def __init__(self, loss: SparsePairLoss, left: Tensor, right: Tensor) -> None:
        self.loss, self.left, self.right = loss, left, right
        self.known = False  # whether the probabilities of this point are in the buffers

    @property
    def gradient(self) -> tuple[Tensor, Tensor]:
        """``(G B, G^T A)``."""
        on_left, on_right = torch.zeros_like(self.left), torch.zeros_like(self.right)
        for block in self.loss.blocks:
            pattern, residual = block.pattern, self._residual(block)
            on_left[block.rows] = product(pattern, residual, self.right)
            permuted = transpose_values(pattern, residual, out=block.permuted)
            on_right += transposed_product(pattern, permuted, self.left[block.rows])
        self.known = True
        return on_left, on_right

    def vjp(self, cotangents: Params) -> tuple[Params, Cotangents]:
        """Cotangents of A and B, and of the labels."""
        on_left, on_right = cotangents
        back_left, back_right = torch.zeros_like(self.left), torch.zeros_like(self.right)
        for block in self.loss.blocks:
            pattern, left, direction = block.pattern, self.left[block.rows], on_left[block.rows]
            residual = self._residual(block)
            curvature = self._curvature(block, left, direction, on_right)
            back_left[block.rows] = product(pattern, residual, on_right)
            back_left[block.rows] -= product(pattern, curvature, self.right)
            permuted = transpose_values(pattern, residual, out=block.permuted)
            back_right += transposed_product(pattern, permuted, direction)
            permuted = transpose_values(pattern, curvature, out=block.permuted)
            back_right -= transposed_product(pattern, permuted, left)
        self.known = True
        return (back_left, back_right), (self.loss.change,)

    def _residual(self, block: Block) -> Tensor:
        """g of a block."""
        probability = block.probability.values
        if not self.known:
            block.probability(self.left[block.rows], self.right).sigmoid_()
        return torch.sub(probability, block.labels, out=block.residual).div_(self.loss.count)

    def _curvature(self, block: Block, left: Tensor, direction: Tensor, on_right: Tensor) -> Tensor:
        """-h of a block; the labels' cotangent, ``-s' / M``, goes to its ``change``."""
        block.change(direction, self.right)
        change = block.change(left, on_right, add=True).div_(-self.loss.count)
        probability = block.probability.values
        torch.addcmul(probability, probability, probability, value=-1.0, out=block.curvature)
        return block.curvature.mul_(change)
