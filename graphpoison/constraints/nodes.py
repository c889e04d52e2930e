"""Conditions on single nodes: the last edge, the number of flips, nodes that are off limits."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from .._checks import choice, in_range, indices, positive_int
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
    """Limits the number of flips at each node.

    Build with ``NodeBudget(3)``, or ``NodeBudget.fraction(0.5)`` for a share of the node's clean
    degree, rounded down. ``NodeBudget.fraction(0.25, side="source")`` lets a quarter of each user's
    profile change. If features may be flipped, a flip of a node's feature counts as a flip at the
    node.

    Args:
        flips: the largest number of flips that a node may be in.
        share: the same as a share of the node's clean degree, rounded down.
        side: the side of a bipartite graph that the limit holds for.

    Raises:
        ValueError: neither or both of ``flips`` and ``share``, or one out of range.
    """

    flips: int | None = None
    share: float | None = None
    side: Literal["both", "source", "target"] = "both"

    monotone: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if (self.flips is None) == (self.share is None):
            raise ValueError(
                "give a NodeBudget either flips or a share: NodeBudget(3) or .fraction(0.5)."
            )
        if self.flips is not None:
            positive_int("flips", self.flips, minimum=0)
        if self.share is not None:
            in_range("share", self.share, 0.0, float("inf"))
        choice("side", self.side, ["both", "source", "target"])

    @classmethod
    def fraction(
        cls, share: float, side: Literal["both", "source", "target"] = "both"
    ) -> "NodeBudget":
        """A limit of ``share`` times each node's clean degree; below 1, no flip is allowed."""
        return cls(share=share, side=side)

    def additions(self, state: PairState) -> Predicate | None:
        source_left, target_left = self.left(state)
        return both_ends(source_left > 0, target_left > 0)

    def removals(self, state: PairState) -> Predicate | None:
        return self.additions(state)

    def feature_flips(self, state: PairState) -> Predicate | None:
        left, _ = self.left(state)
        return lambda node, feature: (left[node] > 0) & (feature >= 0)

    def violation(self, clean: PairState, poisoned: PairState) -> str | None:
        sides = self.left(poisoned)[: 2 if clean.bipartite else 1]
        over = sum(int((left < 0).sum()) for left in sides)
        return f"{over} nodes are in more flips than allowed" if over else None

    def left(self, state: PairState) -> tuple[Tensor, Tensor]:
        """The number of flips left for each source and for each target; inf on a side without a
        limit."""
        made = state.count_ends(state.index[:, state.flipped])
        if state.features is not None:
            entries = state.features.index[0, state.features.flipped]
            total = made[0] + torch.bincount(entries, minlength=state.shape[0])
            made = total, total
        left = tuple(
            self._allowed(degree) - count
            for degree, count in zip(state.clean_degrees, made, strict=True)
        )
        if state.bipartite and self.side != "both":
            free = 1 if self.side == "source" else 0
            left = tuple(
                torch.full_like(part, torch.inf) if side == free else part
                for side, part in enumerate(left)
            )
        return left[0], left[1]

    def _allowed(self, degree: Tensor) -> Tensor:
        """The number of flips of nodes with a clean ``degree`` [N], float64."""
        if self.flips is not None:
            return torch.full_like(degree, self.flips, dtype=torch.float64)
        assert self.share is not None
        return (self.share * degree.double() + 1e-9).floor()


@dataclass(frozen=True)
class OffLimits(Constraint):
    """No flip touches one of ``sources``.

    In a bipartite graph these are users that the attacker cannot reach. In a homogeneous graph they
    are nodes that are at neither end of a flip.

    Args:
        sources: indices, a LongTensor or a sequence of integers.

    Raises:
        TypeError, ValueError: indices that are no integers, or below 0.
    """

    sources: Sequence[int] | Tensor

    monotone: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", indices("sources", self.sources))

    def additions(self, state: PairState) -> Predicate | None:
        free = torch.ones(state.shape[0], dtype=torch.bool, device=state.weight.device)
        free[self._index(state)] = False
        if state.bipartite:
            return lambda source, target: free[source] & (target >= 0)
        return both_ends(free, free)

    def removals(self, state: PairState) -> Predicate | None:
        return self.additions(state)

    def feature_flips(self, state: PairState) -> Predicate | None:
        return self.additions(replace(state, bipartite=True))

    def violation(self, clean: PairState, poisoned: PairState) -> str | None:
        flipped, index = poisoned.index[:, poisoned.flipped], self._index(poisoned)
        ends = flipped[:1] if clean.bipartite else flipped
        touched = int(torch.isin(ends, index).any(dim=0).sum())
        return f"{touched} flips touch nodes that are off limits" if touched else None

    def _index(self, state: PairState) -> Tensor:
        index = torch.tensor(self.sources, dtype=torch.long, device=state.weight.device)
        if index.numel() and int(index.max()) >= state.shape[0]:
            raise ValueError(
                f"sources has index {int(index.max())}, but the graph has {state.shape[0]} "
                f"(0 to {state.shape[0] - 1})."
            )
        return index


def both_ends(source_allowed: Tensor, target_allowed: Tensor) -> Predicate:
    """Pairs of which both ends are allowed, given BoolTensors of the sources and the targets."""

    def allowed(source: Tensor, target: Tensor) -> Tensor:
        return source_allowed[source] & target_allowed[target]

    return allowed
