"""DICE (Waniek et al. 2018): delete internally, connect externally."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .._checks import in_range
from .._random import derive_seed, numpy_generator
from ..constraints import Constraint, Predicate
from ..graphs import PairState
from ..hypergradient import Flips
from ..tasks import NodeClassification, Task
from .base import Attack, Proposal, check_kinds
from .random import MAX_ROUNDS, RandomAttack

_REMOVALS, _ADDITIONS = range(2)  # streams of the seed


@dataclass(frozen=True)
class DICE(Attack):
    """Delete internally, connect externally (Waniek et al. 2018).

    With probability ``removal_share`` a flip removes an edge between two nodes of one class,
    otherwise it adds an edge between two nodes of different classes; the pair is drawn uniformly.
    If no edge can be removed any more, edges are added instead, unless ``removal_share`` is 1; if
    no edge can be added, edges are removed instead, unless ``removal_share`` is 0.
    As in Zügner and Günnemann (2019), the attacker knows all true labels, including the labels of
    the test nodes. A meta-gradient attack knows the true labels outside the training nodes only
    with ``NodeClassification(labels="oracle")``.

    Args:
        constraints: conditions that hold after every flip.
        removal_share: the probability that a flip is a removal, in [0, 1].

    Raises:
        TypeError: the task has no classes of nodes.
    """

    constraints: Sequence[Constraint] = ()
    removal_share: float = 0.5

    def __post_init__(self) -> None:
        check_kinds(self.constraints)
        in_range("removal_share", self.removal_share, 0.0, 1.0)

    @property
    def allow_removals(self) -> bool:
        return self.removal_share > 0

    @property
    def allow_additions(self) -> bool:
        return self.removal_share < 1

    def propose(
        self, task: Task[Any], state: PairState, limit: int, seed: int, step: int
    ) -> Proposal:
        if not isinstance(task, NodeClassification):
            raise TypeError(
                f"DICE needs classes of nodes, and {task.describe()} has none; use DegreeAttack or "
                "RandomAttack."
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
        return Proposal(removed.then(added).take(torch.from_numpy(order).to(task.labels)))


@dataclass(frozen=True, eq=False)
class _ByClass(Constraint):
    """Removes edges within a class, adds edges between classes; the classes are ``labels`` [N]."""

    labels: Tensor

    def additions(self, state: PairState) -> Predicate:
        return lambda source, target: self.labels[source] != self.labels[target]

    def removals(self, state: PairState) -> Predicate:
        return lambda source, target: self.labels[source] == self.labels[target]

    def violation(self, clean: PairState, poisoned: PairState) -> None:
        return None


def _drawn(attack: RandomAttack, task: Task[Any], state: PairState, count: int, seed: int) -> Flips:
    """Draws up to ``count`` flips; pairs that constraints refuse are drawn again."""
    found = Flips.none(state)
    for step in range(MAX_ROUNDS if count else 0):
        drawn = attack.propose(task, state, count, seed, step).flips
        found, state, count = found.then(drawn), drawn.made(state), count - len(drawn)
        if not (count and len(drawn)):
            break
    return found
