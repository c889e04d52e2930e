r"""The log loss of dot products over *every* user-item pair: gradient and adjoint, in tiles.

Pairs that are not listed have label 0. With U users and I items, the scores are S = A B^T and the
derivative of the loss w.r.t. S is :math:`G = (\sigma(S) - W) / (U I)`. The gradients and their
adjoints have the formulas of :mod:`~graphpoison.training.sparse_pair_loss`, computed on dense tiles
of G instead of sparse blocks. The cotangent of the label of *any* pair is
:math:`-\dot s / (U I)`. The U x I matrix of these cotangents has low rank in each step:

.. math:: -(\dot A B^\top + A \dot B^\top) / (U I)

:class:`AllPairsLoss` collects the factors, so no U x I matrix is stored.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ..sparse import FactoredGradient, FactorSum, Pattern
from ..sparse.shares import Block, Shares
from .field import Cotangents, Linearisation
from .pair_loss import BlockLoss, LogLossPoint, PairLoss, PairPoint
from .prepared import Params

TILE_ENTRIES = 2**18


class AllPairsLoss(PairLoss):
    """The log loss of all pairs of a bipartite graph, a few of which are listed with labels.

    The targets that :meth:`loss` is given are ignored: the labels are always ``labels``. The
    gradient w.r.t. the labels of all pairs is collected in ``factors``.

    Args:
        pattern: the listed pairs.
        labels: Tensor [M], the labels of the listed pairs.

    Attributes:
        factors: left [U, K] and right [I, K] factors of the labels' cotangent, collected so far.
    """

    def __init__(self, pattern: Pattern, labels: Tensor) -> None:
        self.factors, self.count = FactorSum(), pattern.shape[0] * pattern.shape[1]
        shares = Shares.of_rows(pattern)

        def make(block: Block) -> BlockLoss:
            return AllPairsOfRows(block.pattern, labels[block.entries], self.count)

        blocks = shares.blocks(pattern, single=True)
        super().__init__(shares, blocks, make, frozenset([0]), lambda entries: (entries,))

    def linearise(self, *score_params: Tensor) -> "AllPairsPoint":
        return AllPairsPoint(self, score_params)

    def record(self, on_loss: Tensor, score_params: Params) -> None:
        left, right = score_params
        self.factors.record(left * (-on_loss / self.count), right)

    def gradient(self) -> FactoredGradient:
        """The collected factors, as one gradient w.r.t. the labels of all pairs."""
        left, right = zip(*self.factors, strict=True)
        return FactoredGradient(torch.cat(left, dim=1), torch.cat(right, dim=1), upper=False)


class AllPairsPoint(PairPoint):
    """The field at ``A`` [U, D], ``B`` [I, D]."""

    loss: AllPairsLoss

    def vjp(self, cotangents: Params) -> tuple[Params, Cotangents]:
        """Cotangents of A and B; ``loss`` collects the cotangents of the labels."""
        (left, right), (on_left, on_right) = self.score_params, cotangents
        both = torch.cat([on_left, left], dim=1).div_(-self.loss.count)
        self.loss.factors.append((both, torch.cat([right, on_right], dim=1)))
        return super().vjp(cotangents)

    def gradient_and_vjp(self, cotangents: Params) -> tuple[Params, Params, Cotangents]:
        return self.gradient, *self.vjp(cotangents)


class AllPairsOfRows(BlockLoss):
    """The log loss of all pairs of the users in one block.

    Args:
        pattern: the listed pairs of these users.
        labels: Tensor [m], the labels of the listed pairs.
        count: the number of pairs of all users, U I.
    """

    def __init__(self, pattern: Pattern, labels: Tensor, count: int) -> None:
        self.pattern, self.labels, self.count = pattern, labels, count

    def linearise(self, *score_params: Tensor) -> Linearisation:
        return _RowsPoint(self, *score_params)

    def tiles(self, left: Tensor, right: Tensor) -> Iterator[tuple[slice, Tensor, slice]]:
        """Yields a slice of rows, their scores [rows, I] and the slice of their listed entries."""
        height = max(1, TILE_ENTRIES // max(1, self.pattern.shape[1]))
        starts = range(0, self.pattern.shape[0], height)
        pointers = self.pattern.csr[0]
        for start in starts:
            stop = min(start + height, self.pattern.shape[0])
            entries = slice(int(pointers[start]), int(pointers[stop]))
            yield slice(start, stop), left[start:stop] @ right.t(), entries

    def places(self, rows: slice, entries: slice) -> tuple[Tensor, Tensor]:
        """Rows and columns of the listed ``entries`` within a tile."""
        return self.pattern.row[entries] - rows.start, self.pattern.col[entries]


class _RowsPoint(LogLossPoint):
    """The field at ``A = left`` [rows, D], ``B = right`` [I, D]."""

    def __init__(self, loss: AllPairsOfRows, left: Tensor, right: Tensor) -> None:
        self.loss, self.left, self.right = loss, left, right

    @property
    def gradient(self) -> tuple[Tensor, Tensor]:
        """``(G B, G^T A)``, the latter [1, I, D]."""
        on_left, on_right = torch.zeros_like(self.left), torch.zeros_like(self.right)
        for rows, scores, entries in self.loss.tiles(self.left, self.right):
            residual = self._residual(scores.sigmoid_(), rows, entries)
            on_left[rows] = residual @ self.right
            on_right.addmm_(residual.t(), self.left[rows])
        return on_left, on_right.unsqueeze(0)

    def vjp(self, cotangents: Params) -> tuple[Params, Cotangents]:
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
        return (back_left, back_right.unsqueeze(0)), (None,)

    def value(self) -> tuple[Tensor, None]:
        total = self.left.new_zeros(1)
        for rows, scores, entries in self.loss.tiles(self.left, self.right):
            listed = scores[self.loss.places(rows, entries)]
            total += softplus(scores, threshold=40.0).sum() - listed @ self.loss.labels[entries]
        return total / self.loss.count, None

    def _residual(self, probability: Tensor, rows: slice, entries: slice) -> Tensor:
        """G in a tile; overwrites the probabilities."""
        row, col = self.loss.places(rows, entries)
        probability[row, col] -= self.loss.labels[entries]
        return probability.div_(self.loss.count)
