"""Candidates drawn at random, without a list of all N^2 pairs."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ..constraints import Constraint, admissible, combine
from ..graphs import PairState
from ..graphs.codes import decode
from ..graphs.sampling import distinct_integers, sample_pairs
from ..hypergradient import Flips


class CandidateSampler:
    """Draws pairs of ``state`` that may be flipped: listed pairs, and unlisted additions.

    Constraints are checked for each flip on its own.

    Args:
        state: the graph, with its candidates.
        constraints: conditions that hold after each single flip.
        allow_removals: whether edges may be removed.
        allow_additions: whether edges may be added.
    """

    def __init__(
        self,
        state: PairState,
        constraints: Sequence[Constraint],
        allow_removals: bool,
        allow_additions: bool,
    ) -> None:
        self.state = state
        self.admissible = admissible(state, constraints, allow_removals, allow_additions)
        self.listed = self.admissible.nonzero().squeeze(1)
        self.takes_unlisted = state.implicit_candidates and allow_additions
        self.additions = combine([constraint.additions(state) for constraint in constraints])

    @cached_property
    def masked(self) -> Tensor | None:
        """LongTensor [K], the codes of the unlisted candidates, where a mask names them."""
        mask = self.state.candidate_mask
        if mask is None or not self.takes_unlisted:
            return None
        return (mask & ~self.state.occupied).flatten().nonzero().squeeze(1)

    @cached_property
    def num_candidates(self) -> int:
        """The number of listed and unlisted pairs; constraints on unlisted pairs are ignored."""
        unlisted = 0
        if self.masked is not None:
            unlisted = self.masked.numel()
        elif self.takes_unlisted:
            unlisted = self.state.num_pairs - self.state.num_listed
        return self.listed.numel() + unlisted

    def flips(self, number: Tensor, rng: np.random.Generator) -> Flips:
        """The candidates with the numbers ``number`` [K], in random order.

        Listed candidates have the first numbers. Higher numbers stand for unlisted candidates and
        are drawn at random. Unlisted pairs that constraints refuse are left out.
        """
        state, count = self.state, self.listed.numel()
        chosen, beyond = self.listed[number[number < count]], number[number >= count] - count
        if self.masked is None:
            fresh = self._unlisted(beyond.numel(), rng)
        else:
            fresh = self._admitted(decode(self.masked[beyond], state.shape[1]))
        pairs = torch.cat([state.index[:, chosen], fresh], dim=1)
        added = torch.cat([state.weight[chosen] == 0, fresh[0] >= 0])
        score = torch.full((pairs.size(1),), torch.nan, device=pairs.device)
        order = torch.from_numpy(rng.permutation(pairs.size(1))).to(pairs.device)
        return Flips(pairs, added, score).take(order)

    def block(self, size: int, rng: np.random.Generator) -> Tensor:
        """Pairs [2, K], K <= ``size``: all candidates, if there are no more than ``size``.

        Listed pairs come first; the rest are unlisted pairs, drawn uniformly.
        """
        listed = self.state.index[:, self.listed]
        if listed.size(1) > size:
            chosen = distinct_integers(listed.size(1), size, rng)
            return listed[:, torch.from_numpy(chosen).to(listed.device)]
        count = min(size, self.num_candidates) - listed.size(1)
        return torch.cat([listed, self._unlisted(count, rng)], dim=1)

    def admits(self, pairs: Tensor) -> Tensor:
        """BoolTensor [K]: which of ``pairs`` [2, K] are candidates."""
        place = self.state.locate(pairs)
        allowed = torch.full(place.shape, self.takes_unlisted, device=place.device)
        if self.takes_unlisted and self.additions is not None:
            allowed = self.additions(*pairs)
        found = place >= 0
        return allowed.masked_scatter(found, self.admissible[place[found]])

    def _unlisted(self, count: int, rng: np.random.Generator) -> Tensor:
        state = self.state
        return self._admitted(
            sample_pairs(state.shape, count, state.index, rng, upper=not state.bipartite)
        )

    def _admitted(self, pairs: Tensor) -> Tensor:
        return pairs if self.additions is None else pairs[:, self.additions(*pairs)]
