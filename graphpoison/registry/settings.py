"""The settings of an attack and its task, as names and values."""

import inspect
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from .._checks import in_range, nearest, positive_int
from .._settings import known_fields
from ..attacks import SimilarUsers
from ..constraints import Constraint, NodeBudget, OffLimits
from ..models import recommender
from ..parsing import parse_constraint
from ..tasks import NodeClassification, Recommendation
from ..tasks.named_objectives import OBJECTIVES
from ..training import Training
from .attacks import MAKERS, Made, Maker
from .options import Option, options_of

PROFILE_SHARE = 0.25
"""The default ``max_profile_share`` of ``"ranking"``."""
RENAMED = {
    "steps": "epochs",
    "lr": "attack_lr",
    "momentum": "attack_momentum",
    "allow_additions": "additions",
}
"""Parameter of an attack -> its option, as options ``steps``, ``lr`` and ``momentum`` belong to the
training."""
_DERIVED = ("training", "constraints", "allow_removals", "max_profile_share", "off_limits")
"""Parameters of attacks that follow from the fields of :class:`AttackSettings`."""
_NOT_OF_TASKS = ("surrogate", "edge_type", "seed", "feature_candidates")
_IN_STEPS = ("loss", "candidates", "heldout_fraction")  # for surrogates trained in steps
_ADDING = ("random", "degree")  # attacks that only add by default


@dataclass(frozen=True)
class AttackSettings:
    """An attack and its task by name. None stands for the default for the kind of graph.

    Args:
        attack: one of :data:`.ATTACKS`, or the import path of an attack; arguments may follow, as
            in ``"meta(flips_per_step=5)"``. By default ``"strongest"`` for nodes and ``"ranking"``
            for interactions, or ``"meta"`` if an option is given that these do not take.
        options: values of options of the attack, the task and the training, by name, see
            :func:`~graphpoison.registry.settings.known_options`. By default the surrogate is
            trained for 100 steps of gradient descent with learning rate 0.1 and momentum 0.9 for
            nodes, as in Metattack, and for 50 steps of Adam with learning rate 0.05 for
            interactions.
        surrogate: name or import path of a model, as the tasks take it.
        features: whether binary features of nodes may be flipped too.
        edge_type: edge type of the interactions, if the graph has several.
        constraints: names or import paths of constraints, ``"node-budget=3"`` or
            ``"node-budget=50%"``; ``("none",)`` for no constraint. By default ``"no-singletons"``
            for nodes, and also ``"degree-distribution"`` for ``"strongest"``.
        removals: whether edges may be removed. The default is True for graphs of nodes, except with
            ``"random"`` and ``"degree"``; for interactions only with ``"ranking"``.
        max_profile_share: the share of each user's clean interactions that may be flipped, inf for
            no limit. By default 0.25 for ``"ranking"`` without fake users, else no limit.
        off_limits: indices of users whose interactions are not flipped.
        promote: indices of items that ``"ranking"`` promotes with ``new_users`` fake users.
        profile_length: number of interactions of each fake user of ``"ranking"``.
        k: length of the recommended lists of ``"ranking"``; 10 by default.
        new_users, similar_users: number of fake users; at most one of the two is given.

    Raises:
        TypeError, ValueError: an attack, option or constraint is unknown; both kinds of fake users
            are given; fake users are given together with limits on real users' profiles.
    """

    attack: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    surrogate: str | None = None
    features: bool | None = None
    edge_type: tuple[str, str, str] | None = None
    constraints: tuple[str, ...] = ()
    removals: bool | None = None
    max_profile_share: float | None = None
    off_limits: tuple[int, ...] | None = None
    promote: tuple[int, ...] | None = None
    profile_length: int | None = None
    k: int | None = None
    new_users: int | None = None
    similar_users: int | None = None

    def __post_init__(self) -> None:
        known = known_options()
        if self.attack is not None:
            known = {**known, **own_options(Made.of(self.attack).make)}
        for name in self.options:
            if name not in known:
                raise ValueError(f"unknown option {name!r}.{nearest(name, known)}")
        if self.max_profile_share is not None:
            in_range("max_profile_share", self.max_profile_share, 0.0, math.inf)
        if self.k is not None:
            positive_int("k", self.k)
        self.chosen_constraints(interactions=False)
        if self.new_users is not None and self.similar_users is not None:
            raise ValueError("new_users and similar_users exclude each other: give one of them.")
        of_real_users = self.max_profile_share is not None or self.off_limits is not None
        if self._has_fake_users and of_real_users:
            raise ValueError(
                "max_profile_share and off_limits limit flips of real users, but an attack with "
                "fake users flips only pairs of fake users: leave the two settings out."
            )
        self._check_promotion()

    @property
    def _has_fake_users(self) -> bool:
        return self.new_users is not None or self.similar_users is not None

    def _check_promotion(self) -> None:
        """Raise unless promoted items, fake users and profile length are given together."""
        if self.promote is None:
            if self.profile_length is not None:
                raise ValueError("profile_length needs promote: the items that fake users promote.")
            if self._has_fake_users and self.attack == "ranking":
                raise ValueError(
                    "attack='ranking' adds fake users to promote items: give promote, or leave out "
                    "new_users and similar_users."
                )
            return
        if self.attack not in (None, "ranking"):
            raise ValueError(f"promote needs attack='ranking', found attack={self.attack!r}.")
        if self.new_users is None or self.profile_length is None:
            raise ValueError("promote needs new_users and profile_length: give all of them.")
        positive_int("profile_length", self.profile_length)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "AttackSettings":
        """Return the settings of a mapping, such as ``dataclasses.asdict`` read from JSON.

        Options may also be keys next to the fields. Unknown names are ignored.
        """
        known = known_fields(cls, record)
        lists = {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
        given = {**record, **record.get("options", {})}
        options = {name: given[name] for name in known_options() if given.get(name) is not None}
        return cls(**{**known, **lists, "options": options})

    @property
    def imports(self) -> bool:
        """Whether a name is an import path, so that its module would be imported."""
        texts = (self.attack, self.surrogate, *self.constraints, *self.options.values())
        names = [re.split("[(=]", text)[0] for text in texts if isinstance(text, str)]
        return any("." in name for name in names)

    def resolved(self, interactions: bool) -> "AttackSettings":
        """Return the settings with an attack: the default for the kind of graph if it is None."""
        if self.attack is not None:
            return self
        usual = "ranking" if interactions else "strongest"
        of_meta = set(options_for("meta", interactions)) - set(options_for(usual, interactions))
        fits = of_meta.isdisjoint(self.options)
        objective = self.options.get("objective")
        if interactions:
            closed = recommender(self.surrogate or "ease").is_closed_form
            fake = self._has_fake_users and self.promote is None
            fits = (fits and closed and not fake and objective not in OBJECTIVES) or (
                self.promote is not None
            )
        else:
            fits = fits and objective != "train" and not self.features
        return replace(self, attack=usual if fits else "meta")

    @property
    def share_of_profiles(self) -> float | None:
        """The share of each user's profile that may be flipped; None for no limit."""
        if self.max_profile_share is None and self.attack == "ranking" and not self.new_users:
            return PROFILE_SHARE
        return None if self.max_profile_share == math.inf else self.max_profile_share

    def without_effect(self, interactions: bool) -> list[str]:
        """The names of settings that were given but that this attack does not use."""
        taken = set(options_for(self.attack or "", interactions))
        taken |= set(options_of(SimilarUsers)) if self.similar_users is not None else set()
        other = [name for name in self.options if name not in taken]
        if self.promote is not None:
            other += [name for name in self.options if name not in other]
            other += ["constraints"] if self.constraints else []
            other += ["removals"] if self.removals is not None else []
        return other + (["k"] if self.k is not None and self.attack != "ranking" else [])

    def chosen_constraints(self, interactions: bool) -> tuple[Constraint, ...]:
        """Return the constraints as objects, limits on users first."""
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


def own_options(make: Maker) -> dict[str, Option]:
    """Return the options of an attack by name."""
    found = {}
    for parameter, option in options_of(make).items():
        if parameter not in _DERIVED:
            name = RENAMED.get(parameter, parameter)
            found[name] = replace(option, name=name)
    return found


def task_options(interactions: bool) -> dict[str, Option]:
    """Return the options of a task by name."""
    found = options_of(Recommendation if interactions else NodeClassification)
    return {name: option for name, option in found.items() if name not in _NOT_OF_TASKS}


def options_for(attack: str, interactions: bool) -> dict[str, Option]:
    """Return the options that an attack and its task take, on a graph of this kind."""
    made = Made.of(attack)
    found = {**task_options(interactions), **own_options(made.make)}
    if made.name == "ranking":
        found = {name: option for name, option in found.items() if name not in _IN_STEPS}
    if "training" in inspect.signature(made.make).parameters:
        found |= options_of(Training)
    return found


@cache
def known_options() -> dict[str, Option]:
    """Return all options, by name, of all attacks, both tasks, training and similar users."""
    found = {**task_options(False), **task_options(True), **options_of(Training)}
    for make, _ in MAKERS.values():
        found |= own_options(make)
    similar = options_of(SimilarUsers)
    return {**found, **{name: similar[name] for name in ("method", "fraction")}}
