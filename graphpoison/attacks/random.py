"""Random flips: the baseline that any attack has to beat at equal budget."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, overload

import torch

from .._random import numpy_generator
from ..constraints import Constraint, on_features
from ..graphs import PairState
from ..graphs.sampling import distinct_integers
from ..tasks import Task
from .base import Attack, Proposal, check_kinds
from .injection import Injection, NewUsers, SimilarUsers
from .sampler import CandidateSampler

MAX_ROUNDS = 100  # rounds of drawing unlisted pairs until constraints allow one


@dataclass(frozen=True)
class RandomAttack(Attack):
    """Flip candidates drawn uniformly (thesis, Algorithm 2).

    By default it only adds edges, as the thesis's baseline does. If the task has
    ``feature_candidates``, pairs and features are drawn, each candidate with equal probability.

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
        check_kinds(self.constraints, self.allow_removals, self.allow_additions)

    def propose(
        self, task: Task[Any], state: PairState, limit: int, seed: int, step: int
    ) -> Proposal:
        rng = numpy_generator(seed, step)
        kinds = self.allow_removals, self.allow_additions
        pairs, entries = CandidateSampler(state, self.constraints, *kinds), None
        if state.features is not None:
            rules = on_features(self.constraints, state)
            entries = CandidateSampler(state.features, rules, *kinds)
        total = pairs.num_candidates + (0 if entries is None else entries.num_candidates)
        for _ in range(MAX_ROUNDS if total else 0):
            place = torch.from_numpy(distinct_integers(total, min(limit, total), rng))
            place = place.to(pairs.listed.device)
            edges = place < pairs.num_candidates
            flips = pairs.flips(place[edges], rng)
            if entries is not None:
                features = entries.flips(place[~edges] - pairs.num_candidates, rng)
                flips = flips.with_features(features)
                flips = flips.take(torch.from_numpy(rng.permutation(len(flips))).to(place.device))
            if len(flips):
                return Proposal(flips)
        left = pairs.listed.numel()  # the constraints allow all of these
        place = torch.from_numpy(distinct_integers(left, min(limit, left), rng))
        return Proposal(pairs.flips(place.to(pairs.listed.device), rng))


@overload
def random_like(attack: Attack) -> RandomAttack: ...
@overload
def random_like(attack: Injection) -> Injection: ...
def random_like(attack: Attack | Injection) -> RandomAttack | Injection:
    """Returns the random baseline of ``attack``, for a comparison at equal budget.

    The baseline has the constraints of ``attack`` and makes the same kinds of flips, of edges and
    of features. For an attack that only adds it is the baseline of the thesis, Algorithm 2. For an
    :class:`Injection` it adds the same fake users and flips their pairs at random. Your own attack
    states its kinds of flips by attributes ``allow_removals`` and ``allow_additions``; without
    them, the baseline only adds.

    Raises:
        TypeError: ``attack`` is no attack.
    """
    if isinstance(attack, Injection):
        changed: dict[str, Any] = {"attack": random_like(attack.attack)}
        if isinstance(attack, SimilarUsers) and attack.method == "kmeans":
            changed["training"] = attack.surrogate_training
        if isinstance(attack, NewUsers):
            changed["profile_length"] = None  # random flips have no profile to fill
        return replace(attack, **changed)  # type: ignore[type-var]
    if not isinstance(attack, Attack):
        raise TypeError(
            f"attack must be an attack such as MetaAttack(), found {type(attack).__name__}: give "
            "the attack, not its flips."
        )
    return RandomAttack(tuple(attack.constraints), *kinds_of(attack))


def kinds_of(attack: Attack) -> tuple[bool, bool]:
    """Whether ``attack`` may remove edges, and whether it may add them."""
    return getattr(attack, "allow_removals", False), getattr(attack, "allow_additions", True)
