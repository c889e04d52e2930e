"""The meta-gradient of a task at one graph, and the search for its best flips."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..constraints import Constraint, admissible, combine
from ..graph import FactoredGradient, PairState
from ..models import Params


@dataclass(frozen=True, eq=False)
class Flips:
    """Pairs to flip, best first.

    Args:
        pairs: LongTensor [2, K].
        added: BoolTensor [K], True where an edge appears.
        score: Tensor [K], the first-order gain in attack loss.
    """

    pairs: Tensor
    added: Tensor
    score: Tensor

    def __len__(self) -> int:
        return self.pairs.size(1)

    def take(self, keep: Tensor) -> "Flips":
        """Those at ``keep``, an index or mask."""
        return Flips(self.pairs[:, keep], self.added[keep], self.score[keep])


@dataclass(frozen=True, eq=False)
class MetaGradient:
    """``d attack_loss / d w``, through training, for every candidate pair.

    Args:
        loss: the attack loss after training, a float.
        params: the surrogate's parameters after training.
        state: the graph it was computed at.
        gradient: Tensor [M] for the listed pairs, or factors for all pairs of an open graph.
        residual: of the linear system behind it, as a share of its right-hand side, for a
            hypergradient that solves one.
    """

    loss: float
    params: Params
    state: PairState
    gradient: Tensor | FactoredGradient
    residual: float | None = None

    @property
    def values(self) -> Tensor:
        """One entry for each listed pair, in the order of ``state.index``, or for all pairs (0, 1),
        (0, 2), ... of an open graph (which takes N^2 / 2 numbers), Tensor [num_candidates]."""
        if isinstance(self.gradient, FactoredGradient):
            return self.gradient.dense()
        return self.gradient

    def topk(
        self,
        k: int,
        *,
        constraints: Sequence[Constraint] = (),
        allow_removals: bool = True,
        allow_additions: bool = True,
    ) -> Flips:
        r"""The ``k`` admissible flips of the largest score :math:`(1 - 2 w) \cdot \nabla_w`, or
        :math:`-w \cdot \nabla_w` for the removal of an edge of another weight than 1.

        Inadmissible are pairs that are no candidates, were flipped before, or that a constraint
        forbids as the graph is now. Fewer than ``k`` come back where fewer are left.
        """
        listed = self._listed(k, constraints, allow_removals, allow_additions)
        if not isinstance(self.gradient, FactoredGradient) or not allow_additions:
            return listed
        additions = combine([c.additions(self.state) for c in constraints])
        score, pairs = self.gradient.topk(k, self.state.pattern.codes, additions)
        both = Flips(
            torch.cat([listed.pairs, pairs], dim=1),
            torch.cat([listed.added, torch.ones_like(score, dtype=torch.bool)]),
            torch.cat([listed.score, score]),
        )
        return both.take(torch.argsort(both.score, descending=True, stable=True)[:k])

    def _listed(
        self,
        k: int,
        constraints: Sequence[Constraint],
        allow_removals: bool,
        allow_additions: bool,
    ) -> Flips:
        state = self.state
        gradient = self.gradient
        if isinstance(gradient, FactoredGradient):
            gradient = gradient.at(state.index)
        present = state.weight > 0
        allowed = admissible(state, constraints, allow_removals, allow_additions)
        score = torch.where(present, -state.weight.to(gradient.dtype) * gradient, gradient)
        score = torch.where(allowed, score, -torch.inf)
        top = score.topk(min(k, score.numel()))
        found = top.indices[top.values > -torch.inf]
        return Flips(state.index[:, found], ~present[found], score[found])
