"""The interaction matrix under an attack on rankings: admissible entries and remaining budgets."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .._random import generator, numpy_generator
from ..constraints import Constraint, NodeBudget, admissible, unlisted_additions
from ..graphs import PairState
from ..hypergradient import Flips
from ..models.closed_form import PreparedMatrix
from ..tasks import Recommendation
from .allocation import best_entries
from .rules import clean_counts, flips_by

MASKS = 2**30 + 2
"""The stream of the seed from which additions that count as seen are drawn."""


@dataclass(frozen=True, eq=False)
class InteractionGame:
    """The interaction matrix, the entries that may be flipped, and the budgets that are left.

    Args:
        matrix: Tensor [U, I], the current interactions.
        sign: Tensor [U, I], the change of an entry by a flip: 1 or minus its weight.
        allowed: BoolTensor [U, I], the entries that may be flipped in the current graph.
        rows, cols: Tensors [U] and [I], the number of flips left for each user and each item.
        start: initial parameters of the surrogate.
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
    ) -> "InteractionGame":
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

    @property
    def added(self) -> Tensor:
        """The additions [2, K] of earlier steps."""
        return self.state.index[:, self.state.flipped & (self.state.weight > 0)]

    def prepared(self, point: Tensor) -> PreparedMatrix:
        """The matrix with each entry flipped to the extent ``point`` [U, I]."""
        moved = self.matrix + self.sign * point
        return PreparedMatrix(moved, (moved,), self.state.pattern, implicit_candidates=True)

    def best(self, scores: Tensor, count: int, made: Tensor | None = None) -> Tensor:
        """Codes of the best admissible entries of ``scores`` within all budgets, from which the
        entries ``made`` before are deducted."""
        rows, cols = self.rows, self.cols
        if made is not None:
            width = self.matrix.size(1)
            rows = rows - torch.bincount(made // width, minlength=rows.numel())
            cols = cols - torch.bincount(made % width, minlength=cols.numel())
        return best_entries(scores.masked_fill(~self.allowed, -torch.inf), rows, cols, count)

    def vertex(self, scores: Tensor, count: int) -> Tensor:
        """The best entries as a matrix of 0 and 1 [U, I]."""
        found = torch.zeros_like(self.matrix)
        found.view(-1)[self.best(scores, count)] = 1.0
        return found

    def flips(self, codes: Tensor, scores: Tensor) -> Flips:
        """The flips of entries ``codes`` [K], with their ``scores`` [U, I]."""
        width = self.matrix.size(1)
        pairs = torch.stack([codes // width, codes % width])
        return Flips(pairs, self.matrix[tuple(pairs)] == 0, scores.view(-1)[codes])

    def drawn_additions(self, point: Tensor, seed: int, number: int) -> Tensor:
        """Additions [2, K], each drawn with the probability that ``point`` [U, I] gives it."""
        pairs = ((self.sign > 0) & (point > 0)).nonzero().t()
        draw = generator(seed, MASKS, number)
        keys = torch.rand(pairs.size(1), generator=draw, dtype=torch.float64).to(point.device)
        return pairs[:, keys < point[tuple(pairs)]]

    def flipped_by(self, rule: str, task: Recommendation, limit: int, seed: int) -> Tensor:
        """The point [U, I] after flips by the heuristic ``rule``, within all budgets; only
        interactions of the target users are flipped."""
        assert task.targets is not None
        users = task.targets.users
        room = torch.zeros_like(self.rows)
        room[users] = self.rows[users].clamp(max=self.matrix.size(1))
        room[~self.allowed.any(dim=1)] = 0
        counts = clean_counts(task, among=users)
        rng = numpy_generator(seed, MASKS)
        flips = flips_by(rule, counts, self.state, room.long().cpu().numpy(), limit, rng)
        scores = torch.full_like(self.matrix, -torch.inf)
        scores[tuple(flips.pairs)] = 1.0
        return self.vertex(scores, limit)
