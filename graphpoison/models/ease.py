r"""EASE, a linear autoencoder in closed form (Steck, WWW 2019).

.. math::
    S = X B, \qquad B = I - P \, \text{diag}(P)^{-1}, \qquad P = (X^\top X + \lambda I)^{-1}

X [U, I] are the interactions of U users with I items, and :math:`I` in the formulas is the identity
matrix. The item weights B [I, I] minimise :math:`\|X - X B\|^2 + \lambda \|B\|^2` among matrices
with a zero diagonal. The scores S [U, I] rank the items of each user.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .._checks import in_range
from ..training import Params
from .closed_form import ClosedFormRecommender, ScoresWithRows


@dataclass(frozen=True)
class EASE(ClosedFormRecommender):
    """A linear autoencoder with a closed-form solution (Steck 2019), as a surrogate.

    With U users and I items, training takes time I^3 and memory I^2 + U I. As a victim, use
    ``"ease"`` or :class:`graphpoison.victims.EASE`, whose default penalty is 500.

    Args:
        l2: the ridge penalty lambda, above 0. None takes the penalty that suits the objective of
            the task: 300 for ``Degrade``, 3000 for ``Degrade(on="heldout")`` and ``Bystanders``,
            100 for ``Promote`` and ``Demote``.

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
        inverse = self._inverse(matrix)
        weights = inverse / -inverse.diagonal()
        return weights - torch.diag(weights.diagonal())

    def _inverse(self, matrix: Tensor) -> Tensor:
        """P [I, I]."""
        if self.l2 is None:
            raise ValueError("l2 is None and no task has chosen it; give EASE(l2=...).")
        ridge = self.l2 * torch.eye(matrix.size(1), dtype=matrix.dtype, device=matrix.device)
        inverse: Tensor = torch.linalg.inv(matrix.t() @ matrix + ridge)
        return inverse

    def trained_scores(self, matrix: Tensor, params: Params, users: Tensor | None = None) -> Tensor:
        rows = matrix if users is None else matrix[users]
        return rows @ self.item_weights(matrix)

    def with_rows(self, matrix: Tensor, params: Params) -> ScoresWithRows:
        r"""The scores with rows F [N, I] below ``matrix``, by the identity of Woodbury:

        .. math:: P = P_0 - P_0 F^\top (I + F P_0 F^\top)^{-1} F P_0

        :math:`P_0` of ``matrix`` [U, I] is computed once, in time I^3; the scores then take time
        N I^2 + N U I.
        """
        inverse = self._inverse(matrix)
        product, diagonal = matrix @ inverse, inverse.diagonal()

        def scores(rows: Tensor, users: Tensor) -> Tensor:
            changed = rows @ inverse
            core = changed @ rows.t()
            core = core + torch.eye(core.size(0), dtype=core.dtype, device=core.device)
            solved = torch.linalg.solve(core, changed)
            own = product[users]
            updated = own - (own @ rows.t()) @ solved
            found: Tensor = matrix[users] - updated / (diagonal - (changed * solved).sum(dim=0))
            return found

        return scores
