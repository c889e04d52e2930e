"""The surrogate of an attack on a node classifier, as a victim."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..._random import generator
from ...graphs import NodeGraph
from ...models import NodeClassifier
from ...tasks import NodeClassification
from ...training import Training
from ..base import Victim
from .module import FittedModule


@dataclass(frozen=True)
class SurrogateVictim(Victim):
    """A surrogate of node classification, trained as in its attack.

    Args:
        model: settings such as ``LinearGCN(hidden=32)``.
        name: name of the victim in tables.
        training: optimiser, learning rate and number of steps.
        start: seed of the initial parameters; the seed of ``fit`` is not used.
    """

    model: NodeClassifier[Any]
    name: str
    training: Training
    start: int

    deterministic = True

    def fit(self, graph: NodeGraph, seed: int) -> FittedModule:
        none = graph.pairs[:, :0]
        task = NodeClassification(graph, self.model, "train", candidates=none)
        params = task.train(self.training, task.state, task.init(generator(self.start)))
        with torch.no_grad():
            logits: Tensor = self.model.logits(params, task.prepare(task.state))
        return FittedModule(logits)
