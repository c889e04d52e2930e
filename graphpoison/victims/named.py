"""Victims from names, from settings, from module factories, and from attacks."""

from collections.abc import Iterable
from dataclasses import is_dataclass, replace
from typing import Any, Protocol, cast

from torch import nn

from .._checks import refuse_class
from .._named import named
from ..attacks import Attack, Injection, SurrogateAttack
from ..graphs import NodeGraph
from ..graphs.reading import Graph
from ..models import RECOMMENDERS, Recommender, recommender
from ..tasks import NodeClassification, Recommendation, Task
from .base import Victim
from .defences.gnnguard import GNNGuard, guarded
from .defences.grand import GRAND
from .defences.jaccard import drop_dissimilar
from .defences.rgcn import RGCN
from .defences.soft_median import SoftMedianGCN, SoftMedianGDC, diffused
from .defences.svd import low_rank
from .nodes.appnp import PropagatedMLP
from .nodes.gat import gat
from .nodes.gcn import gcn
from .nodes.mlp import MLP
from .nodes.module import ModuleFactory, ModuleVictim
from .nodes.sage import MeanSAGE
from .nodes.sgc import SGC
from .nodes.surrogate import SurrogateVictim
from .recommenders.ease import EASE
from .recommenders.foreign import MatrixVictim
from .recommenders.implicit_models import ImplicitALS, ImplicitBPR, ImplicitVictim
from .recommenders.item_knn import ItemKNN
from .recommenders.lightgcn_bpr import LightGCNBPR
from .recommenders.mf_bpr import MFBPR
from .recommenders.mf_softmax import MFSoftmax
from .recommenders.mult_vae import MultVAE
from .recommenders.popularity import Popularity
from .recommenders.slim import SLIM
from .recommenders.trained import RecommenderVictim


class VictimLike(Protocol):
    """An object with the attributes of a :class:`Victim`, which need not derive from it."""

    @property
    def name(self) -> str: ...

    def fit(self, graph: Any, seed: int) -> Any: ...


AnyVictim = str | VictimLike | ModuleFactory | nn.Module | Recommender
"""A name, a victim, a factory of modules (nodes), a module or the settings of a model
(interactions)."""
LAST = ":last"

NODE_VICTIMS = {
    victim.name: victim
    for victim in (
        ModuleVictim(gcn, "gcn"),
        ModuleVictim(gat, "gat", lr=0.005),
        ModuleVictim(MeanSAGE, "sage"),
        ModuleVictim(PropagatedMLP, "appnp"),
        ModuleVictim(SGC, "sgc", epochs=100, lr=0.2, weight_decay=1e-5),
        ModuleVictim(gcn, "gcn-jaccard", purify=drop_dissimilar),
        ModuleVictim(gcn, "gcn-svd", purify=low_rank),
        ModuleVictim(GNNGuard, "gnnguard", purify=guarded),
        ModuleVictim(SoftMedianGCN, "soft-median-gcn"),
        ModuleVictim(SoftMedianGDC, "soft-median-gdc", weight_decay=1e-3, purify=diffused),
        ModuleVictim(GRAND, "grand"),
        ModuleVictim(MLP, "mlp"),
        ModuleVictim(RGCN, "rgcn", weight_decay=0.0),
    )
}
"""Name -> victim. Training settings that are not given here equal the settings of the GCN."""

RECOMMENDER_VICTIMS: dict[str, Victim] = {
    victim.name: victim
    for victim in (
        EASE(),
        ItemKNN(),
        SLIM(),
        Popularity(),
        ImplicitALS(),
        ImplicitBPR(),
        LightGCNBPR(),
        MFSoftmax(),
        MFBPR(),
        MultVAE(),
    )
}
"""Name -> recommender in common use, trained as by its authors. Surrogate models are victims too,
see ``recommender_victim``."""

_ON_INTERACTIONS = (
    RecommenderVictim,
    ImplicitVictim,
    MatrixVictim,
    *map(type, RECOMMENDER_VICTIMS.values()),
)


def victims_of(graph: Graph, victims: AnyVictim | Iterable[AnyVictim] | None) -> list[Victim]:
    """The victims that ``evaluate(victims=...)`` names; ``["gcn"]`` or ``["ease"]`` by default."""
    alone = isinstance(victims, str) or _fits(victims) or not isinstance(victims, Iterable)
    listed: list[Any] = []
    if victims is not None:
        listed = [victims] if alone else list(victims)  # type: ignore[arg-type]
    if isinstance(graph, NodeGraph):
        return [node_victim(victim) for victim in listed or ["gcn"]]
    return [recommender_victim(victim) for victim in listed or ["ease"]]


def node_victim(victim: AnyVictim) -> Victim:
    """A victim from its name, one of :data:`NODE_VICTIMS`, or from a module factory.

    ``"gcn:last"`` is the victim ``"gcn"`` with the parameters of its last epoch.

    Raises:
        TypeError: ``victim`` is none of these, or a module instead of a factory.
        ValueError: the name is unknown.
    """
    if isinstance(victim, str):
        text = victim.removesuffix(LAST)
        found = _with_name(named("victims", text, NODE_VICTIMS), text)
        if text == victim:
            return node_victim(found)
        if not isinstance(found, ModuleVictim):
            raise ValueError(f"victims={victim!r}: {LAST} is for the victims {[*NODE_VICTIMS]}.")
        return replace(found, name=victim, select="last")
    if isinstance(victim, nn.Module):
        raise TypeError(
            f"victims has a module {type(victim).__name__}; give a factory "
            "f(num_features, num_classes) that makes a fresh module for each seed."
        )
    if _fits(victim):
        return _checked(victim, _ON_INTERACTIONS, "a graph of nodes")
    if callable(victim):
        return ModuleVictim(victim, getattr(victim, "__name__", type(victim).__name__))
    raise TypeError(f"victims must be names, victims or module factories, found {victim!r}.")


def recommender_victim(victim: AnyVictim) -> Victim:
    """A victim from its name (in :data:`RECOMMENDER_VICTIMS`, or of a model: ``"cf"``, ``"neumf"``,
    ...), from settings such as ``CF(dim=8)``, or from a module."""
    if isinstance(victim, str):
        known = {**RECOMMENDERS, **RECOMMENDER_VICTIMS}
        found = _with_name(named("victim", victim, known), victim)
        is_model = isinstance(found, Recommender)
        return RecommenderVictim(found, victim) if is_model else recommender_victim(found)
    if _fits(victim):
        return _checked(victim, ModuleVictim | SurrogateVictim, "interactions")
    model = recommender(cast(Any, victim), "victim")
    return RecommenderVictim(model, repr(model))


def _with_name(found: Any, text: str) -> Any:
    """``found``; a victim that ``text`` gives arguments has the text as name."""
    if "(" in text and isinstance(found, Victim) and is_dataclass(found):
        return replace(found, name=text)
    return found


def _fits(victim: Any) -> bool:
    """Whether ``victim`` has a method ``fit`` and is no module (whose ``fit`` may be another)."""
    own = isinstance(victim, Victim) or not isinstance(victim, nn.Module)
    return own and callable(getattr(victim, "fit", None))


def _checked(victim: Any, wrong: Any, kind: str) -> Victim:
    """``victim``, which need not derive from :class:`Victim`. Raises a TypeError if it is a class,
    has no name, or is of a type ``wrong`` for this ``kind`` of graph."""
    refuse_class("victim", victim)
    if not isinstance(getattr(victim, "name", None), str):
        raise TypeError(f"victim {victim!r} has no name; set its attribute name to a string.")
    if isinstance(victim, wrong):
        raise TypeError(f"victim {victim.name!r} cannot be trained on {kind}.")
    checked: Victim = victim
    return checked


def surrogate_victim(
    task: Task[Any], attack: Attack | Injection, seed: int = 0, name: str = "surrogate"
) -> RecommenderVictim | SurrogateVictim:
    """The surrogate of ``attack(task, budget, seed)`` as a victim: P^S of the thesis's algorithms.

    It has the surrogate's model, training, loss and initial parameters. All seeds of an evaluation
    would give the same run, so that the victim is trained for the first seed only. An attack with
    ``redraw`` draws initial parameters from ``seed`` and the meta-step; this victim draws them from
    ``seed`` only. A recommender is trained on the same pairs as all other victims. The surrogate's
    pairs differ if the task holds pairs out, uses ``candidates="all"`` as negatives, or draws
    negatives or the couples of ``"bpr"`` from a seed other than 0.

    Raises:
        TypeError: the attack trains no surrogate, or the task is of an unknown kind.
    """
    inner = attack.attack if isinstance(attack, Injection) else attack
    if not isinstance(inner, SurrogateAttack):
        raise TypeError(
            f"attack must train a surrogate, as MetaAttack and PGDAttack do; found {attack!r}. To "
            "measure random flips on a surrogate, take the surrogate of the attack with which they "
            "are compared."
        )
    if isinstance(task, Recommendation):
        return RecommenderVictim(task.surrogate, name, inner.training, seed, task.loss, task.dtype)
    if isinstance(task, NodeClassification):
        return SurrogateVictim(task.surrogate, name, inner.training, seed)
    raise TypeError(f"task must be a Recommendation or NodeClassification, found {task!r}.")
