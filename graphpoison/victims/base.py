"""What a victim is: a model trained from scratch, as somebody who trusts the graph would."""

from abc import ABC, abstractmethod

from torch import Tensor
from torch_geometric.data import Data


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
