r"""Node features, multiplied as a sparse matrix if most of them are zero.

Binary features are a bipartite graph of nodes and features. Its entries are flipped as
edges are, and the gradient w.r.t. *every* entry has low rank for the same reason: for
:math:`Y = X H` with cotangent G it is :math:`G H^\top`, also where X is 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from ..sparse.factored import FactoredGradient
from ..sparse.low_rank import PairTape
from ..sparse.pattern import Pattern
from ..sparse.products import spmm
from ..sparse.sparse_product import SparseRows
from .pairs import PairState

SPARSE_BELOW = 0.1  # below this share of non-zeros the sparse product was faster


@dataclass(frozen=True, eq=False)
class Features:
    """A matrix ``x`` [N, F], e.g. a bag of words.

    Args:
        x: Tensor [N, F].
        listed: the pattern of its listed entries and their values [M], if known.
        tape: collects the factors of the gradient w.r.t. all entries; None if the features are not
            attacked.
    """

    x: Tensor
    listed: tuple[Pattern, Tensor] | None = None
    tape: PairTape | None = None

    def at(self, entries: PairState) -> "Features":
        """The features after the flips of ``entries``, the state of the pairs (node, feature)."""
        values, x = entries.weight.to(self.x.dtype), self.x
        if bool(entries.flipped.any()):
            x = x.clone()
            x[tuple(entries.index[:, entries.flipped])] = values[entries.flipped]
        return Features(x, (entries.pattern, values), PairTape())

    def with_values(self, values: Sequence[Tensor]) -> "Features":
        """The same matrix with other :attr:`values`, e.g. a leaf tensor."""
        if not values:
            return self
        assert self.listed is not None
        return replace(self, listed=(self.listed[0], values[0]))

    @property
    def num_features(self) -> int:
        return self.x.size(1)

    @property
    def values(self) -> tuple[Tensor, ...]:
        """The listed entries [M], w.r.t. which a meta-gradient is taken; empty without a tape."""
        return () if self.tape is None or self.listed is None else self.listed[1:]

    @cached_property
    def _sparse(self) -> tuple[Pattern, Tensor] | None:
        if self.listed is not None:
            return self.listed
        row, col = self.x.nonzero(as_tuple=True)
        if row.numel() >= SPARSE_BELOW * self.x.numel():
            return None
        shape = (self.x.size(0), self.x.size(1))
        return Pattern(row, col, shape), self.x[row, col]

    def matmul(self, dense: Tensor) -> Tensor:
        """``x @ dense`` for ``dense`` [F, D]."""
        if self._sparse is None:
            return self.x @ dense
        return spmm(*self._sparse, dense, tape=self.tape)

    def transposed_matmul(self, dense: Tensor) -> Tensor:
        """``x.T @ dense`` for ``dense`` [N, D]."""
        if self._sparse is None:
            return self.x.t() @ dense
        return spmm(*self._sparse, dense, transposed=True, tape=self.tape)

    def all_entries(self) -> FactoredGradient:
        """The gradient w.r.t. every entry, from the tape's factors."""
        if self.tape is None:
            raise ValueError("these features have no tape: they are not attacked.")
        none = [(self.x[:, :0], self.x[:0].t())]
        left, right = zip(*none, *self.tape, strict=True)
        return FactoredGradient(
            torch.cat(left, dim=1).detach(),
            torch.cat(right, dim=1).detach(),
            upper=False,
            residual_term=SparseRows.of(self.tape.sparse_terms, self.x.size(0))
            if self.tape.sparse_terms
            else None,
        )
