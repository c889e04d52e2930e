"""Flips by degree only, the baseline of Bojchevski and Günnemann (2019)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from .._checks import choice
from .._random import generator
from ..constraints import Constraint
from ..graphs import PairState
from ..hypergradient import Flips, MetaGradient
from ..sparse import FactoredGradient
from ..tasks import Task
from .base import Attack, Proposal, check_kinds


@dataclass(frozen=True)
class DegreeAttack(Attack):
    """Flip the pairs whose nodes have the largest, or smallest, sum of degrees.

    The degree baseline of Bojchevski and Günnemann (2019). On interactions with additions only, the
    most active users gain the most popular items. Degrees are computed on the clean graph, and ties
    are broken at random. All implicit candidates are examined, a tile at a time.

    Args:
        constraints: conditions that hold after every flip.
        order: ``"highest"`` or ``"lowest"`` degrees first.
        allow_removals: whether edges may be removed too.
        allow_additions: whether edges may be added.
    """

    constraints: Sequence[Constraint] = ()
    order: Literal["highest", "lowest"] = "highest"
    allow_removals: bool = False
    allow_additions: bool = True

    def __post_init__(self) -> None:
        check_kinds(self.constraints, self.allow_removals, self.allow_additions)
        choice("order", self.order, ["highest", "lowest"])

    def propose(
        self, task: Task[Any], state: PairState, limit: int, seed: int, step: int
    ) -> Proposal:
        sign = 1.0 if self.order == "highest" else -1.0
        sources, targets = (sign * degree for degree in _untied(task.state, seed))
        listed = sources[state.index[0]] + targets[state.index[1]]
        scores = _sums(sources, targets, state.bipartite) if state.implicit_candidates else listed
        flips = Flips.none(state)
        if self.allow_additions:
            ranked = MetaGradient(torch.nan, (), state, scores)
            flips = ranked.topk(limit, constraints=self.constraints, allow_removals=False)
        if self.allow_removals:
            unweighted = replace(state, weight=(state.weight > 0).to(state.weight))
            ranked = MetaGradient(torch.nan, (), unweighted, -listed)
            removed = ranked.topk(limit, constraints=self.constraints, allow_additions=False)
            flips = flips.then(removed)
        flips = flips.take(torch.argsort(flips.score, descending=True)[:limit])
        return Proposal(replace(flips, score=torch.full_like(flips.score, torch.nan)))


def _untied(state: PairState, seed: int) -> tuple[Tensor, Tensor]:
    """Degrees of sources and targets, plus random numbers below 1/4 that break ties."""
    draw = generator(seed)
    sources, targets = (
        degree + torch.rand(degree.shape, generator=draw, dtype=torch.float64).to(degree.device) / 4
        for degree in state.degrees
    )
    return sources, targets if state.bipartite else sources


def _sums(sources: Tensor, targets: Tensor, bipartite: bool) -> FactoredGradient:
    """``sources[i] + targets[j]`` for every pair (i, j), as factors."""
    if not bipartite:
        nothing = sources.new_empty(sources.numel(), 0)
        return FactoredGradient.symmetric(nothing, nothing, sources)
    left = torch.stack([sources, torch.ones_like(sources)], dim=1)
    right = torch.stack([torch.ones_like(targets), targets], dim=1)
    return FactoredGradient(left, right, upper=False)
