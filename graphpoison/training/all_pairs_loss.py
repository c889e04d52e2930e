r"""The log loss of dot products over *every* user-item pair, to second order, in tiles.

Pairs that are not listed have label 0. With U users and I items, scores S = A B^T and
:math:`G = (\sigma(S) - W) / (U I)`, gradients and their derivatives are as in
:mod:`~graphpoison.training.sparse_pair_loss`, with dense tiles of G in the place of sparse blocks.
The cotangent of the label of *any* pair, :math:`-\dot s / (U I)`, has low rank in each step:

.. math:: -(\dot A B^\top + A \dot B^\top) / (U I)

so that :class:`AllPairsLoss` collects the factors, and no U x I matrix is ever held.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ..sparse import FactoredGradient, FactorSum, Pattern
from .field import Cotangents, Linearisation
from .pair_loss import PairLoss
from .prepared import Params

TILE_ENTRIES = 2**18


@dataclass(frozen=True, eq=False)
class AllPairsLoss(PairLoss):
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

    def linearise(self, *score_params: Tensor) -> "AllPairsPoint":
        return AllPairsPoint(self, *score_params)

    def loss(self, labels: Tensor, *score_params: Tensor) -> Tensor:
        """The mean log loss over all pairs, differentiable once in ``score_params``.

        Its derivative w.r.t. the labels, which are :attr:`labels` whatever is given, is collected.
        """
        result: Tensor = _AllPairsFunction.apply(self, *score_params)
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
        """The collected factors, as one gradient w.r.t. the labels of all pairs."""
        left, right = zip(*self.factors, strict=True)
        return FactoredGradient(torch.cat(left, dim=1), torch.cat(right, dim=1), upper=False)


class AllPairsPoint(Linearisation):
    """The field at ``A = left`` [U, D], ``B = right`` [I, D]."""

    def __init__(self, loss: AllPairsLoss, left: Tensor, right: Tensor) -> None:
        self.loss, self.left, self.right = loss, left, right

    @property
    def gradient(self) -> tuple[Tensor, Tensor]:
        """``(G B, G^T A)``."""
        on_left, on_right = torch.zeros_like(self.left), torch.zeros_like(self.right)
        for rows, scores, entries in self.loss.tiles(self.left, self.right):
            residual = self._residual(scores.sigmoid_(), rows, entries)
            on_left[rows] = residual @ self.right
            on_right.addmm_(residual.t(), self.left[rows])
        return on_left, on_right

    def vjp(self, cotangents: Params) -> tuple[Params, Cotangents]:
        """Cotangents of A and B; ``loss`` collects the cotangents of the labels."""
        left, right = self.left, self.right
        on_left, on_right = cotangents
        back_left, back_right = torch.zeros_like(left), torch.zeros_like(right)
        for rows, scores, entries in self.loss.tiles(left, right):
            probability = scores.sigmoid_()
            change = torch.addmm(on_left[rows] @ right.t(), left[rows], on_right.t())
            change.div_(self.loss.count).mul_(probability)
            curvature = change.addcmul_(change, probability, value=-1.0)
            residual = self._residual(probability, rows, entries)
            back_left[rows] = torch.addmm(residual @ on_right, curvature, right)
            back_right.addmm_(residual.t(), on_left[rows]).addmm_(curvature.t(), left[rows])
        both = torch.cat([on_left, left], dim=1).div_(-self.loss.count)
        self.loss.factors.append((both, torch.cat([right, on_right], dim=1)))
        return (back_left, back_right), (None,)

    def _residual(self, probability: Tensor, rows: slice, entries: slice) -> Tensor:
        """G in a tile; overwrites the probabilities."""
        row, col = self.loss.places(rows, entries)
        probability[row, col] -= self.loss.labels[entries]
        return probability.div_(self.loss.count)


class _AllPairsFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, pair_loss, left, right):  # type: ignore[no-untyped-def]
        ctx.pair_loss, ctx.score_params = pair_loss, (left.detach(), right.detach())
        total = left.new_zeros(())
        for rows, scores, entries in pair_loss.tiles(*ctx.score_params):
            listed = scores[pair_loss.places(rows, entries)]
            total += softplus(scores, threshold=40.0).sum() - listed @ pair_loss.labels[entries]
        return total / pair_loss.count

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, on_loss):  # type: ignore[no-untyped-def]
        pair_loss, (left, right) = ctx.pair_loss, ctx.score_params
        on_left, on_right = pair_loss.linearise(left, right).gradient
        pair_loss.factors.record(left * (-on_loss / pair_loss.count), right)
        return None, on_loss * on_left, on_loss * on_right
