r"""Poisoning of rankings through a surrogate in closed form.

The clean interactions :math:`X_0` are relaxed, :math:`X(p) = X_0 + (1 - 2 X_0) \odot p` with
:math:`p \in [0, 1]^{U \times I}`, and the objective is maximised over all p that spend the budget,
by the method of Frank and Wolfe (:mod:`graphpoison.attacks.frank_wolfe`). The vertices are the
matrices of 0 and 1 that are 1 only at admissible pairs and keep the total budget and the budgets of
users and items. At the end the largest entries of p are flipped.

- With objectives on hidden interactions, each gradient hides other interactions; the flips then
  do not overfit one draw.
- An item that the attacker adds to a profile is no longer recommended to its user. Each gradient
  draws additions with the probabilities p and does not rank the drawn items.
- A cluster is a set of few items. If each of many users has some items of a cluster, the surrogate
  recommends the other items of the cluster to all of these users. This effect is of second order:
  its gradient is 0 at p = 0. The search therefore starts from a heuristic that makes a cluster, the
  ``usual_start`` of the objective. The first half of the flips maximises another objective,
  ``before``, on hidden interactions and from no flips. These flips harm users through the profiles
  of others; the cluster needs only few flips in addition.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from .._checks import choice, in_range, positive_int
from .._progress import paced
from ..constraints import Constraint, OffLimits
from ..graphs import PairState
from ..hypergradient.base import direct_gradient
from ..tasks import Bystanders, Degrade, Objective, Recommendation, Task
from ..training import Training
from .base import Attack, Proposal, accept_in_turn, check_kinds
from .frank_wolfe import frank_wolfe
from .interaction_game import InteractionGame
from .rules import RULES

RESERVE = 3
"""Number of proposed flips, in budgets, where constraints may refuse some of them."""

FRESH, FROM_RULE = 2, 8
"""The delay of Frank-Wolfe's step sizes from no flips, and from the flips of a heuristic."""


@dataclass(frozen=True)
class RankingAttack(Attack):
    """Flip the interactions, among all pairs, that raise an objective of rankings most.

    The target users of the attack are the users of the objective (:class:`~graphpoison.Degrade`,
    :class:`~graphpoison.Bystanders`, :class:`~graphpoison.Promote`): the objective is a mean over
    the rankings of these users. If the objective names no users, all users are target users. If
    ``constraints`` has :class:`OffLimits` and a ``Degrade`` names no users, the users off limits
    are the target users.

    Args:
        search: ``"relaxed"``: Frank-Wolfe on the relaxed matrix, then rounding; ``"greedy"``: the
            best flips of an exact gradient, ``steps`` times; ``"lookahead"``: as greedy, but each
            step evaluates the objective after additions only, removals only and both, and makes
            the best of the three sets of flips.
        start: the start of the relaxed search. None: no flips. A name among
            :data:`~graphpoison.attacks.rules.RULES`: the flips of this heuristic, at target users
            only. ``"usual"``: the plan of the objective. If ``objective.before`` is an objective,
            a first search starts from no flips and makes half of the flips for it. The search for
            the other flips starts from the heuristic ``objective.usual_start``, if there is one.
            Without removals, the second search has the whole budget. If no target user may be
            touched, ``"usual"`` is the same as None.
        steps: number of gradients of each search.
        momentum: the weight of earlier gradients in the moving average, in [0, 0.999].
        constraints: conditions that hold after every flip. The search observes budgets of users and
            items (:class:`NodeBudget`) and :class:`OffLimits`; other conditions are checked flip by
            flip after the search, which takes time.
        allow_removals: whether interactions may be removed.
        allow_additions: whether interactions may be added.
        redraw: whether each gradient hides other interactions from the surrogate, if the objective
            hides interactions.

    Raises:
        TypeError, ValueError: a setting is out of range; the task has no surrogate in closed form,
            or no objective of rankings.
    """

    search: Literal["relaxed", "greedy", "lookahead"] = "relaxed"
    start: str | None = "usual"
    steps: int = 40
    momentum: float = 0.8
    constraints: Sequence[Constraint] = ()
    allow_removals: bool = True
    allow_additions: bool = True
    redraw: bool = True

    def __post_init__(self) -> None:
        choice("search", self.search, ["relaxed", "greedy", "lookahead"])
        if self.start not in (None, "usual"):
            choice("start", self.start, RULES)
            if self.search != "relaxed" or not self._allows(self.start):
                raise ValueError(
                    f"start={self.start!r} needs search='relaxed', found {self.search!r}, and its "
                    f"kind of flip allowed, found allow_additions={self.allow_additions}, "
                    f"allow_removals={self.allow_removals}."
                )
        positive_int("steps", self.steps)
        in_range("momentum", self.momentum, 0.0, 0.999)
        check_kinds(self.constraints, self.allow_removals, self.allow_additions)

    def setup(self, task: Task[Any], seed: int) -> Task[Any]:
        bound = refuse_trained_in_steps(task, type(self).__name__)
        assert isinstance(bound.objective, Objective)
        return self._for_bystanders(bound, bound.objective).with_pseudo_labels(Training(), seed)

    def _for_bystanders(self, task: Recommendation, objective: Objective) -> Recommendation:
        """``task`` with the users off limits as target users, unless the objective names users."""
        beyond = [rule.sources for rule in self.constraints if isinstance(rule, OffLimits)]
        users = sorted({int(user) for sources in beyond for user in sources})
        if not users or not isinstance(objective, Degrade) or objective.users is not None:
            return task
        usual = objective == Degrade(k=objective.k)
        named = Bystanders(users, k=objective.k) if usual else replace(objective, users=users)
        return task.with_objective(named)

    def sample(self, task: Task[Any], limit: int) -> tuple[Attack, float]:
        assert isinstance(task, Recommendation)
        assert isinstance(task.objective, Objective)
        halves = 2 if task.objective.before and self.allow_removals else 1
        return replace(self, steps=1), self.steps * halves

    def propose(
        self, task: Task[Any], state: PairState, limit: int, seed: int, step: int
    ) -> Proposal:
        assert isinstance(task, Recommendation)
        assert isinstance(task.objective, Objective)
        rules = (*self.constraints, *_bystanders(task))
        game = InteractionGame.of(task, state, rules, self.allow_removals, self.allow_additions)
        before = task.objective.before if self._planned(task, game) else None
        if before is not None and step == 0 and limit > 1 and self.allow_removals:
            found = self._searched(task.with_objective(before), game, rules, limit // 2, seed)
            flips = accept_in_turn(found.flips, state, rules, limit // 2)
            if len(flips):
                return Proposal(flips, found.attack_loss)
        return self._searched(task, game, rules, limit, seed)

    def _planned(self, task: Recommendation, game: InteractionGame) -> bool:
        """Whether ``start="usual"`` is followed: some target user may be touched.

        Without removals, only the second search is made: additions gain less on hidden interactions
        than a cluster with the whole budget."""
        assert task.targets is not None
        usual = self.start == "usual" and self.search == "relaxed"
        return usual and bool(game.allowed[task.targets.users].any())

    def _searched(
        self,
        task: Recommendation,
        game: InteractionGame,
        rules: Sequence[Constraint],
        limit: int,
        seed: int,
    ) -> Proposal:
        """``limit`` flips; ``RESERVE`` times as many where ``rules`` may refuse some."""
        wanted = limit if all(rule.monotone for rule in rules) else RESERVE * limit
        if self.search == "relaxed":
            return self._relaxed(task, game, limit, wanted, seed)
        return self._stepwise(task, game, limit, wanted, seed)

    def _relaxed(
        self, task: Recommendation, game: InteractionGame, limit: int, wanted: int, seed: int
    ) -> Proposal:
        start = torch.zeros_like(game.matrix)
        rule = self._rule(task, game)
        if rule is not None:
            start = game.flipped_by(rule, task, limit, seed)
        at = partial(self._gain, task, game, seed)
        delay = FROM_RULE if bool(start.any()) else FRESH
        point, mean, loss = frank_wolfe(
            start, at, lambda m: game.vertex(m, limit), self.steps, self.momentum, delay
        )
        chosen = torch.where(point > 0, point, -torch.inf)
        if wanted > limit:  # last, pairs that were in no vertex
            chosen = torch.where(point > 0, 1 + point, mean - mean.max())
        return Proposal(game.flips(game.best(chosen, wanted), mean), loss)

    def _rule(self, task: Recommendation, game: InteractionGame) -> str | None:
        """The heuristic that the search starts from, or None."""
        if self.start != "usual":
            return self.start
        assert isinstance(task.objective, Objective)
        rule = task.objective.usual_start if self._planned(task, game) else None
        return rule if rule is not None and self._allows(rule) else None

    def _allows(self, rule: str) -> bool:
        """Whether the kinds of flip of the heuristic ``rule`` are allowed."""
        return RULES[rule].allowed(self.allow_additions, self.allow_removals)

    def _stepwise(
        self, task: Recommendation, game: InteractionGame, limit: int, wanted: int, seed: int
    ) -> Proposal:
        point = torch.zeros_like(game.matrix)
        chosen = torch.empty(0, dtype=torch.long, device=point.device)
        gains, loss = torch.zeros_like(point), float("nan")
        for number in paced(self.steps, "step"):
            count = (wanted - chosen.numel()) // (self.steps - number)
            if not count:  # fewer flips than steps: the last steps make them
                continue
            value, gradient = self._gain(task, game, seed, point, number)
            loss = loss if chosen.numel() else value
            fresh = torch.where(point > 0, -torch.inf, gradient)
            options = [game.best(fresh, count, chosen)]
            if self.search == "lookahead":
                for side in (game.sign > 0, game.sign < 0):
                    alone = torch.where(side, fresh, -torch.inf)
                    options.append(game.best(alone, count, chosen))
                options = [option for option in options if option.numel() == count] or options[:1]
                options.sort(
                    key=lambda option: -self._value(task, game, point, option, seed, number)
                )
            chosen = torch.cat([chosen, options[0]])
            point.view(-1)[options[0]] = 1
            gains.view(-1)[options[0]] = fresh.view(-1)[options[0]]
        return Proposal(game.flips(chosen, gains), loss)

    def _value(
        self,
        task: Recommendation,
        game: InteractionGame,
        point: Tensor,
        option: Tensor,
        seed: int,
        number: int,
    ) -> float:
        """The objective after the flips of ``point`` and ``option``."""
        moved = point.clone()
        moved.view(-1)[option] = 1
        with torch.no_grad():
            drawn = self._drawn(task, game, moved, seed, number)
            return float(drawn.attack_loss(game.start, game.prepared(moved)))

    def _gain(
        self, task: Recommendation, game: InteractionGame, seed: int, point: Tensor, number: int
    ) -> tuple[float, Tensor]:
        """The objective at ``point`` [U, I] and its gradient w.r.t. ``point``."""
        drawn = self._drawn(task, game, point, seed, number)
        loss, _, cotangents = direct_gradient(drawn, game.start, game.prepared(point))
        gradient = cotangents[0]
        assert gradient is not None
        if not bool(torch.isfinite(gradient).all()):
            raise FloatingPointError(
                f"the gradient of step {number} is not finite; use a larger penalty of the "
                "surrogate or dtype=torch.float64."
            )
        return float(loss), game.sign * gradient

    def _drawn(
        self, task: Recommendation, game: InteractionGame, point: Tensor, seed: int, number: int
    ) -> Recommendation:
        """``task`` with the hidden interactions of gradient ``number``. Additions drawn from
        ``point`` count as seen: the list of a user holds no item of the user's profile."""
        seen = torch.cat([game.added, game.drawn_additions(point, seed, number)], dim=1)
        return (task.redrawn(number + 1, seed) if self.redraw else task).with_seen(seen)


def refuse_trained_in_steps(task: Task[Any], name: str) -> Recommendation:
    """Returns ``task``; raises a ValueError unless its surrogate has a closed form."""
    if not isinstance(task, Recommendation) or not task.is_closed_form:
        raise ValueError(
            f"{name} needs a surrogate in closed form, found {task.describe()}; use "
            "Recommendation(data, surrogate='ease'), or MetaAttack for other surrogates."
        )
    return task


def _bystanders(task: Recommendation) -> tuple[Constraint, ...]:
    """The constraint on users that the objective puts off limits, if there are any."""
    assert isinstance(task.objective, Objective)
    off_limits = task.objective.off_limits
    return () if off_limits is None else (OffLimits(off_limits),)
