"""What a surrogate must offer so that its training can be differentiated w.r.t. the graph."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise
from typing import final

import torch
from torch import Tensor

from .._checks import in_range, positive_int
from ..graph import FactoredGradient, Features, PairState, Pattern
from .pair_scores import PairScores
from .prepared import Params, Prepared
from .training import Training


@dataclass(frozen=True, eq=False)
class NodeInputs:
    """The part of a node-classification problem that an attack on the structure leaves alone.

    Args:
        features: node features, [N, F]; an attack on them has each graph's own.
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

    def training(
        self, inputs: NodeInputs, labels: Tensor, prepared: Prepared, params: Params, linear: bool
    ) -> Training | None:
        """Training with ``labels`` [L] from ``params``, where autograd can be beaten.

        ``linear`` says that the optimiser commutes with linear changes of coordinates.
        """
        return None

    @abstractmethod
    def pull_back(
        self, inputs: NodeInputs, prepared: Prepared, cotangents: Params
    ) -> Tensor | FactoredGradient:
        """The gradient w.r.t. the listed pairs [M], or w.r.t. all pairs of an open graph."""

    @abstractmethod
    def pull_back_features(
        self, inputs: NodeInputs, prepared: Prepared, cotangents: Params
    ) -> FactoredGradient:
        """The gradient w.r.t. all entries of features [N, F] that the attacker may flip.

        Where ``inputs.features`` has a tape, its ``values`` are among ``prepared.tensors``.
        """


class Recommender(ABC):
    """A link predictor on user-item pairs, as pure functions of its parameters."""

    @property
    def tables(self) -> tuple[int, ...]:
        """Which parameters are embeddings."""
        return 0, 1

    @property
    def dropout(self) -> float:
        """The share of entries of the embeddings that each training step leaves out."""
        return 0.0

    @abstractmethod
    def init(
        self, shape: tuple[int, int], generator: torch.Generator, dtype: torch.dtype
    ) -> Params:
        """Fresh parameters for ``shape`` = (users, items), drawn on the CPU."""

    def entries(self, graph: Pattern, weight: Tensor) -> Tensor:
        """The entries [M] of the matrix that is propagated with, from the edge weights [M].

        They are computed once a meta-step; by default they are the weights themselves.
        """
        return weight

    @abstractmethod
    def scores(self, params: Params, graph: Pattern, entries: Tensor, pairs: Pattern) -> Tensor:
        """Logits [K] of ``pairs``, trained on ``graph`` with ``entries`` [M]."""


class PairwiseRecommender(Recommender):
    """A recommender whose score of a pair depends on nothing but the pair and the parameters."""

    @property
    @abstractmethod
    def scoring(self) -> PairScores:
        """How pairs are scored from :meth:`sides`."""

    @abstractmethod
    def sides(self, params: Params) -> Params:
        """Tables of users and items, and any head; ``params`` itself where it is just that."""

    @final
    def scores(self, params: Params, graph: Pattern, entries: Tensor, pairs: Pattern) -> Tensor:
        return self.scoring(self.sides(params), pairs)


def glorot(rows: int, cols: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """A [rows, cols] matrix, uniform as in Glorot and Bengio (2010)."""
    bound = (6.0 / (rows + cols)) ** 0.5
    uniform = torch.rand(rows, cols, generator=generator, dtype=dtype)
    return uniform.mul_(2.0 * bound).sub_(bound)


def embeddings(
    shape: tuple[int, int], dim: int, scale: float, generator: torch.Generator, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Tables [U, dim] and [I, dim] of normal numbers with standard deviation ``scale``."""
    users, items = (
        scale * torch.randn(count, dim, generator=generator, dtype=dtype) for count in shape
    )
    return users, items


def check_embeddings(dim: int, scale: float, dropout: float) -> None:
    """Raise a TypeError or ValueError that names what is out of range."""
    positive_int("dim", dim)
    in_range("scale", scale, 0.0, float("inf"), open_low=True)
    in_range("dropout", dropout, 0.0, 0.99)


def feed_forward(
    widths: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype
) -> tuple[Tensor, ...]:
    """Kernels, as Glorot and Bengio have them, and biases 0: ``(W1, b1, W2, b2, ...)``."""
    layers: list[Tensor] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [glorot(fan_in, fan_out, generator, dtype), torch.zeros(fan_out, dtype=dtype)]
    return tuple(layers)
