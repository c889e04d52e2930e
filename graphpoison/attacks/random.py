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
        left = pairs.listed.numel()  # which the constraints have let pass already
        place = torch.from_numpy(distinct_integers(left, min(limit, left), rng))
        return Proposal(pairs.flips(place.to(pairs.listed.device), rng))


@overload
def random_like(attack: Attack) -> RandomAttack: ...
@overload
def random_like(attack: Injection) -> Injection: ...
def random_like(attack: Attack | Injection) -> RandomAttack | Injection:
    """Random flips of the kinds that ``attack`` makes, to stand beside it at equal budget.

    It has the same constraints, adds and removes as ``attack`` may, and takes candidates, features
    among them, from the same task. For an attack that only adds this is the baseline of the
    thesis, Algorithm 2. For an :class:`Injection` it is the same fake users around random flips.
    An attack of one's own says what it may by attributes ``allow_removals`` and
    ``allow_additions``; without them it is taken to add alone.
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
            f"attack must be an attack such as MetaAttack(), found {type(attack).__name__}: flips "
            "do not say what may be flipped."
        )
    return RandomAttack(tuple(attack.constraints), *kinds_of(attack))


def kinds_of(attack: Attack) -> tuple[bool, bool]:
    """Whether ``attack`` may remove edges, and whether it may add them."""
    return getattr(attack, "allow_removals", False), getattr(attack, "allow_additions", True)
