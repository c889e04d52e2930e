"""The interface of a bilevel problem; hypergradients and attacks use no other part of a task."""

import copy
from abc import ABC, abstractmethod
from typing import Any, Generic, Self, TypeVar, final

import torch
from torch import Tensor

from .._html import facts
from .._random import generator
from .._ranks import Ranks
from ..graphs import EdgeType, FakeUsers, PairState
from ..sparse import FactoredGradient
from ..training import Params, Prepared, Training, TrainingField
from ..training.run import Run

P = TypeVar("P", bound=Prepared)


class Task(ABC, Generic[P]):
    r"""One bilevel problem over the weights ``w`` of a graph's node pairs.

    .. math::
        \max_w \; \text{attack\_loss}(\theta_T(w), w) \quad
        \theta_{t+1} = \Phi(\theta_t, \nabla_\theta\, \text{train\_loss}(\theta_t, w))

    The attacker maximises ``attack_loss``. ``state`` is the clean graph with its candidates and
    with the attacker's ``fake_users``, if there are any.
    """

    state: PairState
    dtype: torch.dtype
    edge_type: EdgeType | None
    fake_users: FakeUsers | None = None
    clean_stream: tuple[int, ...] = ()
    """The stream of the seed from which the initial parameters of a clean model are drawn."""

    @property
    def ranks(self) -> Ranks:
        """The processes that share the work of an attack on this task."""
        return self.state.pattern.ranks

    def over(self, ranks: Ranks) -> Self:
        """The task, attacked by several processes that share the work.

        Every process makes the same task and calls the same attack, with the same arguments; each
        gets the whole result. The first process alone writes checkpoints and shows progress.

        Args:
            ranks: the processes, such as :meth:`Ranks.of_group()
                <graphpoison.Ranks.of_group>`.
        """
        if not isinstance(ranks, Ranks):
            raise TypeError(f"ranks must be Ranks, such as Ranks.of_group(), found {ranks!r}.")
        task = copy.copy(self)
        task.state = self.state.with_ranks(ranks)
        return task

    @property
    def clean_edges(self) -> Tensor:
        """LongTensor [2, E] of the edges of the clean graph, including held-out edges."""
        return self.state.index[:, self.state.clean > 0]

    @property
    def is_closed_form(self) -> bool:
        """Whether the surrogate's scores are a function of the graph, without training steps."""
        return False

    @abstractmethod
    def describe(self) -> str:
        """One line that names surrogate and objective, for provenance and checkpoints."""

    def __repr__(self) -> str:
        sizes = ", ".join(f"{value} {name}" for name, value in self._sizes().items())
        return f"<{self.describe()}: {sizes}>"

    def _repr_html_(self) -> str:
        return facts(self.describe(), self._sizes())

    def _sizes(self) -> dict[str, str]:
        rows, columns = self.state.shape
        nodes = {"nodes": rows} if self.edge_type is None else {"users": rows, "items": columns}
        features = {} if self.state.features is None else {"features": "candidates too"}
        counts = {**nodes, "edges": self.clean_edges.size(1)}
        return {**{name: f"{count:,}" for name, count in counts.items()}, **features}

    def settings(self) -> dict[str, Any]:
        """The settings by name: they identify a run, and errors name the settings that differ."""
        return {"task": self.describe()}

    @abstractmethod
    def inputs_digested(self) -> tuple[Tensor, ...]:
        """The inputs of an attack besides ``state``: part of the fingerprint of the data."""

    @abstractmethod
    def init(self, generator: torch.Generator) -> Params:
        """Fresh parameters of the surrogate."""

    @abstractmethod
    def prepare(self, state: PairState) -> P:
        """Everything that depends on the weights of ``state`` only; computed once a meta-step."""

    @abstractmethod
    def train_loss(self, params: Params, prepared: P) -> Tensor:
        """The loss that training minimises, a scalar."""

    @abstractmethod
    def training_field(self, prepared: P, params: Params, linear: bool) -> TrainingField:
        """The gradient of the training loss on ``prepared``; training starts from ``params``.

        ``linear``: whether the optimiser commutes with linear changes of coordinates.
        """

    @final
    def train(self, training: Training, state: PairState, params: Params) -> Params:
        """The model's parameters after ``training`` on ``state`` from ``params``.

        Raises:
            FloatingPointError: training is not finite; the message names the step.
        """
        field = self.training_field(self.prepare(state), params, training.inner.linear)
        return Run.of(training, field, params).train()

    @abstractmethod
    def attack_loss(self, params: Params, prepared: P) -> Tensor:
        """The loss that the attacker maximises, a scalar."""

    @abstractmethod
    def pair_gradient(self, prepared: P, cotangents: Params) -> Tensor | FactoredGradient:
        """The gradient w.r.t. all candidate weights, from cotangents of ``prepared.tensors``."""

    def feature_gradient(self, prepared: P, cotangents: Params) -> FactoredGradient | None:
        """The gradient w.r.t. all entries of binary features; None if they are no candidates."""
        return None

    @property
    @abstractmethod
    def needs_pseudo_labels(self) -> bool:
        """Whether the attack loss needs a surrogate trained on the clean graph first."""

    @abstractmethod
    def _pseudo_labelled(self, params: Params, prepared: P) -> Self:
        """The task with pseudo-labels from a surrogate trained on the clean graph."""

    @final
    def with_pseudo_labels(self, training: Training, seed: int) -> Self:
        """Returns the task with the pseudo-labels that it needs, if any.

        They come from ``training`` on the clean graph; initial parameters are drawn from ``seed``.
        """
        if not self.needs_pseudo_labels:
            return self
        start = self.init(generator(seed, *self.clean_stream))
        if self.is_closed_form:
            return self._pseudo_labelled(start, self.prepare(self.state))
        params = self.train(training, self.state, start)
        return self._pseudo_labelled(params, self.prepare(self.state))
