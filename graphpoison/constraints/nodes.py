"""Conditions on single nodes: none loses its last edge, none is touched too often."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .._checks import in_range, positive_int
from ..graphs import PairState
from .base import Constraint, Predicate


@dataclass(frozen=True)
class NoSingletons(Constraint):
    """No node loses its last edge (the singleton filter of Zügner and Günnemann 2019)."""

    def additions(self, state: PairState) -> Predicate | None:
        return None

    def removals(self, state: PairState) -> Predicate | None:
        source_degree, target_degree = state.degrees
        return both_ends(source_degree > 1, target_degree > 1)

    def violation(self, clean: PairState, poisoned: PairState) -> str | None:
        sides = range(2 if clean.bipartite else 1)
        lost = sum(
            int(((clean.degrees[side] > 0) & (poisoned.degrees[side] == 0)).sum()) for side in sides
        )
        return f"{lost} nodes lost their last edge" if lost else None


@dataclass(frozen=True)
class NodeBudget(Constraint):
    """No node is an end of more than so many flips.

    Build with ``NodeBudget(3)``, or ``NodeBudget.fraction(0.5)`` for that share of the node's clean
    degree, rounded down. On a bipartite graph it holds for the nodes of both sides. Where features
    may be flipped, a flip of a node's feature counts as one at the node.

    Raises:
        ValueError: neither or both of ``flips`` and ``share``, or one out of range.
    """

    flips: int | None = None
    share: float | None = None

    def __post_init__(self) -> None:
        if (self.flips is None) == (self.share is None):
            raise ValueError(
                "give a NodeBudget either flips or a share: NodeBudget(3) or .fraction(0.5)."
            )
        if self.flips is not None:
            positive_int("flips", self.flips, minimum=0)
        if self.share is not None:
            in_range("share", self.share, 0.0, float("inf"))

    @classmethod
    def fraction(cls, share: float) -> "NodeBudget":
        """``share`` of each node's clean degree; nodes whose share is below 1 stay untouched."""
        return cls(share=share)

    def additions(self, state: PairState) -> Predicate | None:
        source_left, target_left = self._left(state)
        return both_ends(source_left > 0, target_left > 0)

    def removals(self, state: PairState) -> Predicate | None:
        return self.additions(state)

    def feature_flips(self, state: PairState) -> Predicate | None:
        left, _ = self._left(state)
        return lambda node, feature: (left[node] > 0) & (feature >= 0)

    def violation(self, clean: PairState, poisoned: PairState) -> str | None:
        sides = self._left(poisoned)[: 2 if clean.bipartite else 1]
        over = sum(int((left < 0).sum()) for left in sides)
        return f"{over} nodes are in more flips than allowed" if over else None

    def _left(self, state: PairState) -> tuple[Tensor, Tensor]:
        """How many more flips each source and each target may be in."""
        made = state.count_ends(state.index[:, state.flipped])
        if state.features is not None:
            entries = state.features.index[0, state.features.flipped]
            total = made[0] + torch.bincount(entries, minlength=state.shape[0])
            made = total, total
        if self.flips is not None:
            return self.flips - made[0], self.flips - made[1]
        assert self.share is not None
        source, target = ((self.share * degree.double() + 1e-9) for degree in state.clean_degrees)
        return source.floor() - made[0], target.floor() - made[1]


def both_ends(source_allowed: Tensor, target_allowed: Tensor) -> Predicate:
    """Pairs of which both ends are allowed, given BoolTensors of the sources and the targets."""

    def allowed(source: Tensor, target: Tensor) -> Tensor:
        return source_allowed[source] & target_allowed[target]

    return allowed
