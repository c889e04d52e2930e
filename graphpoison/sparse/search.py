r"""The largest entries of a factored matrix; with bounds, most entries are never evaluated.

For factors :math:`L` [R, K], :math:`R` [C, K] and any invertible :math:`M`,

.. math::
    |l_i \cdot r_j| = |(l_i M) \cdot (r_j M^{-\top})| \le a_i b_j, \qquad
    a_i = \|l_i M\|, \; b_j = \|r_j M^{-\top}\|

by the Cauchy-Schwarz inequality. The bound is tight if :math:`M` balances the factors: both Gram
matrices become the same diagonal matrix, which holds the singular values of :math:`L R^\top` (as in
balanced truncation, Moore 1981). An entry of the residual term is at most :math:`c_i + d_j`. Rows
are visited in descending order of their largest bound. In each row, only columns whose bound
reaches the k-th best value so far are evaluated. The search ends when no remaining row can contain
a better value. The result is exact.

Several ranks take groups of rows in turn. They exchange their best values after the first tile and
at the end. The last bits of a value depend on the tile in which the value was computed. Values
close to the k-th are therefore kept too, and all kept values are computed again at the end, one by
one, so that the result does not depend on the number of ranks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .._ranks import ALONE, Ranks

if TYPE_CHECKING:
    from .factored import FactoredGradient

Admissible = Callable[[Tensor, Tensor], Tensor]
"""``admissible(source, target)`` -> BoolTensor of their broadcast shape."""

FIRST_ROWS, MOST_ROWS = 96, 384  # rows of a tile, doubled while few columns are left
FEW = 16  # few columns are left: fewer than one in 16
ENTRIES = 2**18  # of a tile
KEPT = 64  # pairs that are kept beyond the k best, and computed one by one at the end
ASKED = 64  # pairs beyond the k best that a constraint checks at first
RIDGE = 1e-12
ROUNDING = 1e-5  # bounds are raised by this share


@dataclass(frozen=True, eq=False)
class Bounds:
    """``gradient[i, j] <= a[i] b[j] + c[i] + d[j]``, in float64, [R], [C], [R], [C]."""

    a: Tensor
    b: Tensor
    c: Tensor
    d: Tensor

    @classmethod
    def of(cls, gradient: "FactoredGradient") -> "Bounds":
        a, b = _norms(gradient.left, 1), _norms(gradient.right, 1)
        if _worth_balancing(gradient):
            a, b = balanced_norms(gradient.left, gradient.right) or (a, b)
        if gradient.upper:
            a = b = (a * b).sqrt()
        c, d = a.new_zeros(a.numel()), b.new_zeros(b.numel())
        if gradient.residual_term is not None:
            c, d = gradient.residual_term.bounds()
        bounds = (bound.double() for bound in (a, b, c, d))
        return cls(*(bound + ROUNDING * bound.abs() for bound in bounds))


def _worth_balancing(gradient: "FactoredGradient") -> bool:
    """Whether balancing takes less arithmetic than the values of all entries."""
    (rows, cols), rank = gradient.shape, gradient.left.size(1)
    return 0 < 4 * (rows + cols) * rank + 20 * rank**2 < rows * cols


def balanced_norms(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor] | None:
    """``a`` [R] and ``b`` [C] of factors [R, K] and [C, K]; None if a factor is 0 or not finite."""
    equal = (_norms(right, 0) / _norms(left, 0)).sqrt()
    equal = torch.where((equal > 0) & equal.isfinite(), equal, 1.0)
    gram, other = _gram(left, equal), _gram(right, 1.0 / equal)
    root, failed = torch.linalg.cholesky_ex(gram)
    core = root.t() @ other @ root
    if int(failed) or not bool(core.isfinite().all()):
        return None
    square, turn = torch.linalg.eigh(core)
    if not float(square[-1]) > 0.0:
        return None
    size = square.clamp(min=RIDGE * float(square[-1])).pow(0.25)
    forth = torch.linalg.solve_triangular(root.t(), turn * size, upper=True)
    back = root @ turn / size
    a = _norms(left @ (equal.unsqueeze(1) * forth).to(left), 1)
    b = _norms(right @ (back / equal.unsqueeze(1)).to(right), 1)
    return a, b


def _norms(values: Tensor, dim: int) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(values, dim=dim, dtype=torch.float64)
    return norms


def _gram(factor: Tensor, scale: Tensor) -> Tensor:
    """The Gram matrix [K, K] of the scaled columns, in float64, with a ridge."""
    total = torch.zeros(factor.size(1), factor.size(1), dtype=torch.float64, device=factor.device)
    for part in factor.split(16_384):
        scaled = part.double() * scale
        total.addmm_(scaled.t(), scaled)
    return total + RIDGE * total.trace() * torch.eye(len(total)).to(total)


def largest(
    gradient: "FactoredGradient",
    k: int,
    excluded: Tensor,
    admissible: Admissible | None,
    ranks: Ranks = ALONE,
) -> tuple[Tensor, Tensor]:
    """Computes :meth:`FactoredGradient.topk`, with the same arguments and result.

    If ``upper``, a row is searched only at the columns after it in the order of the search.
    """
    best = Best(k, gradient, excluded, admissible)
    if not k or 0 in gradient.shape:
        return best.values, torch.stack([best.codes, best.codes])
    bounds, upper = Bounds.of(gradient), gradient.upper
    potential = bounds.a * bounds.b.max() + bounds.c
    rows = cols = potential.argsort(descending=True, stable=True)
    if not upper:
        cols = (bounds.b * bounds.a.max() + bounds.d).argsort(descending=True, stable=True)
    b, d = bounds.b[cols], bounds.d[cols]
    place = torch.arange(rows.numel(), device=rows.device)  # positions of this rank's rows
    place = place[torch.div(place, FIRST_ROWS, rounding_mode="floor") % ranks.size == ranks.rank]
    rows = rows[place]
    a, c, potential = (bound[rows] for bound in (bounds.a, bounds.c, potential))
    start, height, alone = 0, FIRST_ROWS, True
    while start < rows.numel():
        tile = slice(start, start + height)
        first = int(place[start]) if upper else 0
        if float(potential[start] + d[first:].max()) < best.enough:
            break
        most = torch.minimum(b * a[tile].max() + c[tile].max(), potential[start]) + d
        most[:first] = -torch.inf
        wanted = (most >= best.enough).nonzero().squeeze(1)
        seen = wanted.numel()
        while wanted.numel():
            columns, wanted = wanted[: ENTRIES // height], wanted[ENTRIES // height :]
            if columns.numel():
                values = gradient.block(rows[tile], cols[columns])
                if upper:
                    own = place[tile]
                    corner = values[:, : int(torch.searchsorted(columns, own[-1:], right=True))]
                    corner.masked_fill_(columns[: corner.size(1)] <= own.unsqueeze(1), -torch.inf)
                best.take(rows[tile], cols[columns], values)
            wanted = wanted[most[wanted] >= best.enough]
        start += height
        if FEW * seen < len(most) - first:
            height = min(2 * height, MOST_ROWS)
        if alone:
            best.exchange(ranks)
            alone = False
    if alone:
        best.exchange(ranks)
    best.exchange(ranks)
    return best.final()


class Best:
    """The ``k`` largest values so far, and the codes of their pairs.

    Of equal values, the first pair wins. Some values after the k-th are kept too.
    """

    def __init__(
        self, k: int, gradient: "FactoredGradient", excluded: Tensor, admissible: Admissible | None
    ) -> None:
        self.k, self.gradient, self.upper = k, gradient, gradient.upper
        self.columns = gradient.shape[1]
        self.excluded, self.admissible = excluded, admissible
        self.values, self.codes = gradient.left.new_empty(0), excluded.new_empty(0)
        self.lowest = torch.finfo(self.values.dtype).min

    @property
    def enough(self) -> float:
        """The smallest value of a pair that can still be among the best, in any tile."""
        if self.values.numel() < self.k:
            return self.lowest
        last = float(self.values[self.k - 1])
        return last - ROUNDING * abs(last) if isfinite(last) else last

    def exchange(self, ranks: Ranks) -> None:
        """Merges the best values of all ranks."""
        if ranks.size == 1:
            return
        count = torch.tensor([self.codes.numel()], device=self.codes.device)
        counts = ranks.gather(count, [1] * ranks.size).tolist()
        self._keep(ranks.gather(self.codes, counts), ranks.gather(self.values, counts))

    def final(self) -> tuple[Tensor, Tensor]:
        """The largest values [k'], decreasing, and their pairs [2, k']."""
        pairs = torch.stack([self.codes // self.columns, self.codes % self.columns])
        self.values = self.gradient.one_by_one(pairs)
        self._keep(self.codes, self.values)
        codes = self.codes[: self.k]
        return self.values[: self.k], torch.stack([codes // self.columns, codes % self.columns])

    def take(self, rows: Tensor, cols: Tensor, values: Tensor) -> None:
        """Merges the ``values`` [rows, cols] of a tile; overwrites ``values``.

        Constraints check the pairs of the largest values first, and more pairs only if too few of
        them are admissible: a degree test rejects some dozens of pairs before it accepts one.
        """
        count = self.k + ASKED
        while True:
            tops = values.amax(dim=1)
            bound = max(self.enough, _exceeded(tops if count <= tops.numel() else values, count))
            row = (tops >= bound).nonzero().squeeze(1)
            near, col = (values[row] >= bound).nonzero(as_tuple=True)
            row, found = row[near], values[row[near], col]
            if row.numel():
                self._merge(rows[row], cols[col], found)
            if bound <= self.enough:
                return
            values[row, col] = -torch.inf
            count *= 8

    def _merge(self, row: Tensor, col: Tensor, values: Tensor) -> None:
        if self.upper:
            row, col = torch.minimum(row, col), torch.maximum(row, col)
        codes = row * self.columns + col
        fresh = ~_member(codes, self.excluded)
        if self.admissible is not None:
            fresh[fresh.clone()] = self.admissible(row[fresh], col[fresh])
        self._keep(torch.cat([self.codes, codes[fresh]]), torch.cat([self.values, values[fresh]]))

    def _keep(self, codes: Tensor, values: Tensor) -> None:
        """Keep the best of ``values`` [K]; a pair may be among ``codes`` several times."""
        codes, order = codes.sort(stable=True)
        once = torch.ones_like(codes, dtype=torch.bool)
        once[1:] = codes[1:] != codes[:-1]
        codes, values = codes[once], values[order][once]
        values, best = values.sort(descending=True, stable=True)
        kept = self.k + KEPT
        self.values, self.codes = values[:kept], codes[best][:kept]


def _exceeded(values: Tensor, count: int) -> float:
    """The ``count``-th largest of ``values``, or -inf if they are fewer."""
    flat = values.flatten()
    return float(flat.topk(count).values[-1]) if count <= flat.numel() else -torch.inf


def _member(codes: Tensor, increasing: Tensor) -> Tensor:
    """BoolTensor [K]: which of ``codes`` [K] occur in ``increasing``, a sorted tensor."""
    if not increasing.numel():
        return torch.zeros_like(codes, dtype=torch.bool)
    place = torch.searchsorted(increasing, codes).clamp_(max=increasing.numel() - 1)
    return increasing[place] == codes
