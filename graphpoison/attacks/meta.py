"""Greedy attacks by meta-gradient."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from .._checks import positive_int
from .._random import generator
from ..constraints import Constraint, check_constraints
from ..graph import PairState
from ..hypergradient import Hypergradient, Unrolled
from ..tasks import Task
from .base import Attack, Proposal


@dataclass(frozen=True)
class MetaAttack(Attack):
    r"""Flip the pair with the largest meta-gradient score, retrain, repeat.

    .. math::
        e' = \arg\max_{(u, v)} \; (1 - 2 w_{uv}) \, \nabla_{w_{uv}}
        \text{attack\_loss}(\theta_T(w), w)

    On a recommender with additions only this is Algorithm 1 of the thesis; on a node classifier it
    is Metattack (Zügner and Günnemann 2019, equation 9). Where a task has ``feature_candidates``,
    flips of features and of edges compete by the same score, within one budget.

    Args:
        gradient: how to differentiate through training.
        flips_per_step: flips made from one meta-gradient, before the next.
        constraints: conditions that hold after every flip.
        allow_removals: whether edges may be removed, and features set to 0.
        allow_additions: whether edges may be added, and features set to 1.
        redraw: whether the surrogate starts from fresh parameters at every step, rather than from
            the same ones.
    """

    gradient: Hypergradient = field(default_factory=Unrolled)
    flips_per_step: int = 1
    constraints: Sequence[Constraint] = ()
    allow_removals: bool = True
    allow_additions: bool = True
    redraw: bool = False

    flips_features: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.gradient, Hypergradient):
            raise TypeError(
                f"gradient must be a Hypergradient such as Unrolled(), found {self.gradient!r}."
            )
        positive_int("flips_per_step", self.flips_per_step)
        check_constraints(self.constraints)
        if not (self.allow_removals or self.allow_additions):
            raise ValueError("allow_removals and allow_additions are both off: nothing to flip.")

    def bind(self, task: Task, seed: int) -> Task:
        return self.gradient.bind(task, seed)

    def propose(self, task: Task, state: PairState, limit: int, seed: int, step: int) -> Proposal:
        draw = generator(seed, step + 1) if self.redraw else generator(seed)
        found = self.gradient.at(task, state, task.init(draw))
        flips = found.topk(
            min(self.flips_per_step, limit),
            constraints=self.constraints,
            allow_removals=self.allow_removals,
            allow_additions=self.allow_additions,
        )
        return Proposal(flips, found.loss)
