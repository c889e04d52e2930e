"""How to differentiate through training is an argument of an attack: a hypergradient."""

from abc import ABC, abstractmethod
from typing import final

from .._random import generator
from ..graph import PairState
from ..models import Params
from ..tasks import Task
from .meta_gradient import MetaGradient


class Hypergradient(ABC):
    """A way to get ``d attack_loss(theta(w), w) / d w``; frozen settings, no state."""

    @abstractmethod
    def at(self, task: Task, state: PairState, params: Params) -> MetaGradient:
        """The meta-gradient at ``state`` with training started from ``params``."""

    @abstractmethod
    def train(self, task: Task, state: PairState, params: Params) -> Params:
        """The surrogate's parameters after training on ``state`` from ``params``."""

    @final
    def bind(self, task: Task, seed: int) -> Task:
        """``task`` with any pseudo-labels it needs, from training on its clean graph."""
        if not task.needs_clean_model:
            return task
        params = self.train(task, task.state, task.init(generator(seed, *task.clean_stream)))
        return task.with_clean_model(params, task.prepare(task.state))

    @final
    def __call__(self, task: Task, seed: int = 0, state: PairState | None = None) -> MetaGradient:
        """The meta-gradient at ``state`` (the clean graph by default), parameters from ``seed``."""
        bound = self.bind(task, seed)
        return self.at(bound, state or task.state, task.init(generator(seed)))
