"""Tasks and attacks from :class:`AttackSettings`."""

from dataclasses import replace
from typing import Any

from torch_geometric.data import Data, HeteroData

from .._checks import choice, positive_int
from ..attacks import (
    DICE,
    GRBCD,
    PRBCD,
    Attack,
    DegreeAttack,
    Injection,
    MetaAttack,
    NewUsers,
    PGDAttack,
    ProfileAttack,
    RandomAttack,
    SimilarUsers,
    random_like,
)
from ..graphs import Graph, Interactions, read_graph
from ..hypergradient import Approximate, Hypergradient, Implicit, Unrolled
from ..perturbation import Perturbation
from ..presets import strongest_attack, strongest_task
from ..ranking_presets import ranking_attack
from ..tasks import Degrade, NodeClassification, Promote, Recommendation, Task
from ..tasks.fake_users import with_fake_users
from ..training import INTERACTIONS, NODES, Training
from .settings import AttackSettings

TO_CONVERGENCE = 1000  # steps
LIST_LENGTH = 10
"""The usual ``k`` of ``"ranking"``."""
_HYPERGRADIENTS: dict[str, type[Hypergradient]] = {
    "meta-approx": Approximate,
    "meta-implicit": Implicit,
}
_OF_NODES = ("attack_loss", "labels", "mix", "features")
_OF_INTERACTIONS = (
    *("loss", "edge_type", "max_profile_share", "off_limits", "promote", "profile_length", "k"),
)


def build_task(data: Data | HeteroData | Graph, settings: AttackSettings) -> Task[Any]:
    """The task of ``settings`` on ``data``.

    Raises:
        TypeError, ValueError: as :class:`.NodeClassification` or :class:`.Recommendation` raises; a
            setting is for the other kind of graph.
    """
    graph = read_graph(data, settings.edge_type)
    interactions = isinstance(graph, Interactions)
    settings = settings.resolved(interactions)
    for name in _OF_NODES if interactions else _OF_INTERACTIONS:
        if getattr(settings, name) is not None:
            kinds = ("nodes", "interactions") if interactions else ("interactions", "nodes")
            raise ValueError(f"{name} is for graphs of {kinds[0]}, found one of {kinds[1]}.")
    if settings.attack == "ranking" and not interactions:
        raise ValueError("attack='ranking' is for graphs of interactions, found one of nodes.")
    if settings.attack == "strongest" and interactions:
        raise ValueError("attack='strongest' is for graphs of nodes, found one of interactions.")
    options = _given(objective=settings.objective, candidates=settings.candidates)
    if isinstance(graph, Interactions) and settings.attack == "ranking":
        return _ranking_task(graph, settings, options)
    if isinstance(graph, Interactions):
        options |= _given(loss=settings.loss)
        return Recommendation(graph, settings.surrogate or "cf", **options)
    options |= _given(attack_loss=settings.attack_loss, labels=settings.labels, mix=settings.mix)
    options |= {"feature_candidates": "all"} if settings.features else {}
    options |= _given(surrogate=settings.surrogate)
    if settings.attack == "strongest":
        return strongest_task(graph, **options)
    return NodeClassification(graph, **options)


def _ranking_task(
    graph: Interactions, settings: AttackSettings, options: dict[str, Any]
) -> Recommendation:
    k = min(settings.k or LIST_LENGTH, graph.num_items)
    goal = Degrade(k=k) if settings.promote is None else Promote(settings.promote, k)
    task = Recommendation(graph, settings.surrogate or "ease", **{"objective": goal, **options})
    if not task.is_closed_form:
        raise ValueError(
            f"attack='ranking' needs a surrogate in closed form, found surrogate="
            f"{settings.surrogate!r}; use 'ease' or 'wmf', or another attack."
        )
    return task


def build_attack(data: Data | HeteroData | Graph, settings: AttackSettings) -> Attack | Injection:
    """The attack of ``settings`` on ``data``, including its fake users, if any.

    Raises:
        TypeError, ValueError: a setting is out of range, missing, or not for this kind of graph or
            attack.
    """
    interactions = isinstance(read_graph(data, settings.edge_type), Interactions)
    settings = settings.resolved(interactions)
    training = build_training(interactions, settings)
    attack = _attack(settings, training, interactions)
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
        method: Any = settings.method
        return SimilarUsers(settings.similar_users, method, attack=attack, training=training)
    return attack


def build_training(interactions: bool, settings: AttackSettings) -> Training:
    """How the surrogate is trained."""
    optimizer: Any = settings.optimizer or ("adam" if interactions else "sgd")
    descent = choice("optimizer", optimizer, ["sgd", "adam"]) == "sgd"
    if interactions and descent and settings.lr is None:
        raise ValueError(
            "optimizer='sgd' on interactions needs lr: the loss is a mean over all pairs, so that "
            "the learning rate has to be large (hundreds)."
        )
    usual = INTERACTIONS if interactions else NODES
    if not interactions and not descent:
        usual = replace(usual, lr=0.01, momentum=0.0)
    if settings.attack == "meta-implicit":
        usual = replace(usual, steps=TO_CONVERGENCE)
    names = "steps", "lr", "momentum", "weight_decay"
    given = {name: getattr(usual, name) for name in names}
    given |= _given(**{name: getattr(settings, name) for name in names})
    return Training(optimizer=optimizer, **given)


def random_beside(
    graph: Graph, perturbation: Perturbation, settings: AttackSettings, seed: int = 0
) -> Perturbation:
    """Returns as many random flips as ``perturbation`` has, among the same candidates.

    The flips are made by :func:`random_like` of the attack of ``settings``. All kinds of flips in
    ``perturbation`` are allowed, because its settings may be unknown. Fake users, if any, are the
    same.
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


def _attack(settings: AttackSettings, training: Training, interactions: bool) -> Attack:
    constraints = settings.chosen_constraints(interactions)
    name, removals = settings.attack or "", settings.may_remove(interactions)
    positive_int("flips_per_step", settings.flips_per_step)
    if settings.profile_length is not None:
        return ProfileAttack(settings.profile_length)
    if name == "ranking":
        steps = _given(steps=settings.epochs)
        return ranking_attack(constraints=constraints, allow_removals=removals, **steps)
    if name == "strongest":
        rounds = _given(rounds=settings.epochs)
        return strongest_attack(constraints, allow_removals=removals, **rounds)
    if name == "dice":
        return DICE(constraints, removal_share=0.5 if removals else 0.0)
    if name == "random":
        return RandomAttack(constraints, removals)
    if name == "degree":
        return DegreeAttack(constraints, allow_removals=removals)
    if name in ("pgd", "min-max"):
        blocks = _given(steps=settings.epochs, block_size=settings.block_size)
        retrain = name == "min-max"
        return PGDAttack(
            training, retrain=retrain, constraints=constraints, allow_removals=removals, **blocks
        )
    if name in ("prbcd", "grbcd"):
        blocks = _given(epochs=settings.epochs, block_size=settings.block_size)
        kind = PRBCD if name == "prbcd" else GRBCD
        return kind(training, constraints=constraints, allow_removals=removals, **blocks)
    return MetaAttack(
        training,
        settings.flips_per_step,
        constraints,
        removals,
        redraw=settings.redraw,
        hypergradient=_HYPERGRADIENTS.get(name, Unrolled)(),
    )


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
