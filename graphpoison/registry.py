"""Attacks built from names and numbers, as a command line, a file or a form has them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch_geometric.data import Data, HeteroData

from ._checks import choice, positive_int
from ._settings import known_fields
from .attacks import (
    DICE,
    GRBCD,
    PRBCD,
    Attack,
    DegreeAttack,
    Injection,
    MetaAttack,
    NewUsers,
    PGDAttack,
    RandomAttack,
    SimilarUsers,
    random_like,
)
from .constraints import Constraint
from .graphs import Graph, Interactions, read_graph
from .hypergradient import Approximate, Hypergradient, Implicit, Unrolled
from .parsing import parse_constraint
from .perturbation import Perturbation
from .tasks import NodeClassification, Recommendation, Task
from .tasks.fake_users import with_fake_users
from .training import INTERACTIONS, NODES, Training

ATTACKS = {
    "meta": "exact meta-gradient (thesis, Algorithm 1; Metattack)",
    "meta-approx": "Meta-Approx, A-Meta (thesis, Algorithm 3)",
    "meta-implicit": "meta-gradient at convergence",
    "random": "random flips (thesis, Algorithm 2)",
    "dice": "DICE, by true labels",
    "degree": "pairs of the largest degrees",
    "pgd": "projected gradient",
    "min-max": "projected gradient, retraining",
    "prbcd": "PRBCD, random blocks",
    "grbcd": "GRBCD, greedy random blocks",
}
"""Names of attacks, and what they are."""
TO_CONVERGENCE = 1000  # steps
_HYPERGRADIENTS: dict[str, type[Hypergradient]] = {
    "meta-approx": Approximate,
    "meta-implicit": Implicit,
}
_OF_NODES = ("attack_loss", "labels", "mix", "features")
_OF_INTERACTIONS = ("loss", "edge_type")
_ADDING = ("random", "degree")  # what only adds unless told otherwise
_OPTIONS = {
    **dict.fromkeys(("flips_per_step", "redraw"), ("meta", "meta-approx", "meta-implicit")),
    **dict.fromkeys(("epochs", "block_size"), ("pgd", "min-max", "prbcd", "grbcd")),
}
"""Settings that some attacks alone look at, and which."""


@dataclass(frozen=True)
class AttackSettings:
    """An attack and its problem by name; None is the default of the kind of graph.

    Args:
        attack: one of :data:`.ATTACKS`.
        surrogate, objective, candidates: as the tasks take them.
        attack_loss, labels, mix: of nodes, as :class:`.NodeClassification` takes them.
        features: whether binary features of nodes may be flipped too.
        loss: of interactions, as :class:`.Recommendation` takes it.
        edge_type: of interactions, where the graph has several.
        steps, lr, momentum, optimizer, weight_decay: of training the surrogate. By default 100
            steps of gradient descent, learning rate 0.1 and momentum 0.9, for nodes, as in
            Metattack; 50 steps of Adam, learning rate 0.05, for interactions.
        flips_per_step, redraw: of ``"meta"`` and its kin.
        epochs, block_size: of ``"pgd"``, ``"min-max"``, ``"prbcd"`` and ``"grbcd"``; ``epochs`` are
            their gradient steps.
        constraints: names among :data:`.CONSTRAINTS`, ``"node-budget=3"`` or ``"node-budget=50%"``;
            ``("none",)`` for no constraint. By default ``"no-singletons"`` for nodes.
        removals: whether edges may be removed. By default they may from graphs of nodes, but for
            ``"random"`` and ``"degree"``, and not from interactions.
        new_users, similar_users: how many fake users join; one of the two.
        method: of ``similar_users``: ``"sample"`` or ``"kmeans"``.

    Raises:
        ValueError: an unknown attack, constraint or method; both kinds of fake users.
    """

    attack: str = "meta"
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

    def __post_init__(self) -> None:
        choice("attack", self.attack, ATTACKS)
        choice("method", self.method, ["sample", "kmeans"])
        self.chosen_constraints(interactions=False)
        if self.new_users is not None and self.similar_users is not None:
            raise ValueError("new_users and similar_users exclude each other: give one of them.")

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "AttackSettings":
        """Settings from their record, ``dataclasses.asdict`` after JSON."""
        known = known_fields(cls, record)
        lists = {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
        return cls(**{**known, **lists})

    def without_effect(self) -> list[str]:
        """The names of settings that were given, but that this attack does not look at."""
        other = [name for name, attacks in _OPTIONS.items() if self.attack not in attacks]
        other += ["method"] if self.similar_users is None else []
        return [name for name in other if getattr(self, name) != getattr(type(self), name)]

    def chosen_constraints(self, interactions: bool) -> tuple[Constraint, ...]:
        """The constraints themselves."""
        names = self.constraints or (() if interactions else ("no-singletons",))
        found = [parse_constraint(name) for name in names]
        return tuple(constraint for constraint in found if constraint is not None)

    def may_remove(self, interactions: bool) -> bool:
        """Whether edges may be removed."""
        if self.removals is not None:
            return self.removals
        return not interactions and self.attack not in _ADDING


def build_task(data: Data | HeteroData | Graph, settings: AttackSettings) -> Task[Any]:
    """The task of ``settings`` on ``graph``.

    Raises:
        TypeError, ValueError: as :class:`.NodeClassification` or :class:`.Recommendation` raises; a
            setting is of the other kind of graph.
    """
    graph = read_graph(data, settings.edge_type)
    interactions = isinstance(graph, Interactions)
    for name in _OF_NODES if interactions else _OF_INTERACTIONS:
        if getattr(settings, name) is not None:
            kinds = ("nodes", "interactions") if interactions else ("interactions", "nodes")
            raise ValueError(f"{name} is for graphs of {kinds[0]}, found one of {kinds[1]}.")
    options = _given(objective=settings.objective, candidates=settings.candidates)
    if isinstance(graph, Interactions):
        options |= _given(loss=settings.loss)
        return Recommendation(graph, settings.surrogate or "cf", **options)
    options |= _given(attack_loss=settings.attack_loss, labels=settings.labels, mix=settings.mix)
    options |= {"feature_candidates": "all"} if settings.features else {}
    return NodeClassification(graph, settings.surrogate or "linear-gcn", **options)


def build_attack(data: Data | HeteroData | Graph, settings: AttackSettings) -> Attack | Injection:
    """The attack, with the users it signs up if there are any.

    Raises:
        TypeError, ValueError: a setting is out of range, missing, or not of this kind of graph or
            attack.
    """
    interactions = isinstance(read_graph(data, settings.edge_type), Interactions)
    training = build_training(interactions, settings)
    attack = _attack(settings, training, interactions)
    if settings.features and not attack.flips_features:
        raise ValueError(
            f"features: {settings.attack!r} flips edges alone; use 'meta' and its kin, or 'random'."
        )
    if not interactions and (settings.new_users or settings.similar_users):
        raise ValueError("new_users and similar_users need interactions, found a graph of nodes.")
    if settings.new_users is not None:
        return NewUsers(settings.new_users, attack)
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
            "it has to be large (hundreds)."
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
    """As many random flips as ``perturbation`` has, among the same candidates.

    They are :func:`random_like` the attack of ``settings``, and of every kind that
    ``perturbation`` has: where the settings are not known, these are what shows what may be
    flipped. Fake users, if any, are the same.
    """
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
    name, removals = settings.attack, settings.may_remove(interactions)
    positive_int("flips_per_step", settings.flips_per_step)
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
