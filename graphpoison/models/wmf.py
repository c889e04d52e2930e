r"""Weighted matrix factorisation by alternating least squares (Hu, Koren and Volinsky, ICDM 2008).

.. math:: S = P Q^\top

P and Q minimise the weighted square loss of all entries of the interaction matrix, see
:mod:`graphpoison.training.weighted_als`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .._checks import in_range, positive_int
from ..training import Params
from ..training.weighted_als import FactorisedScores
from .closed_form import ClosedFormRecommender


@dataclass(frozen=True)
class WMF(ClosedFormRecommender):
    """Matrix factorisation at its minimum; parameters ``(Q [I, D],)``, the initial item embeddings.

    Args:
        dim: embedding dimensions D.
        l2: the penalty lambda.
        alpha: the extra weight alpha of an interaction.
        sweeps: number of alternations of least squares, large enough to reach a minimum.
        iterations: the largest number of conjugate-gradient steps of the derivative.
        tolerance: the relative residual at which conjugate gradients stop.
        scale: standard deviation of the initial embeddings.

    Raises:
        TypeError, ValueError: a setting out of range.
    """

    dim: int = 32
    l2: float = 50.0
    alpha: float = 10.0
    sweeps: int = 10
    iterations: int = 50
    tolerance: float = 1e-3
    scale: float = 0.1

    def __post_init__(self) -> None:
        for name in ("dim", "sweeps", "iterations"):
            positive_int(name, getattr(self, name))
        for name in ("l2", "scale"):
            in_range(name, getattr(self, name), 0.0, float("inf"), open_low=True)
        in_range("alpha", self.alpha, 0.0, float("inf"))
        in_range("tolerance", self.tolerance, 0.0, 1.0)

    def init(
        self, shape: tuple[int, int], generator: torch.Generator, dtype: torch.dtype
    ) -> Params:
        drawn = torch.randn(shape[1], self.dim, generator=generator, dtype=torch.float64)
        return ((self.scale * drawn).to(dtype),)

    def trained_scores(self, matrix: Tensor, params: Params, users: Tensor | None = None) -> Tensor:
        scores: Tensor = FactorisedScores.apply(
            matrix,
            params[0],
            self.l2,
            self.alpha,
            self.sweeps,
            self.iterations,
            self.tolerance,
        )
        return scores if users is None else scores[users]
