"""Victims from names, from settings, from module factories, and from attacks."""

from typing import Any

from .._checks import choice
from ..attacks import Attack, Injection, SurrogateAttack
from ..graphs import NodeGraph
from ..graphs.reading import Graph
from ..models import Recommender, recommender
from ..tasks import NodeClassification, Recommendation, Task
from .base import Victim
from .defences.gnnguard import GNNGuard, guarded
from .defences.jaccard import drop_dissimilar
from .defences.rgcn import RGCN
from .defences.soft_median import SoftMedianGCN
from .defences.svd import low_rank
from .nodes.appnp import PropagatedMLP
from .nodes.gat import gat
from .nodes.gcn import gcn
from .nodes.module import ModuleFactory, ModuleVictim
from .nodes.sage import MeanSAGE
from .nodes.sgc import SGC
from .nodes.surrogate import SurrogateVictim
from .recommenders.trained import RecommenderVictim

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
        ModuleVictim(RGCN, "rgcn", weight_decay=0.0),
    )
}
"""Name -> victim; what a factory's docstring does not say, training included, is as for the GCN."""


def victims_of(graph: Graph, victims: Any) -> list[Victim]:
    """The victims of ``evaluate``'s argument: ``["gcn"]`` or ``["cf"]`` by default."""
    listed = [victims] if isinstance(victims, str) else list(victims or [])
    if isinstance(graph, NodeGraph):
        return [node_victim(victim) for victim in listed or ["gcn"]]
    return [recommender_victim(victim) for victim in listed or ["cf"]]


def node_victim(victim: str | Victim | ModuleFactory) -> Victim:
    """A victim from its name, one of :data:`NODE_VICTIMS`, or from a module factory."""
    if isinstance(victim, Victim):
        return _named(victim)
    if isinstance(victim, str):
        return NODE_VICTIMS[choice("victims", victim, NODE_VICTIMS)]
    if callable(victim):
        return ModuleVictim(victim, getattr(victim, "__name__", type(victim).__name__))
    raise TypeError(f"victims must be names, victims or module factories, found {victim!r}.")


def recommender_victim(victim: str | Victim | Recommender) -> Victim:
    """A victim from its name (``"cf"``, ``"neumf"``, ...) or from settings."""
    if isinstance(victim, Victim):
        return _named(victim)
    model = recommender(victim, "victim")
    return RecommenderVictim(model, victim if isinstance(victim, str) else repr(model))


def _named(victim: Victim) -> Victim:
    if not isinstance(getattr(victim, "name", None), str):
        raise TypeError(f"victim {victim!r} has no name; set its attribute name to a string.")
    return victim


def surrogate_victim(
    task: Task[Any], attack: Attack | Injection, seed: int = 0, name: str = "surrogate"
) -> RecommenderVictim | SurrogateVictim:
    """The surrogate of ``attack(task, budget, seed)`` as a victim: P^S of the thesis's algorithms.

    It has the surrogate's model, training, loss and initial parameters, so that it is one and the
    same run for every seed of an evaluation, and appears there with the first. (Where the attack
    has ``redraw``, these are the initial parameters of ``seed`` itself, not those of a meta-step.)
    A recommender is trained on the pairs that all victims are trained on, which are not the
    surrogate's where the task holds some out, takes ``candidates="all"`` for negatives, or draws
    negatives or the couples of ``"bpr"`` from another seed than 0.

    Raises:
        TypeError: the attack trains no surrogate, or the task is of an unknown kind.
    """
    inner = attack.attack if isinstance(attack, Injection) else attack
    if not isinstance(inner, SurrogateAttack):
        raise TypeError(
            f"attack must train a surrogate, as MetaAttack and PGDAttack do; found {attack!r}. To "
            "see what random flips do to a surrogate, take the surrogate of the attack they are "
            "compared with."
        )
    if isinstance(task, Recommendation):
        return RecommenderVictim(task.surrogate, name, inner.training, seed, task.loss, task.dtype)
    if isinstance(task, NodeClassification):
        return SurrogateVictim(task.surrogate, name, inner.training, seed)
    raise TypeError(f"task must be a Recommendation or NodeClassification, found {task!r}.")
