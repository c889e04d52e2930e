r"""The log loss of dot products over *every* user-item pair, to second order, in tiles.

Pairs that are not listed have label 0. With U users and I items, scores S = A B^T and
:math:`G = (\sigma(S) - W) / (U I)`, gradients and their derivatives are those of
:mod:`~graphpoison.models.log_loss`, with dense tiles of G where that has sparse ones. The cotangent
of the label of *any* pair, :math:`-\dot s / (U I)`, has low rank in each step:

.. math:: -(\dot A B^\top + A \dot B^\top) / (U I)

so that :class:`Tiles` collects the factors, and no U x I matrix is ever held.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ..graph import FactoredGradient, FactorSum, Pattern
from .prepared import Params
from .training import Cotangents, Linearisation

TILE_ENTRIES = 2**18


@dataclass(frozen=True, eq=False)
class Tiles:
    """All pairs of a bipartite graph, of which a few are listed with their labels.

    Args:
        pattern: the listed pairs.
        labels: Tensor [M].
        factors: left [U, K] and right [I, K] factors of the labels' cotangent, collected so far.
    """

    pattern: Pattern
    labels: Tensor
    factors: FactorSum = field(default_factory=FactorSum)

    @property
    def count(self) -> int:
        return self.pattern.shape[0] * self.pattern.shape[1]

    def point(self, left: Tensor, right: Tensor) -> "AllPairsLogLoss":
        return AllPairsLogLoss(self, left, right)

    def loss(self, left: Tensor, right: Tensor) -> Tensor:
        """The mean log loss over all pairs, differentiable once in both sides.

        Differentiating it collects the explicit cotangent of the labels too.
        """
        result: Tensor = _AllPairsLoss.apply(self, left, right)
        return result

    def tiles(self, left: Tensor, right: Tensor) -> Iterator[tuple[slice, Tensor, slice]]:
        """Rows, their scores [rows, I], and which entries are listed in them."""
        height = max(1, TILE_ENTRIES // max(1, self.pattern.shape[1]))
        starts = range(0, self.pattern.shape[0], height)
        pointers = self.pattern.csr[0]
        for start in starts:
            stop = min(start + height, self.pattern.shape[0])
            entries = slice(int(pointers[start]), int(pointers[stop]))
            yield slice(start, stop), left[start:stop] @ right.t(), entries

    def places(self, rows: slice, entries: slice) -> tuple[Tensor, Tensor]:
        """Where a tile holds the listed ``entries``."""
        return self.pattern.row[entries] - rows.start, self.pattern.col[entries]

    def gradient(self) -> FactoredGradient:
        """What was collected, as one gradient w.r.t. the labels of all pairs."""
        left, right = zip(*self.factors, strict=True)
        return FactoredGradient(torch.cat(left, dim=1), torch.cat(right, dim=1), upper=False)


class AllPairsLogLoss(Linearisation):
    """The field at ``A = left`` [U, D], ``B = right`` [I, D]."""

    def __init__(self, space: Tiles, left: Tensor, right: Tensor) -> None:
        self.space, self.left, self.right = space, left, right

    @property
    def gradient(self) -> tuple[Tensor, Tensor]:
        """``(G B, G^T A)``."""
        on_left, on_right = torch.zeros_like(self.left), torch.zeros_like(self.right)
        for rows, scores, entries in self.space.tiles(self.left, self.right):
            residual = self._residual(scores.sigmoid_(), rows, entries)
            on_left[rows] = residual @ self.right
            on_right.addmm_(residual.t(), self.left[rows])
        return on_left, on_right

    def reverse(self, cotangents: Params) -> tuple[Params, Cotangents]:
        """Cotangents of A and B; those of the labels are collected by the tiles."""
        left, right = self.left, self.right
        on_left, on_right = cotangents
        back_left, back_right = torch.zeros_like(left), torch.zeros_like(right)
        for rows, scores, entries in self.space.tiles(left, right):
            probability = scores.sigmoid_()
            change = torch.addmm(on_left[rows] @ right.t(), left[rows], on_right.t())
            change.div_(self.space.count).mul_(probability)
            curvature = change.addcmul_(change, probability, value=-1.0)
            residual = self._residual(probability, rows, entries)
            back_left[rows] = torch.addmm(residual @ on_right, curvature, right)
            back_right.addmm_(residual.t(), on_left[rows]).addmm_(curvature.t(), left[rows])
        both = torch.cat([on_left, left], dim=1).div_(-self.space.count)
        self.space.factors.append((both, torch.cat([right, on_right], dim=1)))
        return (back_left, back_right), (None,)

    def _residual(self, probability: Tensor, rows: slice, entries: slice) -> Tensor:
        """G in a tile; overwrites the probabilities."""
        row, col = self.space.places(rows, entries)
        probability[row, col] -= self.space.labels[entries]
        return probability.div_(self.space.count)


class _AllPairsLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx, space, left, right):  # type: ignore[no-untyped-def]
        ctx.space, ctx.sides = space, (left.detach(), right.detach())
        total = left.new_zeros(())
        for rows, scores, entries in space.tiles(*ctx.sides):
            listed = scores[space.places(rows, entries)]
            total += softplus(scores, threshold=40.0).sum() - listed @ space.labels[entries]
        return total / space.count

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, on_loss):  # type: ignore[no-untyped-def]
        space, (left, right) = ctx.space, ctx.sides
        on_left, on_right = space.point(left, right).gradient
        space.factors.record(left * (-on_loss / space.count), right)
        return None, on_loss * on_left, on_loss * on_right
