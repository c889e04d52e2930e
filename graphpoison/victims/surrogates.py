"""Victims that are trained as surrogates are: recommenders, and an attack's own surrogate."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch_geometric.data import Data

from .._checks import choice
from .._random import generator
from ..attacks import Injection, MetaAttack
from ..graph.adjacency import with_edge_index
from ..graph.homogeneous import undirected_pairs
from ..hypergradient import INTERACTIONS, Hypergradient
from ..models import NodeSurrogate, Recommender, recommender
from ..tasks import NodeClassification, Recommendation, Task
from ..tasks.recommendation import LOSSES
from .base import NodeVictim, Victim


@dataclass(frozen=True)
class RecommenderVictim(Victim):
    """A recommender trained full-batch on the training pairs.

    One that was trained to rank (``loss="bpr"``) is to be judged by its AUROC: its scores compare
    the items of a user, and are no log-odds.

    Args:
        model: settings such as ``CF(dim=8)``.
        name: what the table calls it.
        training: optimiser, learning rate and number of steps.
        start: seed of the initial parameters, see :class:`.Victim`.
        loss: what training minimises, ``"log"`` or ``"bpr"``, see :class:`Recommendation`.
        dtype: of the parameters.
    """

    model: Recommender
    name: str
    training: Hypergradient = INTERACTIONS
    start: int | None = None
    loss: Literal["log", "bpr"] = "log"
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        choice("loss", self.loss, LOSSES)


@dataclass(frozen=True)
class SurrogateVictim(NodeVictim):
    """A surrogate of node classification, trained as its attack trains it.

    Args:
        model: settings such as ``LinearGCN(hidden=32)``.
        name: what the table calls it.
        training: optimiser, learning rate and number of steps.
        start: seed of its initial parameters.
    """

    model: NodeSurrogate
    name: str
    training: Hypergradient
    start: int

    def train(self, data: Data, seed: int) -> Tensor:
        edges = undirected_pairs(with_edge_index(data))
        task = NodeClassification(data, self.model, "train", candidates=edges[:, :0])
        params = self.training.train(task, task.state, task.init(generator(self.start)))
        with torch.no_grad():
            return self.model.logits(task.inputs, params, task.prepare(task.state))


def surrogate_victim(
    task: Task, attack: MetaAttack | Injection, seed: int = 0, name: str = "surrogate"
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
    training = getattr(attack, "gradient", None)
    if not isinstance(training, Hypergradient):
        raise TypeError(
            f"attack must train a surrogate, as MetaAttack does; found {attack!r}. To see what "
            "random flips do to a surrogate, take that of the attack they are compared with."
        )
    if isinstance(task, Recommendation):
        return RecommenderVictim(task.surrogate, name, training, seed, task.loss, task.dtype)
    if isinstance(task, NodeClassification):
        return SurrogateVictim(task.surrogate, name, training, seed)
    raise TypeError(f"task must be a Recommendation or NodeClassification, found {task!r}.")


def recommender_victim(victim: str | RecommenderVictim | Recommender) -> RecommenderVictim:
    """A victim from its name (``"cf"``, ``"neumf"``, ...) or from settings."""
    if isinstance(victim, RecommenderVictim):
        return victim
    model = recommender(victim, "victim")
    name = victim if isinstance(victim, str) else repr(model)
    return RecommenderVictim(model, name)
