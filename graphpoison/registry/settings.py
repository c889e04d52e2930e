"""An attack and its problem as names and numbers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .._checks import choice, in_range, positive_int
from .._names import ATTACKS as NAMED_ATTACKS
from .._settings import known_fields
from ..constraints import Constraint, NodeBudget, OffLimits
from ..models import RECOMMENDERS
from ..parsing import parse_constraint

ATTACKS = NAMED_ATTACKS
"""Names of attacks, with descriptions."""
PROFILE_SHARE = 0.25
"""The usual ``max_profile_share`` of ``"ranking"``."""
_TRAINING = ("steps", "lr", "momentum", "optimizer", "weight_decay")
_IN_STEPS = ("objective", "candidates", "loss", *_TRAINING, "flips_per_step", "redraw")
"""Settings of surrogates that are trained in steps: if one is given, ``"meta"`` is the default."""
_ADDING = ("random", "degree")  # attacks that only add by default
_OPTIONS = {
    **dict.fromkeys(("flips_per_step", "redraw"), ("meta", "meta-approx", "meta-implicit")),
    "epochs": ("ranking", "strongest", "pgd", "min-max", "prbcd", "grbcd"),
    "block_size": ("pgd", "min-max", "prbcd", "grbcd"),
    **dict.fromkeys(("profile_length", "k"), ("ranking",)),
}
"""Settings that only some attacks use, and these attacks."""


@dataclass(frozen=True)
class AttackSettings:
    """An attack and its problem by name; None is the default for the kind of graph.

    Args:
        attack: one of :data:`.ATTACKS`. By default ``"strongest"`` for nodes and ``"ranking"`` for
            interactions, or ``"meta"`` if a setting is given that these do not use.
        surrogate, objective, candidates: as the tasks take them.
        attack_loss, labels, mix: of nodes, as :class:`.NodeClassification` takes them.
        features: whether binary features of nodes may be flipped too.
        loss: of interactions, as :class:`.Recommendation` takes it.
        edge_type: of interactions, where the graph has several.
        steps, lr, momentum, optimizer, weight_decay: of training the surrogate. By default 100
            steps of gradient descent, learning rate 0.1 and momentum 0.9, for nodes, as in
            Metattack; 50 steps of Adam, learning rate 0.05, for interactions.
        flips_per_step, redraw: of ``"meta"``, ``"meta-approx"`` and ``"meta-implicit"``.
        epochs: gradient steps of ``"pgd"``, ``"min-max"``, ``"prbcd"``, ``"grbcd"`` and
            ``"ranking"``; rounds of ``"strongest"``.
        block_size: of ``"pgd"``, ``"min-max"``, ``"prbcd"`` and ``"grbcd"``.
        constraints: names among :data:`.CONSTRAINTS`, ``"node-budget=3"`` or ``"node-budget=50%"``;
            ``("none",)`` for no constraint. By default ``"no-singletons"`` for nodes, and
            ``"degree-distribution"`` too for ``"strongest"``.
        removals: whether edges may be removed. The default is True for graphs of nodes, except with
            ``"random"`` and ``"degree"``; for interactions only with ``"ranking"``.
        max_profile_share: the share of each user's clean interactions that may be flipped, inf for
            no limit. By default 0.25 for ``"ranking"`` without fake users, else no limit.
        off_limits: numbers of users who are in no flip.
        promote: numbers of items that ``"ranking"`` promotes with ``new_users`` fake users.
        profile_length: number of interactions of each fake user of ``"ranking"``.
        k: length of the recommended lists of ``"ranking"``; 10 by default.
        new_users, similar_users: number of fake users; only one of the two.
        method: of ``similar_users``: ``"sample"`` or ``"kmeans"``.

    Raises:
        ValueError: an unknown attack, constraint or method; both kinds of fake users; settings of
            fake users and of real users' profiles together.
    """

    attack: str | None = None
    surrogate: str | None = None
    objective: str | None = None
    candidates: str | None = None
    attack_loss: str | None = None
    labels: str | None = None
    mix: float | None = None
    features: bool | None = None
    loss: str | None = None
    edge_type: tuple[str, str, str] | None = None
    steps: int | None = None
    lr: float | None = None
    momentum: float | None = None
    optimizer: str | None = None
    weight_decay: float | None = None
    flips_per_step: int = 1
    redraw: bool = True
    epochs: int | None = None
    block_size: int | None = None
    constraints: tuple[str, ...] = ()
    removals: bool | None = None
    new_users: int | None = None
    similar_users: int | None = None
    method: str = "sample"
    max_profile_share: float | None = None
    off_limits: tuple[int, ...] | None = None
    promote: tuple[int, ...] | None = None
    profile_length: int | None = None
    k: int | None = None

    def __post_init__(self) -> None:
        if self.attack is not None:
            choice("attack", self.attack, ATTACKS)
        choice("method", self.method, ["sample", "kmeans"])
        if self.max_profile_share is not None:
            in_range("max_profile_share", self.max_profile_share, 0.0, math.inf)
        if self.k is not None:
            positive_int("k", self.k)
        self.chosen_constraints(interactions=False)
        if self.new_users is not None and self.similar_users is not None:
            raise ValueError("new_users and similar_users exclude each other: give one of them.")
        fake = self.new_users is not None or self.similar_users is not None
        if fake and not (self.max_profile_share is None and self.off_limits is None):
            raise ValueError(
                "max_profile_share and off_limits limit flips of real users, and an attack with "
                "fake users makes none of these flips: leave them out."
            )
        self._check_promotion()

    def _check_promotion(self) -> None:
        """Raise unless promoted items, fake users and profile length are given together."""
        fake = self.new_users is not None or self.similar_users is not None
        if self.promote is None:
            if self.profile_length is not None:
                raise ValueError("profile_length needs promote: the items that fake users promote.")
            if fake and self.attack == "ranking":
                raise ValueError(
                    "attack='ranking' adds fake users to promote items: give promote, or "
                    "leave the fake users out."
                )
            return
        if self.attack not in (None, "ranking"):
            raise ValueError(f"promote needs attack='ranking', found attack={self.attack!r}.")
        if self.new_users is None or self.profile_length is None:
            raise ValueError("promote needs new_users and profile_length: give all of them.")
        positive_int("profile_length", self.profile_length)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "AttackSettings":
        """Settings from a record: ``dataclasses.asdict``, written to JSON and read again."""
        known = known_fields(cls, record)
        lists = {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
        return cls(**{**known, **lists})

    def resolved(self, interactions: bool) -> "AttackSettings":
        """The settings with an attack; if it is None, with the default for the kind of graph."""
        if self.attack is not None:
            return self
        if self.promote is not None:
            return replace(self, attack="ranking")
        given = [name for name in _IN_STEPS if getattr(self, name) != getattr(type(self), name)]
        if not interactions:
            other = self.objective == "train" or {*given} - {"objective", "candidates"}
            return replace(self, attack="meta" if other or self.features else "strongest")
        model = RECOMMENDERS.get(self.surrogate or "ease")
        fake = self.new_users is not None or self.similar_users is not None
        closed = model is None or model().is_closed_form
        ranked = interactions and closed and not given and not fake
        return replace(self, attack="ranking" if ranked else "meta")

    @property
    def share_of_profiles(self) -> float | None:
        """The share of each user's profile that may be flipped; None for no limit."""
        if self.max_profile_share is None and self.attack == "ranking" and not self.new_users:
            return PROFILE_SHARE
        return None if self.max_profile_share == math.inf else self.max_profile_share

    def without_effect(self) -> list[str]:
        """The names of settings that were given but that this attack does not use."""
        other = [name for name, attacks in _OPTIONS.items() if self.attack not in attacks]
        other += ["method"] if self.similar_users is None else []
        other += _TRAINING if self.attack in ("ranking", "strongest") else []
        other += ["epochs", "constraints", "removals"] if self.promote is not None else []
        return [name for name in other if getattr(self, name) != getattr(type(self), name)]

    def chosen_constraints(self, interactions: bool) -> tuple[Constraint, ...]:
        """The constraints as objects, limits on users first."""
        usual: tuple[str, ...] = () if interactions else ("no-singletons",)
        usual += ("degree-distribution",) if self.attack == "strongest" else ()
        names = self.constraints or usual
        found = [parse_constraint(name) for name in names]
        limits: list[Constraint] = []
        if self.share_of_profiles is not None:
            limits.append(NodeBudget(share=self.share_of_profiles, side="source"))
        if self.off_limits is not None:
            limits.append(OffLimits(self.off_limits))
        return (*limits, *(constraint for constraint in found if constraint is not None))

    def may_remove(self, interactions: bool) -> bool:
        """Whether edges may be removed."""
        if self.removals is not None:
            return self.removals
        return self.attack == "ranking" or (not interactions and self.attack not in _ADDING)
