r"""Poisoning of rankings through a surrogate in closed form.

The interaction matrix is relaxed, :math:`X(p) = X_0 + (1 - 2 X_0) \odot p` with :math:`p \in
[0, 1]`, and the objective is maximised over all p that spend the budget (Frank and Wolfe 1956):

.. math::
    v_t = \arg\max_{v \in V} \langle m_t, v \rangle, \qquad
    p_{t+1} = (1 - \gamma_t) \, p_t + \gamma_t v_t, \qquad \gamma_t = \frac{2}{t + 2}

V are the matrices of 0 and 1 within the budget, the budgets of users and items, and the admissible
pairs; :math:`m_t` is a moving average of the gradients, each divided by its norm. Each gradient is
taken with other interactions hidden from the surrogate, so that no flip is chosen for the sake of
one draw. At the end the largest entries of p are flipped.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from .._checks import choice, in_range, positive_int
from ..constraints import Constraint, NodeBudget, OffLimits, admissible, unlisted_additions
from ..graphs import PairState
from ..hypergradient import Flips
from ..hypergradient.base import direct_gradient
from ..models.closed_form import PreparedMatrix
from ..tasks import Bystanders, Degrade, Objective, Recommendation, Task
from ..training import Training
from .allocation import best_entries
from .base import Attack, Proposal, check_kinds

RESERVE = 3
"""How many times the budget is proposed where constraints may refuse some flips."""


@dataclass(frozen=True)
class RankingAttack(Attack):
    """Flip the interactions that harm (or promote) rankings most, all pairs considered.

    Args:
        search: ``"relaxed"``: Frank-Wolfe on the relaxed matrix, then rounding; ``"greedy"``: the
            best flips of an exact gradient, ``steps`` times; ``"lookahead"``: as greedy, but each
            step compares additions alone, removals alone and both by the objective itself, and
            makes the best of them.
        steps: number of gradients.
        momentum: the weight of earlier gradients in the moving average, in [0, 1).
        constraints: conditions that hold after every flip. Budgets of users and items
            (:class:`NodeBudget`) and :class:`OffLimits` take part in the search; other conditions
            are checked flip by flip at the end, and cost time. Users that are off limits are the
            users that count, unless the objective names users.
        allow_removals: whether interactions may be removed.
        allow_additions: whether interactions may be added.
        redraw: whether each gradient hides other interactions from the surrogate.

    Raises:
        TypeError, ValueError: a setting out of range; the task has no surrogate in closed form, or
            no objective of rankings.
    """

    search: Literal["relaxed", "greedy", "lookahead"] = "relaxed"
    steps: int = 40
    momentum: float = 0.8
    constraints: Sequence[Constraint] = ()
    allow_removals: bool = True
    allow_additions: bool = True
    redraw: bool = True

    def __post_init__(self) -> None:
        choice("search", self.search, ["relaxed", "greedy", "lookahead"])
        positive_int("steps", self.steps)
        in_range("momentum", self.momentum, 0.0, 0.999)
        check_kinds(self.constraints, self.allow_removals, self.allow_additions)

    def setup(self, task: Task[Any], seed: int) -> Task[Any]:
        bound = refuse_trained_in_steps(task, type(self).__name__)
        assert isinstance(bound.objective, Objective)
        bound = self._for_bystanders(bound, bound.objective)
        return bound.with_pseudo_labels(Training(), seed)

    def _for_bystanders(self, task: Recommendation, objective: Objective) -> Recommendation:
        """``task`` with the users that are off limits as the users that count, where the objective
        names none."""
        beyond = [rule.sources for rule in self.constraints if isinstance(rule, OffLimits)]
        if not beyond or not isinstance(objective, Degrade) or objective.users is not None:
            return task
        users = sorted({int(user) for sources in beyond for user in sources})
        usual = objective == Degrade(k=objective.k)
        named = Bystanders(users, k=objective.k) if usual else replace(objective, users=users)
        return task.with_objective(named)

    def propose(
        self, task: Task[Any], state: PairState, limit: int, seed: int, step: int
    ) -> Proposal:
        assert isinstance(task, Recommendation)
        rules = (*self.constraints, *_bystanders(task))
        game = _Game.of(task, state, rules, self.allow_removals, self.allow_additions)
        wanted = limit if all(rule.monotone for rule in rules) else RESERVE * limit
        if self.search == "relaxed":
            return self._relaxed(task, game, limit, wanted, seed)
        return self._stepwise(task, game, limit, wanted, seed)

    def _relaxed(
        self, task: Recommendation, game: "_Game", limit: int, wanted: int, seed: int
    ) -> Proposal:
        point = torch.zeros_like(game.matrix)
        mean, loss = None, float("nan")
        for number in range(self.steps):
            value, gradient = self._gradient(task, game, point, seed, number)
            loss = value if mean is None else loss
            fresh = (
                game.sign * gradient / gradient.norm().clamp(min=torch.finfo(gradient.dtype).tiny)
            )
            mean = fresh if mean is None else self.momentum * mean + (1 - self.momentum) * fresh
            vertex = game.best(mean, limit)
            rate = 2 / (number + 2)
            point *= 1 - rate
            point.view(-1)[vertex] += rate
        assert mean is not None
        chosen = torch.where(point > 0, point, -torch.inf)
        if wanted > limit:  # pairs that no vertex had, behind all others
            chosen = torch.where(point > 0, 1 + point, mean - mean.max())
        return Proposal(game.flips(game.best(chosen, wanted), mean), loss)

    def _stepwise(
        self, task: Recommendation, game: "_Game", limit: int, wanted: int, seed: int
    ) -> Proposal:
        point = torch.zeros_like(game.matrix)
        chosen = torch.empty(0, dtype=torch.long, device=point.device)
        loss = float("nan")
        gains = torch.zeros_like(point)
        for number in range(self.steps):
            count = (wanted - chosen.numel()) // (self.steps - number)
            if not count:  # fewer flips than steps: the last steps make them
                continue
            value, gradient = self._gradient(task, game, point, seed, number)
            loss = loss if chosen.numel() else value
            fresh = torch.where(point > 0, -torch.inf, game.sign * gradient)
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
        game: "_Game",
        point: Tensor,
        option: Tensor,
        seed: int,
        number: int,
    ) -> float:
        """The objective after the flips ``option`` too."""
        moved = point.clone()
        moved.view(-1)[option] = 1
        with torch.no_grad():
            drawn = task.redrawn(number + 1, seed) if self.redraw else task
            return float(drawn.attack_loss(game.start, game.prepared(moved)))

    def _gradient(
        self, task: Recommendation, game: "_Game", point: Tensor, seed: int, number: int
    ) -> tuple[float, Tensor]:
        """The objective at ``point`` [U, I] and its gradient w.r.t. the interaction matrix."""
        drawn = task.redrawn(number + 1, seed) if self.redraw else task
        loss, _, cotangents = direct_gradient(drawn, game.start, game.prepared(point))
        gradient = cotangents[0]
        assert gradient is not None
        if not bool(torch.isfinite(gradient).all()):
            raise FloatingPointError(
                f"the gradient of step {number} is not finite; use a larger penalty of the "
                "surrogate or dtype=torch.float64."
            )
        return float(loss), gradient


def refuse_trained_in_steps(task: Task[Any], name: str) -> Recommendation:
    """``task``, which must have a surrogate in closed form and an objective of rankings."""
    if not isinstance(task, Recommendation) or not task.is_closed_form:
        raise ValueError(
            f"{name} needs a surrogate in closed form, found {task.describe()}; use "
            "Recommendation(data, surrogate='ease'), or MetaAttack for other surrogates."
        )
    return task


@dataclass(frozen=True, eq=False)
class _Game:
    """The matrix, and which entries may be flipped.

    Args:
        matrix: Tensor [U, I], the interactions now.
        sign: Tensor [U, I], the change of an entry by a flip: 1 or minus its weight.
        allowed: BoolTensor [U, I], the entries that may be flipped now.
        rows, cols: Tensors [U] and [I], how many more flips users and items may be in.
        start: parameters that the surrogate starts from.
        state: the graph.
    """

    matrix: Tensor
    sign: Tensor
    allowed: Tensor
    rows: Tensor
    cols: Tensor
    start: tuple[Tensor, ...]
    state: PairState

    @classmethod
    def of(
        cls,
        task: Recommendation,
        state: PairState,
        rules: Sequence[Constraint],
        removals: bool,
        additions: bool,
    ) -> "_Game":
        prepared = task.prepare(state)
        matrix = prepared.tensors[0].detach()
        allowed = torch.zeros(state.shape, dtype=torch.bool, device=matrix.device)
        if state.implicit_candidates and additions:
            allowed.fill_(True)
            beyond = unlisted_additions(state, rules)
            if beyond is not None:
                users, items = (torch.arange(size, device=matrix.device) for size in state.shape)
                allowed &= beyond(users.unsqueeze(1), items.unsqueeze(0))
        allowed[tuple(state.index)] = admissible(state, rules, removals, additions)
        budgets = [rule.left(state) for rule in rules if isinstance(rule, NodeBudget)]
        rows, cols = (
            torch.stack([*(left[side] for left in budgets), free]).amin(dim=0)
            for side, free in enumerate(
                torch.full((size,), torch.inf, dtype=torch.float64, device=matrix.device)
                for size in state.shape
            )
        )
        sign = torch.where(matrix > 0, -matrix, 1.0)
        start = task.init(torch.Generator().manual_seed(task.seed))
        return cls(matrix, sign, allowed, rows, cols, start, state)

    def prepared(self, point: Tensor) -> PreparedMatrix:
        """The matrix with the share ``point`` [U, I] of each flip made."""
        moved = self.matrix + self.sign * point
        return PreparedMatrix(moved, (moved,), self.state.pattern, implicit_candidates=True)

    def best(self, scores: Tensor, count: int, made: Tensor | None = None) -> Tensor:
        """Codes of the best admissible entries of ``scores`` within all budgets, besides the
        entries ``made`` already."""
        rows, cols = self.rows, self.cols
        if made is not None:
            width = self.matrix.size(1)
            rows = rows - torch.bincount(made // width, minlength=rows.numel())
            cols = cols - torch.bincount(made % width, minlength=cols.numel())
        return best_entries(scores.masked_fill(~self.allowed, -torch.inf), rows, cols, count)

    def flips(self, codes: Tensor, scores: Tensor) -> Flips:
        """The flips of entries ``codes`` [K], with their ``scores`` [U, I]."""
        width = self.matrix.size(1)
        pairs = torch.stack([codes // width, codes % width])
        return Flips(pairs, self.matrix[tuple(pairs)] == 0, scores.view(-1)[codes])


def _bystanders(task: Recommendation) -> tuple[Constraint, ...]:
    """The users that the objective puts off limits."""
    assert isinstance(task.objective, Objective)
    off_limits = task.objective.off_limits
    return () if off_limits is None else (OffLimits(off_limits),)
