"""Recommenders of other libraries as victims, by a function that trains on a matrix."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..._random import derive_seed
from ...graphs import Interactions
from ..base import VICTIM_STREAM, Victim
from .fitted import ArrayScores
from .histories import interaction_matrix

Train = Callable[[Any, int], Callable[[Any], Any]]
"""``train(matrix, seed)`` -> ``scores``, and ``scores(users)`` -> array [U', I]."""


@dataclass(frozen=True)
class MatrixVictim(Victim):
    """A recommender of another library, trained on the matrix of interactions.

    Args:
        train: a function that takes the interactions, a SciPy CSR matrix [U, I] of float32 ones,
            and a seed, an integer in [0, 2^31) that differs from the seed of ``evaluate``. It
            trains a model and returns a function from users, an integer array [U'], to their scores
            [U', I] for all items, an array or a tensor. Rows of the matrix may be empty. Users and
            items have the same numbers in the matrix and in the scores.
        name: name of the victim in tables.
        deterministic: whether the result is the same for all seeds, so that one seed is enough.

    Raises:
        TypeError: ``train`` returns no function.
        ValueError: the scores have the wrong shape.
    """

    train: Train
    name: str
    deterministic: bool = False

    def fit(self, graph: Interactions, seed: int) -> ArrayScores:
        scores = self.train(interaction_matrix(graph), derive_seed(seed, VICTIM_STREAM) % 2**31)
        if not callable(scores):
            raise TypeError(
                f"train of victim {self.name!r} returned {type(scores).__name__}; return a "
                "function that takes users [U'] and gives their scores [U', I]."
            )
        return ArrayScores(scores, graph.num_items, self.name)
