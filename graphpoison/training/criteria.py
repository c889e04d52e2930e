"""The losses that recommenders are trained with, as functions of the scores of training pairs."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from .._checks import choice
from ..sparse import Pattern
from ..sparse.shares import Block
from .bpr import Triples
from .sampled_softmax import Slates


class Criterion(ABC):
    """A mean loss over training pairs.

    Attributes:
        ranks: whether the loss compares the items of a user, and ignores an offset of all scores.
    """

    ranks: ClassVar[bool]

    @abstractmethod
    def targets(self, pattern: Pattern, labels: Tensor) -> Tensor:
        """The tensor in the loss that depends only on the edge weights ``labels`` [M]."""

    @abstractmethod
    def __call__(self, pattern: Pattern, scores: Tensor, targets: Tensor) -> Tensor:
        """The loss of ``scores`` [M], a scalar, differentiable to any order."""

    def drawn(self, pattern: Pattern) -> tuple[Tensor, ...]:
        """The random draws of the loss, which are part of the fingerprint of a run."""
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
class Ranking(Criterion):
    """A loss that compares pairs of the same user.

    Args:
        name: ``"bpr"``, see :mod:`.bpr`, or ``"softmax"``, see :mod:`.sampled_softmax`.
        seed: the seed for the draw of the compared pairs.
    """

    name: str
    seed: int
    ranks: ClassVar[bool] = True

    def compared(self, pattern: Pattern) -> Triples | Slates:
        """The training pairs that are compared."""
        kind: type[Triples | Slates] = {"bpr": Triples, "softmax": Slates}[self.name]
        return kind.of(pattern, self.seed)

    def targets(self, pattern: Pattern, labels: Tensor) -> Tensor:
        return self.compared(pattern).weights(labels)

    def __call__(self, pattern: Pattern, scores: Tensor, targets: Tensor) -> Tensor:
        return self.compared(pattern).loss(scores, targets)

    def drawn(self, pattern: Pattern) -> tuple[Tensor, ...]:
        compared = self.compared(pattern)
        return (compared.second if isinstance(compared, Triples) else compared.others,)


CRITERIA = ("log", "bpr", "softmax")
Loss = Literal["log", "bpr", "softmax"]


def criterion(name: str, seed: int) -> Criterion:
    """Returns the criterion called ``name``; a ranking loss draws its pairs from ``seed``.

    Raises:
        ValueError: no criterion has this name.
    """
    return LogLoss() if choice("loss", name, CRITERIA) == "log" else Ranking(name, seed)


def log_losses(scores: Tensor, labels: Tensor) -> Tensor:
    """``log(1 + e^s) - y s``, entry by entry: the log loss of soft labels ``y``."""
    return softplus(scores, threshold=40.0) - labels * scores


def part_losses(block: Block, scores: Tensor, labels: Tensor) -> Tensor:
    """The sums of the log losses of each part of ``block``, [parts]."""
    parts = zip(block.split(scores), block.split(labels), strict=True)
    return torch.stack([log_losses(*part).sum() for part in parts])
