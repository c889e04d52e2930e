"""Attacks that follow a rule of thumb about labels or degrees, and no gradient."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from .._checks import choice, in_range
from .._random import derive_seed, generator, numpy_generator
from ..constraints import Constraint, Predicate, check_constraints
from ..graph import FactoredGradient, PairState
from ..hypergradient import Flips, MetaGradient
from ..tasks import NodeClassification, Task
from .base import Attack, Proposal
from .baselines import MAX_ROUNDS, RandomAttack

_REMOVALS, _ADDITIONS = range(2)  # streams of the seed


@dataclass(frozen=True)
class DICE(Attack):
    """Delete internally, connect externally (Waniek et al. 2018).

    Each flip is with probability ``removal_share`` the removal of an edge between two nodes of one
    class, otherwise an edge between two nodes of different classes; which, is drawn uniformly.
    Where one kind has run out, the other takes its place, unless its share is 0. As in Zügner
    and Günnemann (2019), the attacker knows all true labels, those of the test nodes too: more
    than a meta-gradient attack is told.

    Args:
        constraints: conditions that hold after every flip.
        removal_share: how likely a flip is a removal.

    Raises:
        TypeError: the task has no classes of nodes.
    """

    constraints: Sequence[Constraint] = ()
    removal_share: float = 0.5

    def __post_init__(self) -> None:
        check_constraints(self.constraints)
        in_range("removal_share", self.removal_share, 0.0, 1.0)

    @property
    def allow_removals(self) -> bool:
        return self.removal_share > 0

    @property
    def allow_additions(self) -> bool:
        return self.removal_share < 1

    def propose(self, task: Task, state: PairState, limit: int, seed: int, step: int) -> Proposal:
        if not isinstance(task, NodeClassification):
            raise TypeError(
                f"DICE goes by the classes of nodes, which {task.describe()} has none of; use "
                "DegreeAttack or RandomAttack."
            )
        rng = numpy_generator(seed, step)
        rules = (*self.constraints, _ByClass(task.labels))

        def draw(kind: int, count: int) -> Flips:
            attack = RandomAttack(rules, kind == _REMOVALS, kind == _ADDITIONS)
            return _drawn(attack, task, state, count, derive_seed(seed, step, kind))

        removed = draw(_REMOVALS, int(rng.binomial(limit, self.removal_share)))
        added = draw(_ADDITIONS, limit - len(removed) if self.removal_share < 1 else 0)
        if self.removal_share and len(removed) + len(added) < limit:
            removed = draw(_REMOVALS, limit - len(added))
        order = rng.permutation(len(removed) + len(added))
        return Proposal(_joined([removed, added]).take(torch.from_numpy(order).to(task.labels)))


@dataclass(frozen=True)
class DegreeAttack(Attack):
    """Flip the pairs whose nodes have the largest, or smallest, sum of degrees.

    The degree baseline of Bojchevski and Günnemann (2019). On interactions with additions only it
    has the most active users take up the most popular items. Degrees are those of the clean graph,
    ties are broken at random; of an open graph's pairs all are looked at, a tile at a time.

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
        check_constraints(self.constraints)
        choice("order", self.order, ["highest", "lowest"])
        if not (self.allow_removals or self.allow_additions):
            raise ValueError("allow_removals and allow_additions are both off: nothing to flip.")

    def propose(self, task: Task, state: PairState, limit: int, seed: int, step: int) -> Proposal:
        sign = 1.0 if self.order == "highest" else -1.0
        sources, targets = (sign * degree for degree in _untied(task.state, seed))
        listed = sources[state.index[0]] + targets[state.index[1]]
        scores = _sums(sources, targets, state.bipartite) if state.open else listed
        found = []
        if self.allow_additions:
            ranked = MetaGradient(torch.nan, (), state, scores)
            found += [ranked.topk(limit, constraints=self.constraints, allow_removals=False)]
        if self.allow_removals:
            unweighted = replace(state, weight=(state.weight > 0).to(state.weight))
            ranked = MetaGradient(torch.nan, (), unweighted, -listed)
            found += [ranked.topk(limit, constraints=self.constraints, allow_additions=False)]
        flips = _joined(found)
        flips = flips.take(torch.argsort(flips.score, descending=True)[:limit])
        return Proposal(replace(flips, score=torch.full_like(flips.score, torch.nan)))


@dataclass(frozen=True, eq=False)
class _ByClass(Constraint):
    """Edges go within a class and come between classes, of nodes with ``labels`` [N]."""

    labels: Tensor

    def additions(self, state: PairState) -> Predicate:
        return lambda source, target: self.labels[source] != self.labels[target]

    def removals(self, state: PairState) -> Predicate:
        return lambda source, target: self.labels[source] == self.labels[target]

    def violation(self, clean: PairState, poisoned: PairState) -> None:
        return None


def _drawn(attack: RandomAttack, task: Task, state: PairState, count: int, seed: int) -> Flips:
    """``count`` flips, or as many as there are: draws until what constraints refuse is made up."""
    none = state.index[:, :0]
    found = [Flips(none, none[0] > 0, state.weight[:0])]
    for step in range(MAX_ROUNDS if count else 0):
        found.append(attack.propose(task, state, count, seed, step).flips)
        state, count = state.flip(found[-1].pairs), count - len(found[-1])
        if not (count and len(found[-1])):
            break
    return _joined(found)


def _joined(flips: Sequence[Flips]) -> Flips:
    return Flips(
        torch.cat([part.pairs for part in flips], dim=1),
        torch.cat([part.added for part in flips]),
        torch.cat([part.score for part in flips]),
    )


def _untied(state: PairState, seed: int) -> tuple[Tensor, Tensor]:
    """Degrees of sources and targets, plus less than a quarter that tells equal ones apart."""
    draw = generator(seed)
    sources, targets = (
        degree + torch.rand(degree.shape, generator=draw, dtype=torch.float64).to(degree.device) / 4
        for degree in state.degrees
    )
    return sources, targets if state.bipartite else sources


def _sums(sources: Tensor, targets: Tensor, bipartite: bool) -> FactoredGradient:
    """``sources[i] + targets[j]`` for every pair of an open graph."""
    if not bipartite:
        nothing = sources.new_empty(sources.numel(), 0)
        return FactoredGradient.symmetric(nothing, nothing, sources)
    left = torch.stack([sources, torch.ones_like(sources)], dim=1)
    right = torch.stack([torch.ones_like(targets), targets], dim=1)
    return FactoredGradient(left, right, upper=False)
