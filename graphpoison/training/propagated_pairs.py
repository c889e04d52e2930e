r"""Training tables of users and items that are averaged over the layers of a propagation.

Scores come from :math:`Y = J X`, where X holds the tables of users and items and

.. math::
    J = \frac{1}{K + 1} \sum_{k=0}^{K} \hat A^k, \qquad
    \hat A = \begin{pmatrix} 0 & \hat R \\ \hat R^\top & 0 \end{pmatrix}

is symmetric. With g the gradient of the loss w.r.t. Y, the gradient w.r.t. X is :math:`J g(J X)`.
Let V be a cotangent of this gradient, and z the derivative of g in the direction :math:`J V`. The
cotangent of X is :math:`J z`. The cotangent of the propagation matrix, at its entries, is

.. math::
    \frac{1}{K + 1} \sum_{h + l < K}
    (\hat A^h z) (\hat A^l X)^\top + (\hat A^h g) (\hat A^l V)^\top .
"""

from itertools import accumulate

import torch
from torch import Tensor

from ..sparse import Pattern
from ..sparse.products import Sampler
from ..sparse.shared_product import SharedProduct
from ..sparse.shares import Shares, blocks
from .divided import DividedField
from .field import Cotangents, Linearisation, TrainingField
from .pair_loss import PairLoss
from .prepared import Params


class PropagatedField(TrainingField):
    """The mean loss of pairs of averaged tables; coordinates are the parameters.

    The tables of users and items are one Tensor [N, D]. In the reverse pass, each step adds to the
    cotangent of the entries in place.

    Args:
        loss: the loss of the training pairs.
        targets: the tensor whose cotangents ``loss`` returns.
        pattern: the positions of the entries of R.
        entries: Tensor [M], the entries of R.
        layers: K, the number of layers.
    """

    def __init__(
        self, loss: PairLoss, targets: Tensor, pattern: Pattern, entries: Tensor, layers: int
    ) -> None:
        self.loss, self.pattern, self.layers = loss, pattern, layers
        values = torch.cat([entries.detach(), entries.detach()[pattern.transposed[2]]])
        self.adjacency = SharedProduct(_both_directions(pattern), values)
        self.on_entries = [
            (block.rows, Sampler(block.pattern, torch.zeros_like(entries[block.entries])))
            for block in blocks(pattern)
        ]
        self.tensors = (targets, entries)

    def over_ranks(self, params: Params) -> TrainingField:
        shares = Shares.of(self.pattern)
        return self if shares.ranks.size == 1 else DividedField(self, shares, len(params[1]))

    def linearise(self, coordinates: Params) -> "PropagatedPoint":
        return PropagatedPoint(self, torch.cat(coordinates))

    def tensors_vjp(self, cotangents: Cotangents) -> Cotangents:
        shares = Shares.of(self.pattern)
        own = [sampler.values for _, sampler in self.on_entries]
        counts = [_length(shares.entries_of(rank)) for rank in range(shares.ranks.size)]
        on_entries = shares.ranks.gather(torch.cat([self.tensors[1][:0], *own]), counts)
        return self.loss.targets_vjp(cotangents[0]), on_entries / (self.layers + 1)

    def mean(self, powers: list[Tensor]) -> tuple[Tensor, Tensor]:
        """``J @ powers[0]``, the mean of ``powers``, as users [U, D] and items [I, D]."""
        total = powers[0] + powers[1]
        for power in powers[2:]:
            total += power
        return self.parts(total.div_(self.layers + 1))

    def parts(self, tables: Tensor) -> tuple[Tensor, Tensor]:
        """The users [U, D] and the items [I, D] of ``tables``."""
        users = self.pattern.shape[0]
        return tables[:users], tables[users:]


class PropagatedPoint(Linearisation):
    """The field at ``tables`` [N, D]."""

    def __init__(self, training: PropagatedField, tables: Tensor) -> None:
        self.training = training
        self.powers = training.adjacency.powers(tables, training.layers)
        self.point = training.loss.linearise(*training.mean(self.powers))

    @property
    def gradient(self) -> Params:
        training = self.training
        return training.mean(
            training.adjacency.powers(torch.cat(self.point.gradient), training.layers)
        )

    def vjp(self, cotangents: Params) -> tuple[Params, Cotangents]:
        training, layers = self.training, self.training.layers
        directions = training.adjacency.powers(torch.cat(cotangents), layers)
        gradient, derivative, (on_targets,) = self.point.gradient_and_vjp(training.mean(directions))
        near = training.adjacency.powers(torch.cat(derivative), layers)
        beside = training.adjacency.powers(torch.cat(gradient), layers - 1)
        self._add_to_entries(near, self.powers)
        self._add_to_entries(beside, directions)
        return training.mean(near), (on_targets, None)

    def _add_to_entries(self, near: list[Tensor], far: list[Tensor]) -> None:
        """``sum_{h + l < K} near_h far_l^T`` at (u, i) and at (i, u)."""
        training, layers = self.training, self.training.layers
        sums = list(accumulate(far[:layers]))
        for tables in zip(near[:layers], reversed(sums), strict=True):
            (users, items), (far_users, far_items) = map(training.parts, tables)
            for rows, add in training.on_entries:
                add(users[rows], far_items, add=True)
                add(far_users[rows], items, add=True)


def _length(entries: slice) -> int:
    return int(entries.stop - entries.start)


def _both_directions(pattern: Pattern) -> Pattern:
    """Users and items as nodes of one graph: the pairs (u, i), then (i, u)."""
    if "both" not in pattern.memo:
        users, items = pattern.shape
        order = pattern.transposed[2]
        row = torch.cat([pattern.row, pattern.col[order] + users])
        col = torch.cat([pattern.col + users, pattern.row[order]])
        size = users + items
        pattern.memo["both"] = Pattern(row, col, (size, size), pattern.backend, pattern.ranks)
    found: Pattern = pattern.memo["both"]
    return found
