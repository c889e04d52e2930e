"""Victims: models trained from fresh initialisations, as somebody who trusts the graph would."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch_geometric.data import Data
from torch_geometric.nn import GCN

from ._checks import choice, in_range, positive_int
from ._random import generator, isolated_rng
from .attacks import Injection, MetaAttack
from .hypergradient import Hypergradient, Unrolled
from .metrics import accuracy
from .models import NodeSurrogate, Recommender, recommender
from .models.module import refuse_cached
from .tasks import NodeClassification, Recommendation, Task

ModuleFactory = Callable[[int, int], nn.Module]
"""``factory(num_features, num_classes)`` -> module with forward(x, edge_index, edge_weight)."""


class Victim(ABC):
    """A model and how it is trained; a frozen setting.

    ``start`` is None where each seed of an evaluation draws parameters of its own (thesis, section
    3.10), or the seed of an attack whose surrogate's initial parameters are taken (section 3.8).
    """

    name: str
    start: int | None = None


class NodeVictim(Victim):
    """A node classifier."""

    @abstractmethod
    def train(self, data: Data, seed: int) -> Tensor:
        """Logits [N, C] after training on ``data`` from a fresh initialisation."""


@dataclass(frozen=True)
class ModuleVictim(NodeVictim):
    """A module trained as in Kipf and Welling (2017) and most of the attack literature.

    Adam; the epoch with the best validation accuracy is kept (the earliest of equals), or the last
    where there is no ``val_mask``.

    Args:
        build: makes the module, given the numbers of features and classes.
        name: what the table calls it.
        epochs, lr, weight_decay: of training; the decay is on all parameters.
    """

    build: ModuleFactory
    name: str
    epochs: int = 200
    lr: float = 0.01
    weight_decay: float = 5e-4

    def __post_init__(self) -> None:
        positive_int("epochs", self.epochs)
        in_range("lr", self.lr, 0.0, float("inf"), open_low=True)

    def train(self, data: Data, seed: int) -> Tensor:
        x, device = data.x, data.x.device
        num_classes = int(data.y.max()) + 1
        with isolated_rng(seed, device):
            module = self.build(x.size(1), num_classes).to(device=device, dtype=x.dtype)
            refuse_cached(module)
            return self._fit(module, data, _edge_inputs(data))

    def _fit(self, module: nn.Module, data: Data, edges: tuple[Tensor, ...]) -> Tensor:
        optimizer = torch.optim.Adam(
            module.parameters(), lr=self.lr, weight_decay=self.weight_decay
        )
        best = -1.0
        kept: Tensor | None = None
        mask = getattr(data, "val_mask", None)
        for _ in range(self.epochs):
            module.train()
            optimizer.zero_grad()
            logits = module(data.x, *edges)
            cross_entropy(logits[data.train_mask], data.y[data.train_mask]).backward()
            optimizer.step()
            module.eval()
            with torch.no_grad():
                logits = module(data.x, *edges)
            score = accuracy(logits[mask], data.y[mask]) if mask is not None else 0.0
            if mask is None or score > best:
                best, kept = score, logits
        assert kept is not None
        return kept


@dataclass(frozen=True)
class RecommenderVictim(Victim):
    """A recommender trained full-batch on the log loss of the training pairs.

    Args:
        model: settings such as ``CF(dim=8)``.
        name: what the table calls it.
        training: optimiser, learning rate and number of steps.
        start: seed of the initial parameters, see :class:`Victim`.
    """

    model: Recommender
    name: str
    training: Hypergradient = field(
        default_factory=lambda: Unrolled(steps=50, lr=0.05, optimizer="adam")
    )
    start: int | None = None


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
        task = NodeClassification(data, self.model, "train", candidates=data.edge_index)
        params = self.training.train(task, task.state, task.init(generator(self.start)))
        with torch.no_grad():
            return self.model.logits(task.inputs, params, task.prepare(task.state))


def surrogate_victim(
    task: Task, attack: MetaAttack | Injection, seed: int = 0, name: str = "surrogate"
) -> RecommenderVictim | SurrogateVictim:
    """The surrogate of ``attack(task, budget, seed)`` as a victim: P^S of the thesis's algorithms.

    It has the surrogate's model, training and initial parameters, so that it is one and the same
    run for every seed of an evaluation, and appears there with the first. (Where the attack has
    ``redraw``, these are the initial parameters of ``seed`` itself, not those of a meta-step.)

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
        return RecommenderVictim(task.surrogate, name, training, seed)
    if isinstance(task, NodeClassification):
        return SurrogateVictim(task.surrogate, name, training, seed)
    raise TypeError(f"task must be a Recommendation or NodeClassification, found {task!r}.")


def node_victim(victim: str | NodeVictim | ModuleFactory) -> NodeVictim:
    """A victim from its name (``"gcn"``: PyG's GCN, 16 hidden, dropout 0.5) or a module factory."""
    if isinstance(victim, NodeVictim):
        return victim
    if isinstance(victim, str):
        choice("victims", victim, ["gcn"])
        return ModuleVictim(_gcn, "gcn")
    if callable(victim):
        return ModuleVictim(victim, getattr(victim, "__name__", type(victim).__name__))
    raise TypeError(f"victims must be names, victims or module factories, found {victim!r}.")


def recommender_victim(victim: str | RecommenderVictim | Recommender) -> RecommenderVictim:
    """A victim from its name (``"cf"``, ``"neumf"``, ...) or from settings."""
    if isinstance(victim, RecommenderVictim):
        return victim
    model = recommender(victim)
    name = victim if isinstance(victim, str) else repr(model)
    return RecommenderVictim(model, name)


def _gcn(num_features: int, num_classes: int) -> nn.Module:
    module: nn.Module = GCN(num_features, 16, 2, num_classes, dropout=0.5)
    return module


def _edge_inputs(data: Data) -> tuple[Tensor, ...]:
    weight = getattr(data, "edge_weight", None)
    return (data.edge_index,) if weight is None else (data.edge_index, weight)
