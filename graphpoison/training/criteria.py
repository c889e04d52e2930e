"""The losses that recommenders are trained with, as functions of the scores of training pairs."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import softplus

from .._checks import choice
from ..sparse import Pattern
from .bpr import Triples


class Criterion(ABC):
    """A mean loss over training pairs.

    Attributes:
        ranks: whether the loss compares the items of a user, so that no score has an offset.
    """

    ranks: ClassVar[bool]

    @abstractmethod
    def targets(self, pattern: Pattern, labels: Tensor) -> Tensor:
        """The part of the loss that depends on the edge weights ``labels`` [M] alone."""

    @abstractmethod
    def __call__(self, pattern: Pattern, scores: Tensor, targets: Tensor) -> Tensor:
        """The loss of ``scores`` [M], a scalar, differentiable to any order."""

    def drawn(self, pattern: Pattern) -> tuple[Tensor, ...]:
        """The random draws of the loss: part of the fingerprint of a run."""
        return ()


@dataclass(frozen=True)
class LogLoss(Criterion):
    """The mean log loss of soft labels (thesis, equation 3.1)."""

    ranks: ClassVar[bool] = False

    def targets(self, pattern: Pattern, labels: Tensor) -> Tensor:
        return labels

    def __call__(self, pattern: Pattern, scores: Tensor, targets: Tensor) -> Tensor:
        return log_losses(scores, targets).mean()


@dataclass(frozen=True)
class BPR(Criterion):
    """Bayesian personalised ranking over triples drawn from ``seed``, see :mod:`.bpr`."""

    seed: int
    ranks: ClassVar[bool] = True

    def triples(self, pattern: Pattern) -> Triples:
        """The triples of the training pairs."""
        return Triples.of(pattern, self.seed)

    def targets(self, pattern: Pattern, labels: Tensor) -> Tensor:
        return self.triples(pattern).weights(labels)

    def __call__(self, pattern: Pattern, scores: Tensor, targets: Tensor) -> Tensor:
        return self.triples(pattern).loss(scores, targets)

    def drawn(self, pattern: Pattern) -> tuple[Tensor, ...]:
        return (self.triples(pattern).second,)


CRITERIA = ("log", "bpr")


def criterion(name: str, seed: int) -> Criterion:
    """The criterion of that name; ``seed`` draws the triples of ``"bpr"``.

    Raises:
        ValueError: there is none.
    """
    return BPR(seed) if choice("loss", name, CRITERIA) == "bpr" else LogLoss()


def log_losses(scores: Tensor, labels: Tensor) -> Tensor:
    """``log(1 + e^s) - y s``, entry by entry: the log loss of soft labels ``y``."""
    return softplus(scores, threshold=40.0) - labels * scores
