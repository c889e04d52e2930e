"""Any model of the package ``implicit`` as a victim, and its two best-known models.

- ALS: Hu, Koren and Volinsky (2008), "Collaborative Filtering for Implicit Feedback Datasets", with
  the conjugate gradients of Takács, Pilászy and Tikk (2011).
- BPR: Rendle et al. (2009), "BPR: Bayesian Personalized Ranking from Implicit Feedback", with the
  stochastic gradient descent of the paper.

Models train in one thread, so that the same seed gives the same model.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from ..._checks import in_range, positive_int
from ..._random import derive_seed
from ...graphs import Interactions
from ..base import VICTIM_STREAM, FittedRecommender, Victim
from .fitted import ArrayScores, Factors
from .histories import interaction_matrix


@dataclass(frozen=True)
class ImplicitVictim(Victim):
    """A model of ``implicit``, made by your own function.

    Args:
        build: takes ``random_state``, an integer, and returns a model with ``fit(user_items)``.
            Give the model ``num_threads=1``; with more threads the seed does not determine it.
        name: name of the victim in tables.

    Raises:
        ImportError: ``implicit`` is not installed.
    """

    build: Callable[[int], Any]
    name: str

    def fit(self, graph: Interactions, seed: int) -> FittedRecommender:
        require_implicit(self.name)
        return fitted_implicit(self.build, graph, seed, self.name)


@dataclass(frozen=True)
class ImplicitALS(Victim):
    """``implicit.als.AlternatingLeastSquares``: weighted least squares over all pairs.

    Args:
        factors: number of dimensions.
        regularization: the weight of the squared factors.
        alpha: the weight of an interaction; other pairs have weight 1.
        iterations: number of iterations; each updates users, then items.
        name: name of the victim in tables.

    Raises:
        ImportError: ``implicit`` is not installed.
    """

    factors: int = 64
    regularization: float = 30.0
    alpha: float = 3.0
    iterations: int = 15
    name: str = "implicit-als"

    def __post_init__(self) -> None:
        positive_int("factors", self.factors)
        positive_int("iterations", self.iterations)
        in_range("regularization", self.regularization, 0.0, float("inf"))
        in_range("alpha", self.alpha, 0.0, float("inf"), open_low=True)

    def fit(self, graph: Interactions, seed: int) -> FittedRecommender:
        require_implicit(self.name)
        from implicit.cpu.als import AlternatingLeastSquares

        def build(random_state: int) -> Any:
            return AlternatingLeastSquares(
                factors=self.factors,
                regularization=self.regularization,
                alpha=self.alpha,
                iterations=self.iterations,
                num_threads=1,
                random_state=random_state,
            )

        return fitted_implicit(build, graph, seed, self.name)


@dataclass(frozen=True)
class ImplicitBPR(Victim):
    """``implicit.bpr.BayesianPersonalizedRanking``: one pair of items per step.

    The package draws negative items in proportion to their number of users, not uniformly as in the
    paper.

    Args:
        factors: number of dimensions, in addition to a bias for each item.
        learning_rate: the step of stochastic gradient descent.
        regularization: the weight of the squared factors.
        iterations: passes over the interactions.
        name: name of the victim in tables.

    Raises:
        ImportError: ``implicit`` is not installed.
    """

    factors: int = 128
    learning_rate: float = 0.005
    regularization: float = 0.01
    iterations: int = 80
    name: str = "implicit-bpr"

    def __post_init__(self) -> None:
        positive_int("factors", self.factors)
        positive_int("iterations", self.iterations)
        in_range("learning_rate", self.learning_rate, 0.0, float("inf"), open_low=True)
        in_range("regularization", self.regularization, 0.0, float("inf"))

    def fit(self, graph: Interactions, seed: int) -> FittedRecommender:
        require_implicit(self.name)
        from implicit.cpu.bpr import BayesianPersonalizedRanking

        def build(random_state: int) -> Any:
            return BayesianPersonalizedRanking(
                factors=self.factors,
                learning_rate=self.learning_rate,
                regularization=self.regularization,
                iterations=self.iterations,
                num_threads=1,
                random_state=random_state,
            )

        return fitted_implicit(build, graph, seed, self.name)


def require_implicit(name: str) -> None:
    """Raise an ImportError that says how to install ``implicit``, if it is missing."""
    try:
        import implicit  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"victim {name!r} needs the package implicit; install it with "
            'pip install "graphpoison[recommenders]".'
        ) from error


def fitted_implicit(
    build: Callable[[int], Any], graph: Interactions, seed: int, name: str
) -> FittedRecommender:
    """The model of ``build`` after training, with one BLAS thread as ``implicit`` recommends."""
    from threadpoolctl import threadpool_limits

    matrix = interaction_matrix(graph)
    with threadpool_limits(1, "blas"):
        model = build(derive_seed(seed, VICTIM_STREAM) % 2**31)
        model.fit(matrix, show_progress=False)
    users, items = getattr(model, "user_factors", None), getattr(model, "item_factors", None)
    if users is None or items is None:
        return ArrayScores(_recommended(model, matrix), graph.num_items, name)
    return Factors(_tensor(users, graph), _tensor(items, graph))


def _tensor(factors: Any, graph: Interactions) -> torch.Tensor:
    """``factors`` on the device of ``graph``; the factors of a GPU model have ``to_numpy``."""
    array = factors.to_numpy() if hasattr(factors, "to_numpy") else factors
    return torch.from_numpy(array).to(graph.edge_index.device)


def _recommended(model: Any, matrix: Any) -> Callable[[Any], Any]:
    """Scores from ``model.recommend``, for a model without factors; 0 for items that it omits."""

    def scores(users: Any) -> Any:
        import numpy as np

        found = np.zeros((len(users), matrix.shape[1]), dtype="float32")
        for row, user in enumerate(users):
            items, values = model.recommend(
                int(user), matrix[user], N=matrix.shape[1], filter_already_liked_items=False
            )
            found[row, items] = values
        return found

    return scores
