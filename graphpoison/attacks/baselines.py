"""Attacks that look at no gradient: what any other has to beat at equal budget."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from .._random import numpy_generator
from ..constraints import Constraint, admissible, check_constraints, combine, on_features
from ..graph import PairState
from ..graph.homogeneous import decode
from ..graph.sampling import distinct_integers, sample_pairs
from ..hypergradient import Flips
from ..tasks import Task
from .base import Attack, Proposal

MAX_ROUNDS = 100  # of drawing unlisted pairs until a constraint lets one pass


@dataclass(frozen=True)
class RandomAttack(Attack):
    """Flip candidates drawn uniformly (thesis, Algorithm 2).

    By default it only adds edges, as the thesis's baseline does. Where a task has
    ``feature_candidates``, what is drawn is a pair or a feature, each candidate as likely.

    Args:
        constraints: conditions that hold after every flip.
        allow_removals: whether edges may be removed too, and features set to 0.
        allow_additions: whether edges may be added, and features set to 1.
    """

    constraints: Sequence[Constraint] = ()
    allow_removals: bool = False
    allow_additions: bool = True

    flips_features: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_constraints(self.constraints)
        if not (self.allow_removals or self.allow_additions):
            raise ValueError("allow_removals and allow_additions are both off: nothing to flip.")

    def propose(self, task: Task, state: PairState, limit: int, seed: int, step: int) -> Proposal:
        rng = numpy_generator(seed, step)
        kinds = self.allow_removals, self.allow_additions
        pairs, entries = _Urn.of(state, self.constraints, *kinds), None
        if state.features is not None:
            rules = on_features(self.constraints, state)
            entries = _Urn.of(state.features, rules, *kinds)
        total = pairs.size + (0 if entries is None else entries.size)
        for _ in range(MAX_ROUNDS if total else 0):
            place = torch.from_numpy(distinct_integers(total, min(limit, total), rng))
            place = place.to(pairs.listed.device)
            flips = pairs.take(place[place < pairs.size], rng)
            if entries is not None:
                flips = flips.beside(entries.take(place[place >= pairs.size] - pairs.size, rng))
                flips = flips.take(torch.from_numpy(rng.permutation(len(flips))).to(place.device))
            if len(flips):
                return Proposal(flips)
        left = pairs.listed.numel()  # which the constraints have let pass already
        place = torch.from_numpy(distinct_integers(left, min(limit, left), rng))
        return Proposal(pairs.take(place.to(pairs.listed.device), rng))


@dataclass(frozen=True, eq=False)
class _Urn:
    """Flips of one kind to draw from: numbers below ``size``, the ``listed`` pairs first.

    Those of an open graph that are not listed follow, in any order, or in that of ``free``.
    """

    state: PairState
    constraints: Sequence[Constraint]
    listed: Tensor
    size: int
    free: Tensor | None

    @classmethod
    def of(
        cls,
        state: PairState,
        constraints: Sequence[Constraint],
        allow_removals: bool,
        allow_additions: bool,
    ) -> "_Urn":
        allowed = admissible(state, constraints, allow_removals, allow_additions)
        listed = allowed.nonzero().squeeze(1)
        unlisted, free = 0, None
        if allow_additions and state.within is not None:
            free = (state.within & ~state.occupied).flatten().nonzero().squeeze(1)
            unlisted = free.numel()
        elif allow_additions:
            unlisted = state.num_pairs - state.num_listed
        return cls(state, constraints, listed, listed.numel() + unlisted, free)

    def take(self, place: Tensor, rng: np.random.Generator) -> Flips:
        """The listed pairs at places below their number, and as many unlisted as lie beyond, less
        those that the constraints refuse."""
        state, count = self.state, self.listed.numel()
        chosen = self.listed[place[place < count]]
        beyond = place[place >= count] - count
        if self.free is None:
            fresh = sample_pairs(
                state.shape, beyond.numel(), state.index, rng, upper=not state.bipartite
            )
        else:
            fresh = decode(self.free[beyond], state.shape[1])
        allowed = combine([c.additions(state) for c in self.constraints])
        if allowed is not None:
            fresh = fresh[:, allowed(*fresh)]
        pairs = torch.cat([state.index[:, chosen], fresh], dim=1)
        added = torch.cat([state.weight[chosen] == 0, fresh[0] >= 0])
        score = torch.full((pairs.size(1),), torch.nan, device=pairs.device)
        order = torch.from_numpy(rng.permutation(pairs.size(1))).to(pairs.device)
        return Flips(pairs, added, score).take(order)
