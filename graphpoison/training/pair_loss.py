"""The log loss of pairs in closed form, to second order: what its three forms have in common."""

from abc import ABC, abstractmethod

from torch import Tensor

from .field import Linearisation


class PairLoss(ABC):
    """The mean log loss of some pairs, as a function of the tensors that they are scored from.

    Attributes:
        labels: Tensor [M], the labels of the listed pairs.
    """

    labels: Tensor

    @abstractmethod
    def linearise(self, *score_params: Tensor) -> Linearisation:
        """The gradient w.r.t. ``score_params`` at one point, with its adjoint; valid until the
        next call."""

    @abstractmethod
    def loss(self, labels: Tensor, *score_params: Tensor) -> Tensor:
        """The loss, a scalar, differentiable once in ``labels`` [M] and ``score_params``."""
