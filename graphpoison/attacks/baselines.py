"""Attacks that look at no gradient: what any other has to beat at equal budget."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .._random import numpy_generator
from ..constraints import Constraint, admissible, check_constraints, combine
from ..graph import PairState
from ..graph.sampling import distinct_integers, sample_pairs
from ..hypergradient import Flips
from ..tasks import Task
from .base import Attack, Proposal

MAX_ROUNDS = 100  # of drawing unlisted pairs until a constraint lets one pass


@dataclass(frozen=True)
class RandomAttack(Attack):
    """Flip candidates drawn uniformly (thesis, Algorithm 2).

    By default it only adds edges, as the thesis's baseline does.

    Args:
        constraints: conditions that hold after every flip.
        allow_removals: whether edges may be removed too.
        allow_additions: whether edges may be added.
    """

    constraints: Sequence[Constraint] = ()
    allow_removals: bool = False
    allow_additions: bool = True

    def __post_init__(self) -> None:
        check_constraints(self.constraints)
        if not (self.allow_removals or self.allow_additions):
            raise ValueError("allow_removals and allow_additions are both off: nothing to flip.")

    def propose(self, task: Task, state: PairState, limit: int, seed: int, step: int) -> Proposal:
        rng = numpy_generator(seed, step)
        allowed = admissible(state, self.constraints, self.allow_removals, self.allow_additions)
        listed = allowed.nonzero().squeeze(1)
        unlisted = state.num_pairs - state.num_listed if self.allow_additions else 0
        total = listed.numel() + unlisted
        for _ in range(MAX_ROUNDS if total else 0):
            place = torch.from_numpy(distinct_integers(total, min(limit, total), rng))
            flips = self._at(state, listed, place.to(listed.device), rng)
            if len(flips):
                return Proposal(flips)
        nothing = torch.empty(0, dtype=torch.long, device=listed.device)
        return Proposal(self._at(state, listed, nothing, rng))

    def _at(
        self, state: PairState, listed: Tensor, place: Tensor, rng: np.random.Generator
    ) -> Flips:
        """The listed pairs at places below their number, and as many unlisted as lie beyond."""
        chosen = listed[place[place < listed.numel()]]
        count = place.numel() - chosen.numel()
        fresh = sample_pairs(state.shape, count, state.index, rng, upper=not state.bipartite)
        allowed = combine([c.additions(state) for c in self.constraints])
        if allowed is not None:
            fresh = fresh[:, allowed(*fresh)]
        pairs = torch.cat([state.index[:, chosen], fresh], dim=1)
        added = torch.cat([state.weight[chosen] == 0, fresh[0] >= 0])
        score = torch.full((pairs.size(1),), torch.nan, device=pairs.device)
        order = torch.from_numpy(rng.permutation(pairs.size(1))).to(pairs.device)
        return Flips(pairs, added, score).take(order)
