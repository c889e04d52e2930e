r"""The same sum of products with fewer, or sparser, factors.

A gradient w.r.t. all pairs arrives as :math:`\sum_k L_k R_k^\top` with one term for each step of
training and layer. Training sees few labelled nodes, so many factors are zero outside those nodes
and their neighbours. Two reductions, both exact and both symmetric in the two sides:

- a factor that is mostly zeros is kept as a sparse matrix;
- terms whose one side lives on few rows R are added up into a single N x R matrix, once they are
  wider than that together: :math:`\sum_k L_k R_k^\top = E_R (\sum_k L_{k,R} R_k^\top)`.

A third is exact to rounding: terms of successive iterates hardly differ, and
:meth:`FactorSum.record` keeps no more columns than their sum has singular values that count.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SPARSE_BELOW = 0.05
"""The share of non-zeros under which a factor is multiplied as a sparse matrix."""

RECORDED_COLUMNS = 256
"""Columns that are recorded before their rank is looked at."""

Factors = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class SparseFactor:
    """A product ``wide @ thin.T`` with a sparse ``thin`` [N, K].

    Args:
        wide: Tensor [N, K].
        row, col: LongTensor [nnz], where ``thin`` is not zero.
        values: Tensor [nnz], what it is there.
    """

    wide: Tensor
    row: Tensor
    col: Tensor
    values: Tensor

    @classmethod
    def of_rows(cls, wide: Tensor, rows: Tensor) -> "SparseFactor":
        """``wide`` [N, K] times the indicator [N, K] of K distinct ``rows``."""
        place = torch.arange(rows.numel(), device=rows.device)
        return cls(wide, rows, place, wide.new_ones(rows.numel()))


class FactorSum(list[Factors]):
    """Left [N, K] and right [M, K] factors, of which the sum of products ``left @ right.T`` counts.

    Whatever is appended stays as it is; :meth:`record` bounds the number of columns.
    """

    def __init__(self) -> None:
        super().__init__()
        self.limit = RECORDED_COLUMNS

    def record(self, left: Tensor, right: Tensor) -> None:
        """Add one term, in memory that does not grow with the number of terms."""
        self.append((left, right))
        if sum(term.size(1) for term, _ in self) > self.limit:
            self[:] = [low_rank(self)]
            self.limit = max(RECORDED_COLUMNS, 2 * self[0][0].size(1))


class PairTape(FactorSum):
    """Left and right factors whose sum of products is the gradient w.r.t. *every* matrix entry.

    For ``Y = A H`` with cotangent ``G`` the gradient w.r.t. the dense ``A`` is ``G H^T``, also
    where ``A`` has no entry. :func:`~graphpoison.sparse.spmm` records ``(G, H)`` whenever a
    backward pass that builds no further graph goes through it towards the weights (the outer,
    meta-level pass); ``sparse_terms`` holds terms with one sparse factor.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sparse_terms: list[SparseFactor] = []


def low_rank(factors: Sequence[Factors]) -> Factors:
    """One pair of factors with the same sum of products, to the precision of their type."""
    whole = _concatenated(factors)
    (left, left_corner), (right, right_corner) = map(torch.linalg.qr, whole)
    corner = left_corner @ right_corner.t()
    if not bool(torch.isfinite(corner).all()):
        return whole
    turn_left, size, turn_right = torch.linalg.svd(corner, full_matrices=False)
    kept = int((size > torch.finfo(size.dtype).eps * size[0]).sum())
    return left @ (turn_left * size)[:, :kept], right @ turn_right[:kept].t()


def reduce_factors(factors: Sequence[Factors]) -> tuple[list[SparseFactor], list[Factors]]:
    """Sparse products and dense pairs (left [N, K], right [N, K]) with the same sum.

    ``left @ right.T`` counts the same as ``right @ left.T``: meant for symmetric gradients.
    """
    thin: list[SparseFactor] = []
    dense: list[Factors] = []
    narrow: dict[int, list[Factors]] = defaultdict(list)
    for left, right in factors:
        wide, other, support = _narrower_last(left.detach(), right.detach())
        if int(other.count_nonzero()) < SPARSE_BELOW * other.numel():
            row, col = other.nonzero(as_tuple=True)
            thin.append(SparseFactor(wide, row, col, other[row, col]))
        elif 2 * support < other.size(0):
            narrow[support.bit_length()].append((wide, other))
        else:
            dense.append((wide, other))
    for group in narrow.values():
        wide, other = _concatenated(group)
        rows = _support(other).nonzero().squeeze(1)
        if wide.size(1) > rows.numel():
            thin.append(SparseFactor.of_rows(wide @ other[rows].t(), rows))
        else:
            dense.append((wide, other))
    return thin, dense


def _narrower_last(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor, int]:
    """Both sides, the one that is zero on more rows last, and how many rows it lives on."""
    count, other = int(_support(left).sum()), int(_support(right).sum())
    return (right, left, count) if count < other else (left, right, other)


def _support(factor: Tensor) -> Tensor:
    return (factor != 0).any(dim=1)


def _concatenated(factors: Sequence[Factors]) -> Factors:
    left, right = zip(*factors, strict=True)
    return torch.cat(left, dim=1), torch.cat(right, dim=1)
