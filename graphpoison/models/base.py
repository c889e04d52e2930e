"""What a surrogate must offer so that its training can be differentiated w.r.t. the graph."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..graph import FactoredGradient, Features, PairState, Pattern

Params = tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Prepared:
    """Everything that depends on the edge weights but not on the parameters.

    Args:
        weight: Tensor [M], the weights of the listed pairs (the leaf of the meta-gradient).
        tensors: what was computed from ``weight`` and is used in training.
        structure: what goes with them and is not differentiated (patterns, tapes).
    """

    weight: Tensor
    tensors: Params
    structure: Any = None

    def detached(self, requires_grad: bool) -> "Prepared":
        """The same with the tensors cut off from ``weight``."""
        leaves = tuple(tensor.detach().requires_grad_(requires_grad) for tensor in self.tensors)
        return Prepared(self.weight, leaves, self.structure)

    def pull_back(self, cotangents: Params) -> Tensor:
        """The gradient [M] w.r.t. ``weight`` for ``cotangents``, one per tensor."""
        (gradient,) = torch.autograd.grad(self.tensors, (self.weight,), cotangents)
        return gradient


@dataclass(frozen=True, eq=False)
class NodeInputs:
    """The part of a node-classification problem that an attack on the structure leaves alone.

    Args:
        features: node features, [N, F].
        labelled: LongTensor [L], the nodes whose labels training sees.
        num_classes: number of classes.
    """

    features: Features
    labelled: Tensor
    num_classes: int


class NodeSurrogate(ABC):
    """A node classifier over weighted edges, as pure functions of its parameters."""

    @abstractmethod
    def init(self, inputs: NodeInputs, generator: torch.Generator) -> Params:
        """Fresh parameters, drawn on the CPU from ``generator``."""

    @abstractmethod
    def prepare(self, inputs: NodeInputs, state: PairState, weight: Tensor) -> Prepared:
        """Everything that depends on ``weight`` only."""

    @abstractmethod
    def train_logits(self, inputs: NodeInputs, params: Params, prepared: Prepared) -> Tensor:
        """Logits [L, C] of the labelled nodes."""

    @abstractmethod
    def logits(self, inputs: NodeInputs, params: Params, prepared: Prepared) -> Tensor:
        """Logits [N, C] of all nodes."""

    @abstractmethod
    def pull_back(self, prepared: Prepared, cotangents: Params) -> Tensor | FactoredGradient:
        """The gradient w.r.t. the listed pairs [M], or w.r.t. all pairs of an open graph."""


class Recommender(ABC):
    """A link predictor on user-item pairs, as pure functions of its parameters."""

    @abstractmethod
    def init(
        self, shape: tuple[int, int], generator: torch.Generator, dtype: torch.dtype
    ) -> Params:
        """Fresh parameters for ``shape`` = (users, items), drawn on the CPU."""

    @abstractmethod
    def scores(self, params: Params, graph: Pattern, weight: Tensor, pairs: Pattern) -> Tensor:
        """Logits [K] of ``pairs``, trained on ``graph`` with edge weights ``weight`` [M]."""


def glorot(rows: int, cols: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """A [rows, cols] matrix, uniform as in Glorot and Bengio (2010)."""
    bound = (6.0 / (rows + cols)) ** 0.5
    uniform = torch.rand(rows, cols, generator=generator, dtype=dtype)
    return uniform.mul_(2.0 * bound).sub_(bound)
