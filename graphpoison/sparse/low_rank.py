r"""Sums of products of factors, rewritten with fewer or sparser factors.

A gradient w.r.t. all pairs is a sum :math:`\sum_k L_k R_k^\top` with one term for each step of
training and layer. Few nodes are labelled, so many factors are zero outside the labelled nodes and
their neighbours. Two reductions are exact, and symmetric in the two sides:

- a factor that is mostly zeros is kept as a sparse matrix;
- terms with one side that is nonzero only on few rows R are added up into a single N x R matrix, if
  together they are wider than R: :math:`\sum_k L_k R_k^\top = E_R (\sum_k L_{k,R} R_k^\top)`.

A third reduction is exact up to rounding: terms of successive iterates hardly differ, and
:meth:`FactorSum.record` keeps only as many columns as their sum has singular values above rounding.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SPARSE_BELOW = 0.05
"""The share of non-zeros under which a factor is multiplied as a sparse matrix."""

RECORDED_COLUMNS = 256
"""Columns that are recorded before they are reduced to their rank."""

Factors = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class SparseFactor:
    """A product ``wide @ thin.T`` with a sparse ``thin`` [N, K].

    Args:
        wide: Tensor [N, K].
        row, col: LongTensor [nnz], positions of the nonzero entries of ``thin``.
        values: Tensor [nnz], the values of these entries.
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
    """Left [N, K] and right [M, K] factors that represent the sum of products ``left @ right.T``.

    ``append`` stores a term unchanged; :meth:`record` also bounds the number of columns.
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

    For ``Y = A H`` with cotangent ``G``, the gradient w.r.t. the dense ``A`` is ``G H^T``, also
    where ``A`` has no entry. :func:`~graphpoison.sparse.spmm` records ``(G, H)`` in each backward
    pass to its weights that builds no further autograd graph (the outer pass of a meta-gradient).
    ``sparse_terms`` holds terms with one sparse factor.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sparse_terms: list[SparseFactor] = []


def low_rank(factors: Sequence[Factors]) -> Factors:
    """One pair of factors with the same sum of products, up to the precision of their type."""
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

    For symmetric gradients, where ``left @ right.T`` and ``right @ left.T`` are equivalent.
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
    """Both sides, the side with fewer nonzero rows last, and the number of these rows."""
    count, other = int(_support(left).sum()), int(_support(right).sum())
    return (right, left, count) if count < other else (left, right, other)


def _support(factor: Tensor) -> Tensor:
    return (factor != 0).any(dim=1)


def _concatenated(factors: Sequence[Factors]) -> Factors:
    left, right = zip(*factors, strict=True)
    return torch.cat(left, dim=1), torch.cat(right, dim=1)
