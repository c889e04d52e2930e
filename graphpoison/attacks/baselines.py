"""Attacks that look at no gradient: what any other has to beat at equal budget."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .._random import derive_seed, generator
from ..constraints import Constraint, combine
from ..graph import PairState
from ..graph.bipartite import sample_negatives
from ..hypergradient import Flips
from ..tasks import Task
from .base import Attack, Proposal


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
        if not (self.allow_removals or self.allow_additions):
            raise ValueError("allow_removals and allow_additions are both off: nothing to flip.")

    def propose(self, task: Task, state: PairState, limit: int, seed: int, step: int) -> Proposal:
        listed = self._listed(state)
        unlisted = state.num_pairs - state.num_listed if self.allow_additions else 0
        counts = np.random.default_rng(derive_seed(seed, step, 0))
        count = min(limit, listed.numel() + unlisted)
        from_unlisted = int(counts.hypergeometric(unlisted, listed.numel(), count)) if count else 0
        draw = generator(seed, step, 1)
        order = torch.randperm(listed.numel(), generator=draw)[: count - from_unlisted]
        chosen = listed[order.to(listed.device)]
        pairs = torch.cat(
            [state.index[:, chosen], _unlisted_pairs(state, from_unlisted, draw)], dim=1
        )
        added = torch.cat(
            [state.weight[chosen] == 0, torch.ones_like(pairs[0, :from_unlisted], dtype=torch.bool)]
        )
        mix = torch.randperm(pairs.size(1), generator=draw).to(pairs.device)
        score = torch.full((pairs.size(1),), torch.nan, device=pairs.device)
        flips = Flips(pairs, added, score).take(mix)
        return Proposal(self._allowed(flips, state))

    def _listed(self, state: PairState) -> Tensor:
        present = state.weight > 0
        wanted = self.allow_removals & present | self.allow_additions & ~present
        positions: Tensor = (wanted & state.candidate & ~state.flipped).nonzero().squeeze(1)
        return positions

    def _allowed(self, flips: Flips, state: PairState) -> Flips:
        additions = combine([c.additions(state) for c in self.constraints])
        removals = combine([c.removals(state) for c in self.constraints])
        keep = torch.ones_like(flips.added)
        if additions is not None:
            keep &= ~flips.added | additions(*flips.pairs)
        if removals is not None:
            keep &= flips.added | removals(*flips.pairs)
        return flips.take(keep)


def _unlisted_pairs(state: PairState, count: int, draw: torch.Generator) -> Tensor:
    if not count:
        return state.index.new_empty(2, 0)
    pairs = sample_negatives(state.shape, count, state.index, draw, upper=not state.bipartite)
    shuffled = torch.randperm(count, generator=draw).to(pairs.device)
    return pairs[:, shuffled]
