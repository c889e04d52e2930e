"""A greedy attack, and a search that replaces its flips as long as the attack loss grows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from .._checks import in_range, positive_int
from .._progress import Lines, paced
from .._random import generator
from ..constraints import Constraint
from ..graphs import PairState
from ..hypergradient import Flips, MetaGradient
from ..hypergradient.base import VanishedGradientError
from ..hypergradient.meta_gradient import flip_scores
from ..tasks import Task
from ..training import Training
from .base import Attack, Proposal, accept_in_turn
from .meta import MetaAttack, refuse_incomparable
from .surrogate import SurrogateAttack


@dataclass(frozen=True)
class SwapSearch(SurrogateAttack):
    """Make all flips greedily; then undo the least useful flips and make other flips, repeatedly.

    A greedy attack chooses its first flips without the later flips, which change the graph. After
    all flips are made, each round of the search reconsiders them:

    - The meta-gradient of the poisoned graph estimates, to first order, how much attack loss is
      lost if a flip is undone. The share of flips with the smallest loss is undone, and also any
      remaining flip that a constraint then forbids.
    - The greedy attack spends the budget that has become free.
    - The new flips are kept if the attack loss has grown. Otherwise the old flips are restored, and
      the next round undoes half as many flips.

    The search ends after all rounds, or when a round that undoes a single flip fails. The whole
    search is one step: all flips have the same value in the column ``step``, and a checkpoint is
    empty until the search ends. A prefix of the flips is a weaker attack than a search with the
    smaller budget.

    Args:
        attack: the greedy attack, with the settings of training and the constraints.
        rounds: the largest number of rounds.
        share: the share of the flips that the first round undoes, in (0, 1].

    Raises:
        TypeError, ValueError: a setting is out of range; the values of the attack loss of the task
            do not rank attacks.
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

    def setup(self, task: Task[Any], seed: int) -> Task[Any]:
        refuse_incomparable(task)
        return super().setup(task, seed)

    def sample(self, task: Task[Any], limit: int) -> tuple[Attack, float]:
        """A successful round costs its new flips and one gradient."""
        sample, proposals = self.attack.sample(task, limit)
        return sample, proposals * (1.0 + self.rounds * self.share) + self.rounds

    def propose(
        self, task: Task[Any], state: PairState, limit: int, seed: int, step: int
    ) -> Proposal:
        flips, loss = self._spend(task, state, Flips.none(state), limit, seed)
        found, share = self._gradient(task, flips.made(state), seed), self.share
        for _ in paced(self.rounds if len(flips) and found else 0, "round"):
            assert found is not None
            count = max(1, int(share * len(flips)))
            kept = _without_least(found, flips, count)
            kept = accept_in_turn(kept, state, self.constraints, limit)
            other, _ = self._spend(task, state, kept, limit, seed)
            after = self._gradient(task, other.made(state), seed)
            if after and len(other) >= len(flips) and after.loss > found.loss:
                flips, found = other, after
            elif count == 1:
                break
            else:
                share /= 2
        return Proposal(flips, loss)

    def _spend(
        self, task: Task[Any], state: PairState, flips: Flips, limit: int, seed: int
    ) -> tuple[Flips, float]:
        """``flips`` and greedy flips, ``limit`` in all; the attack loss before the greedy flips."""
        current, loss = flips.made(state), float("nan")
        pace = Lines(limit, "flip", initial=len(flips))
        while (done := len(flips)) < limit:
            try:
                proposal = self.attack.propose(task, current, limit - done, seed, done)
            except VanishedGradientError:
                if not done:
                    raise
                break
            made = accept_in_turn(proposal.flips, current, self.constraints, limit - done)
            loss = loss if loss == loss else proposal.attack_loss
            if not len(made):
                break
            current, flips = made.made(current), flips.then(made)
            pace.update(len(made))
        return flips, loss

    def _gradient(self, task: Task[Any], state: PairState, seed: int) -> MetaGradient | None:
        """The meta-gradient at ``state``; None if it is 0 for every candidate."""
        start = task.init(generator(seed))
        try:
            return self.attack.hypergradient.at(task, self.training, state, start)
        except VanishedGradientError:
            return None


def _without_least(found: MetaGradient, flips: Flips, count: int) -> Flips:
    """``flips`` without the ``count`` flips whose undoing loses least attack loss (first order)."""
    place, gradient = found.state.locate(flips.pairs), found.at(flips.pairs)
    weight, clean = found.state.weight[place], found.state.clean[place]
    restored = torch.where(clean > 0, clean, 1.0).to(gradient.dtype)  # of an edge that was removed
    undoing = flip_scores(weight, torch.where(weight > 0, gradient, restored * gradient))
    kept = undoing.argsort(stable=True)[: len(flips) - count]
    return flips.take(kept.sort().values)
