r"""EASE, a linear autoencoder in closed form (Steck, WWW 2019).

.. math::
    S = X B, \qquad B = I - P \, \text{diag}(P)^{-1}, \qquad P = (X^\top X + \lambda I)^{-1}

B minimises :math:`\|X - X B\|^2 + \lambda \|B\|^2` under a zero diagonal.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .._checks import in_range
from ..training import Params
from .closed_form import ClosedFormRecommender


@dataclass(frozen=True)
class EASE(ClosedFormRecommender):
    """Item weights in closed form; time I^3, memory I^2 + U I.

    Args:
        l2: the ridge penalty lambda. None for the penalty that suits the objective of the task,
            ``Objective.usual_l2``.

    Raises:
        ValueError: ``l2`` is not positive.
    """

    l2: float | None = None

    def __post_init__(self) -> None:
        if self.l2 is not None:
            in_range("l2", self.l2, 0.0, float("inf"), open_low=True)

    def settled(self, l2: float) -> "EASE":
        return replace(self, l2=l2) if self.l2 is None else self

    def item_weights(self, matrix: Tensor) -> Tensor:
        """B [I, I] after training on ``matrix`` [U, I].

        Raises:
            ValueError: ``l2`` is None.
        """
        if self.l2 is None:
            raise ValueError("l2 is None and no task has chosen it; give EASE(l2=...).")
        ridge = self.l2 * torch.eye(matrix.size(1), dtype=matrix.dtype, device=matrix.device)
        inverse: Tensor = torch.linalg.inv(matrix.t() @ matrix + ridge)
        weights = inverse / -inverse.diagonal()
        return weights - torch.diag(weights.diagonal())

    def trained_scores(self, matrix: Tensor, params: Params, users: Tensor | None = None) -> Tensor:
        rows = matrix if users is None else matrix[users]
        return rows @ self.item_weights(matrix)
