"""Attacks that train a surrogate."""

from typing import Any

from ..tasks import Task
from ..training import Training
from .base import Attack


class SurrogateAttack(Attack):
    """An attack that trains the ``surrogate`` of its task with its own ``training``."""

    training: Training

    def setup(self, task: Task[Any], seed: int) -> Task[Any]:
        return task.with_pseudo_labels(self.training, seed)
