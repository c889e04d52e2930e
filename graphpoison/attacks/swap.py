"""A greedy attack whose flips are undone and made anew, as long as that helps."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .._checks import in_range, positive_int
from .._random import generator
from ..constraints import Constraint
from ..graphs import PairState
from ..hypergradient import Flips, MetaGradient
from ..hypergradient.meta_gradient import flip_scores
from ..tasks import Task
from ..training import Training
from .base import Proposal, accept_in_turn
from .meta import MetaAttack
from .surrogate import SurrogateAttack


@dataclass(frozen=True)
class SwapSearch(SurrogateAttack):
    r"""Make all flips greedily; then undo the flips that matter least and make others.

    The first flips of a greedy attack are chosen on a graph that the later flips change. A round
    takes the meta-gradient of the whole poisoned graph, undoes the share of flips whose undoing
    costs the least attack loss to first order, and lets the greedy attack spend the budget anew.
    The round counts if the attack loss grows; else the next one undoes half as many. The search
    ends after ``rounds`` of them, or where a single flip is undone in vain.

    All flips are of one step, and the flips of a smaller budget are another attack's: a prefix is a
    weaker attack than a search with that budget.

    Args:
        attack: makes the flips.
        rounds: of undoing and making anew.
        share: of the flips that the first round undoes.

    Raises:
        TypeError, ValueError: a setting is out of range.
    """

    attack: MetaAttack = field(default_factory=MetaAttack)
    rounds: int = 12
    share: float = 0.1

    def __post_init__(self) -> None:
        if not isinstance(self.attack, MetaAttack):
            raise TypeError(f"attack must be a MetaAttack, found {self.attack!r}.")
        positive_int("rounds", self.rounds, minimum=0)
        in_range("share", self.share, 0.0, 1.0, open_low=True)

    @property
    def training(self) -> Training:  # type: ignore[override]
        return self.attack.training

    @property
    def constraints(self) -> Sequence[Constraint]:  # type: ignore[override]
        return self.attack.constraints

    @property
    def allow_removals(self) -> bool:
        return self.attack.allow_removals

    @property
    def allow_additions(self) -> bool:
        return self.attack.allow_additions

    def propose(
        self, task: Task[Any], state: PairState, limit: int, seed: int, step: int
    ) -> Proposal:
        flips, loss = self._spend(task, state, Flips.none(state), limit, seed)
        found, share = self._gradient(task, flips.made(state), seed), self.share
        for _ in range(self.rounds):
            count = int(share * len(flips))
            if not count:
                break
            kept = _without_least(found, flips, count)
            other, _ = self._spend(task, state, kept, limit, seed)
            after = self._gradient(task, other.made(state), seed)
            if len(other) >= len(flips) and after.loss > found.loss:
                flips, found = other, after
            else:
                share /= 2
        return Proposal(flips, loss)

    def _spend(
        self, task: Task[Any], state: PairState, flips: Flips, limit: int, seed: int
    ) -> tuple[Flips, float]:
        """``flips``, then greedy ones up to ``limit`` in all; the attack loss before the latter."""
        current, loss = flips.made(state), float("nan")
        while (done := len(flips)) < limit:
            proposal = self.attack.propose(task, current, limit - done, seed, done)
            made = accept_in_turn(proposal.flips, current, self.constraints, limit - done)
            loss = loss if loss == loss else proposal.attack_loss
            if not len(made):
                break
            current, flips = made.made(current), flips.then(made)
        return flips, loss

    def _gradient(self, task: Task[Any], state: PairState, seed: int) -> MetaGradient:
        return self.attack.hypergradient.at(task, self.training, state, task.init(generator(seed)))


def _without_least(found: MetaGradient, flips: Flips, count: int) -> Flips:
    """``flips`` without the ``count`` whose undoing loses least, or wins most, to first order."""
    weight = found.state.weight[found.state.locate(flips.pairs)]
    undoing = flip_scores(weight, found.at(flips.pairs))
    kept = undoing.argsort(stable=True)[: len(flips) - count]
    return flips.take(kept.sort().values)
