"""Tasks and attacks from :class:`AttackSettings`."""

import inspect
from dataclasses import fields, replace
from typing import Any

from torch_geometric.data import Data, HeteroData

from .._checks import choice
from .._named import named
from ..attacks import DICE, Attack, Injection, NewUsers, ProfileAttack, SimilarUsers, random_like
from ..graphs import Graph, Interactions, read_graph
from ..perturbation import Perturbation
from ..presets import strongest_task
from ..tasks import (
    Bystanders,
    Degrade,
    Demote,
    NodeClassification,
    Objective,
    Promote,
    Recommendation,
    Task,
)
from ..tasks.fake_users import with_fake_users
from ..tasks.named_objectives import OBJECTIVES as THESIS_OBJECTIVES
from ..training import INTERACTIONS, NODES, Training
from .attacks import Made
from .options import CLASSES, Option
from .settings import AttackSettings, own_options, task_options

TO_CONVERGENCE = 1000  # steps
TRAINING = tuple(field.name for field in fields(Training))
LIST_LENGTH = 10
"""The default ``k`` of ``"ranking"``."""
OBJECTIVES = {"degrade": Degrade, "bystanders": Bystanders, "demote": Demote, "promote": Promote}
"""Objectives of rankings by name."""
_OF_NODES = ("attack_loss", "labels", "mix")
_OF_INTERACTIONS = ("loss", "heldout_fraction")
_FIELDS_OF_NODES = ("features",)
_FIELDS_OF_INTERACTIONS = (
    *("edge_type", "max_profile_share", "off_limits", "promote", "profile_length", "k"),
)


def build_task(data: Data | HeteroData | Graph, settings: AttackSettings) -> Task[Any]:
    """Return the task of ``settings`` on ``data``.

    Raises:
        TypeError, ValueError: as :class:`.NodeClassification` or :class:`.Recommendation` raises; a
            setting is for the other kind of graph.
    """
    graph = read_graph(data, settings.edge_type)
    interactions = isinstance(graph, Interactions)
    settings = settings.resolved(interactions)
    _refuse_other_kind(settings, interactions)
    options = {
        name: settings.options[name]
        for name in task_options(interactions)
        if name in settings.options
    }
    options |= _given(surrogate=settings.surrogate)
    if isinstance(graph, Interactions):
        if "objective" in options:
            known = {**dict(zip(THESIS_OBJECTIVES, THESIS_OBJECTIVES, strict=True)), **OBJECTIVES}
            kinds = (str, Objective)
            options["objective"] = named("objective", options["objective"], known, kinds)
        if settings.attack == "ranking":
            return _ranking_task(graph, settings, options)
        return Recommendation(graph, **{"surrogate": "cf", **options})
    options |= {"feature_candidates": "all"} if settings.features else {}
    if settings.attack == "strongest":
        return strongest_task(graph, **options)
    return NodeClassification(graph, **options)


def _refuse_other_kind(settings: AttackSettings, interactions: bool) -> None:
    """Raise a ValueError for a setting that is for the other kind of graph."""
    kinds = ("nodes", "interactions") if interactions else ("interactions", "nodes")
    fields = _FIELDS_OF_NODES if interactions else _FIELDS_OF_INTERACTIONS
    given = [name for name in fields if getattr(settings, name) is not None]
    given += [
        name
        for name in (_OF_NODES if interactions else _OF_INTERACTIONS)
        if name in settings.options
    ]
    if given:
        raise ValueError(f"{given[0]} is for graphs of {kinds[0]}, found one of {kinds[1]}.")
    if settings.attack == ("strongest" if interactions else "ranking"):
        raise ValueError(
            f"attack={settings.attack!r} is for graphs of {kinds[0]}, found one of {kinds[1]}."
        )


def _ranking_task(
    graph: Interactions, settings: AttackSettings, options: dict[str, Any]
) -> Recommendation:
    k = min(settings.k or LIST_LENGTH, graph.num_items)
    goal = Degrade(k=k) if settings.promote is None else Promote(settings.promote, k)
    task = Recommendation(graph, **{"surrogate": "ease", "objective": goal, **options})
    if not task.is_closed_form:
        raise ValueError(
            f"attack='ranking' needs a surrogate in closed form, found surrogate="
            f"{settings.surrogate!r}; use 'ease' or 'wmf', or another attack."
        )
    return task


def build_attack(data: Data | HeteroData | Graph, settings: AttackSettings) -> Attack | Injection:
    """Return the attack of ``settings`` on ``data``, including its fake users, if any.

    Raises:
        TypeError, ValueError: a setting is out of range, missing, or not for this kind of graph or
            attack.
    """
    interactions = isinstance(read_graph(data, settings.edge_type), Interactions)
    settings = settings.resolved(interactions)
    training = build_training(interactions, settings)
    attack = _attack(settings, training, interactions)
    if isinstance(attack, Injection):
        return attack
    if settings.features and not attack.flips_features:
        raise ValueError(
            f"features: {settings.attack!r} flips only edges; use 'meta', 'meta-approx', "
            "'meta-implicit' or 'random'."
        )
    if not interactions and (settings.new_users or settings.similar_users):
        raise ValueError("new_users and similar_users need interactions, found a graph of nodes.")
    if settings.new_users is not None:
        return NewUsers(settings.new_users, attack, profile_length=settings.profile_length)
    if settings.similar_users is not None:
        options = {k: settings.options[k] for k in ("method", "fraction") if k in settings.options}
        return SimilarUsers(settings.similar_users, **options, attack=attack, training=training)
    return attack


def build_training(interactions: bool, settings: AttackSettings) -> Training:
    """Return the training of the surrogate: the default for this kind of graph, with the options.

    Raises:
        TypeError, ValueError: an option is out of range; ``optimizer="sgd"`` without ``lr``, for
            interactions.
    """
    given = {name: settings.options[name] for name in TRAINING if name in settings.options}
    usual = INTERACTIONS if interactions else NODES
    descent = choice("optimizer", given.get("optimizer", usual.optimizer), ["sgd", "adam"]) == "sgd"
    if interactions and descent and "lr" not in given:
        raise ValueError(
            "optimizer='sgd' on interactions needs lr: the loss is a mean over all pairs, so the "
            "learning rate must be large (hundreds)."
        )
    if not interactions and not descent:
        usual = replace(usual, lr=0.01, momentum=0.0)
    if settings.attack == "meta-implicit":
        usual = replace(usual, steps=TO_CONVERGENCE)
    return replace(usual, **given)


def random_beside(
    graph: Graph, perturbation: Perturbation, settings: AttackSettings, seed: int = 0
) -> Perturbation:
    """Return as many random flips as ``perturbation`` has, among the same candidates.

    The flips are made by :func:`random_like` of the attack of ``settings``. All kinds of flips in
    ``perturbation`` are allowed, because its settings may be unknown. Its fake users, if any, are
    kept.
    """
    if settings.promote is None and not settings.attack:
        settings = replace(settings, attack="meta")
    if not perturbation.flips["added"].all():
        settings = replace(settings, removals=True)
    if perturbation.feature_flips.size(1):
        settings = replace(settings, features=True)
    task, attack = build_task(graph, settings), random_like(build_attack(graph, settings))
    if perturbation.fake_users is not None:
        assert isinstance(task, Recommendation)
        task = with_fake_users(task, perturbation.fake_users)
    flips = attack.attack if isinstance(attack, Injection) else attack
    return flips(task, len(perturbation), seed)


def _attack(settings: AttackSettings, training: Training, interactions: bool) -> Attack | Injection:
    if settings.profile_length is not None:
        return ProfileAttack(settings.profile_length)
    made = Made.of(settings.attack or "")
    removals = settings.may_remove(interactions)
    derived = {
        "training": training,
        "constraints": settings.chosen_constraints(interactions),
        "allow_removals": removals,
    }
    if made.make is DICE and not removals:
        derived["removal_share"] = 0.0
    taken = inspect.signature(made.make).parameters
    options = {name: value for name, value in derived.items() if name in taken}
    for name, option in own_options(made.make).items():
        if name in settings.options:
            options[option.parameter] = value_of(option, settings.options[name])
    try:
        return made.make(**{**options, **made.options})
    except TypeError as error:
        raise TypeError(f"attack={settings.attack!r}: {error}") from error


def value_of(option: Option, value: Any) -> Any:
    """Return ``value`` of an option as the parameter takes it: a tuple, or an object by name."""
    if option.kind is tuple:
        return tuple(value)
    if option.kind in CLASSES and isinstance(value, str):
        return named(option.name, value, CLASSES[option.kind], option.kind)
    return value


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
