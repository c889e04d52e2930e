r"""Profiles of fake users, optimised jointly through a surrogate in closed form.

The profiles F [N, I] of N fake users over I items are relaxed to [0, 1], and the objective is
maximised over all F whose rows sum to the profile length L, by the method of Frank and Wolfe
(:mod:`graphpoison.attacks.frank_wolfe`). The vertices are the matrices of 0 and 1 with L ones in
each row. Items that the objective promotes are in every profile. The gradient is 0 at F = 0, and
rows that are equal stay equal, so the search starts from random profiles, drawn by popularity.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .._checks import in_range, positive_int
from .._random import generator
from ..graphs import PairState
from ..hypergradient import Flips
from ..hypergradient.base import direct_gradient
from ..models.closed_form import ClosedFormRecommender, PreparedMatrix, PreparedRows
from ..tasks import Promote, Recommendation, Task
from ..training import Params, PreparedPairs, Training
from .base import Attack, Proposal
from .frank_wolfe import frank_wolfe
from .ranking import refuse_trained_in_steps

DELAY = 3
"""The delay of Frank-Wolfe's step sizes: a third of the random start is left after one step."""


@dataclass(frozen=True)
class ProfileAttack(Attack):
    """Choose the items of fake users jointly, for an objective of rankings.

    :class:`NewUsers` adds the fake users and calls this attack, as in
    ``NewUsers(5, ProfileAttack(20))`` for five users with 20 items each. The flips are additions,
    ordered by fake user: the first ``n * profile_length`` flips are the profiles of the first n
    fake users. A budget of ``num_users * profile_length`` flips fills all profiles.

    Args:
        profile_length: number of interactions of each fake user, including promoted items.
        steps: number of gradients.
        momentum: the weight of earlier gradients in the moving average, in [0, 0.999].

    Raises:
        TypeError, ValueError: a setting is out of range; the task has no fake users; more items are
            promoted than a profile holds; the task has no surrogate in closed form, or no
            objective of rankings.
    """

    profile_length: int
    steps: int = 60
    momentum: float = 0.9

    allow_removals = False

    def __post_init__(self) -> None:
        positive_int("profile_length", self.profile_length)
        positive_int("steps", self.steps)
        in_range("momentum", self.momentum, 0.0, 0.999)

    def setup(self, task: Task[Any], seed: int) -> Task[Any]:
        bound = refuse_trained_in_steps(task, type(self).__name__)
        return bound.with_pseudo_labels(Training(), seed)

    def propose(
        self, task: Task[Any], state: PairState, limit: int, seed: int, step: int
    ) -> Proposal:
        assert isinstance(task, Recommendation)
        if task.fake_users is None:
            raise ValueError(
                "ProfileAttack chooses items of fake users, and this task has none; use "
                "NewUsers(num_users, attack=ProfileAttack(...))."
            )
        first = state.shape[0] - task.fake_users.count
        matrix = task.prepare(state).tensors[0].detach()
        if bool((matrix[first:] > 0).any()):  # an earlier step has filled the profiles
            return Proposal(Flips(*_none(matrix.device)))
        pinned = self._pinned(task, state.shape[1]).to(matrix.device)
        profiles = self._drawn(matrix[:first], task.fake_users.count, pinned, seed)
        params = task.init(generator(seed))

        prepare = self._preparation(task, params, matrix[:first], state)

        def gain(profiles: Tensor, number: int) -> tuple[float, Tensor]:
            loss, _, cotangents = direct_gradient(task, params, prepare(profiles))
            assert cotangents[0] is not None
            return float(loss), cotangents[0][-profiles.size(0) :]

        profiles, mean, loss = frank_wolfe(
            profiles, gain, lambda m: self._rounded(m, pinned), self.steps, self.momentum, DELAY
        )
        pairs = self._rounded(profiles, pinned).nonzero().t()[:, :limit]
        scores = mean[tuple(pairs)]
        pairs = torch.stack([pairs[0] + first, pairs[1]])
        return Proposal(Flips(pairs, torch.ones_like(scores, dtype=torch.bool), scores), loss)

    def _preparation(
        self, task: Recommendation, params: Params, real: Tensor, state: PairState
    ) -> Callable[[Tensor], PreparedPairs]:
        """The preparation of a gradient, as a function of the profiles [N, I]."""
        assert isinstance(task.surrogate, ClosedFormRecommender)
        assert task.targets is not None
        if not task.targets.hidden.size(1):
            scores = task.surrogate.with_rows(real, params)
            return lambda profiles: PreparedRows(
                profiles, (profiles,), state.pattern, scores=scores
            )

        def whole(profiles: Tensor) -> PreparedPairs:
            matrix = torch.cat([real, profiles])
            return PreparedMatrix(matrix, (matrix,), state.pattern, implicit_candidates=True)

        return whole

    def _pinned(self, task: Recommendation, num_items: int) -> Tensor:
        """The promoted items, BoolTensor [I]."""
        found = torch.zeros(num_items, dtype=torch.bool)
        if type(task.objective) is Promote:
            found[torch.as_tensor(task.objective.items)] = True
        if int(found.sum()) > self.profile_length or self.profile_length > num_items:
            raise ValueError(
                f"profile_length={self.profile_length} must lie between the {int(found.sum())} "
                f"promoted items and the {num_items} items of the graph."
            )
        return found

    def _drawn(self, matrix: Tensor, count: int, pinned: Tensor, seed: int) -> Tensor:
        """Profiles [N, I] with the pinned items and others, drawn by popularity."""
        noise = torch.rand(count, matrix.size(1), generator=generator(seed, 1), dtype=torch.float64)
        popularity = matrix.sum(dim=0).double().cpu() + 1e-9
        keys = popularity.log() - (-noise.log()).log()  # Gumbel-max: draws without repetition
        return self._rounded(keys.to(matrix), pinned)

    def _rounded(self, scores: Tensor, pinned: Tensor) -> Tensor:
        """The ``profile_length`` best items of each row, the pinned ones first: 0 and 1 [N, I]."""
        best = scores.masked_fill(pinned, torch.inf).topk(self.profile_length, dim=1).indices
        return torch.zeros_like(scores).scatter_(1, best, 1.0)


def _none(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    pairs = torch.empty(2, 0, dtype=torch.long, device=device)
    return pairs, torch.empty(0, dtype=torch.bool, device=device), torch.empty(0, device=device)
