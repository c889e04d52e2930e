"""What a bilevel problem must offer to hypergradients and attacks, which know nothing else."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from ..fake_users import FakeUsers
from ..graph import FactoredGradient, PairState
from ..models import Params, Prepared
from ..models.training import AutogradTraining, Training


class Task(ABC):
    r"""One bilevel problem over the weights ``w`` of a graph's node pairs.

    .. math::
        \max_w \; \text{attack\_loss}(\theta_T(w), w) \quad
        \theta_{t+1} = \Phi(\theta_t, \nabla_\theta\, \text{train\_loss}(\theta_t, w))

    The attacker maximises ``attack_loss``. ``state`` is the clean graph with its candidates, and
    with any ``fake_users`` that the attacker has signed up.
    """

    state: PairState
    edge_type: tuple[str, str, str] | None
    fake_users: FakeUsers | None = None
    clean_stream: tuple[int, ...] = ()
    """The stream of a seed that a clean model's initial parameters are drawn from."""

    @property
    def clean_edges(self) -> Tensor:
        """LongTensor [2, E] of the edges of the graph attacked, those kept from training too."""
        return self.state.index[:, self.state.clean > 0]

    @abstractmethod
    def describe(self) -> str:
        """One line that names surrogate and objective, for provenance and checkpoints."""

    def settings(self) -> dict[str, Any]:
        """What was chosen, by name: part of what tells runs apart, and says where they differ."""
        return {"task": self.describe()}

    @abstractmethod
    def inputs_digested(self) -> tuple[Tensor, ...]:
        """What an attack depends on besides ``state``: part of the fingerprint of the data."""

    @abstractmethod
    def init(self, generator: torch.Generator) -> Params:
        """Fresh parameters of the surrogate."""

    @abstractmethod
    def prepare(self, state: PairState) -> Prepared:
        """What depends on the weights of ``state`` but not on the parameters; once a meta-step."""

    @abstractmethod
    def train_loss(self, params: Params, prepared: Prepared) -> Tensor:
        """The loss that training minimises, a scalar."""

    def training(self, prepared: Prepared, params: Params, linear: bool) -> Training:
        """Training on ``prepared`` from ``params``, in the cheapest coordinates there are.

        ``linear`` says that the optimiser commutes with linear changes of coordinates.
        """
        return AutogradTraining(self.train_loss, prepared)

    @abstractmethod
    def attack_loss(self, params: Params, prepared: Prepared) -> Tensor:
        """The loss that the attacker maximises, a scalar."""

    @abstractmethod
    def pull_back(self, prepared: Prepared, cotangents: Params) -> Tensor | FactoredGradient:
        """The gradient w.r.t. all candidate weights, from that w.r.t. ``prepared.tensors``."""

    def pull_back_features(self, prepared: Prepared, cotangents: Params) -> FactoredGradient | None:
        """The same w.r.t. all entries of binary features, where they are candidates."""
        return None

    @property
    @abstractmethod
    def needs_clean_model(self) -> bool:
        """Whether the attack loss needs a surrogate trained on the clean graph first."""

    @abstractmethod
    def with_clean_model(self, params: Params, prepared: Prepared) -> "Task":
        """The task with pseudo-labels from a surrogate trained on the clean graph."""
