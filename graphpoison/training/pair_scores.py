r"""How a recommender scores a pair (u, i), given tables of users and items.

.. math::
    s_{ui} = [\langle L_u, R_i \rangle] + [\text{tower}(x_{ui})], \qquad
    x_{ui} = A_u \odot B_i \;\text{ or }\; \phi(A_u + B_i)

Every model of the NCF family (He et al. 2017) has this form. The first layer of an MLP on
concatenated embeddings is :math:`\phi(W_p^\top p_u + W_q^\top q_i + b)`, a function of the sum of
two tables. Its matrix products are computed once for each user and item, not once for each pair.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..sparse import Pattern, sddmm
from .activations import activation
from .prepared import Params


@dataclass(frozen=True)
class PairScores:
    """The terms of a score; the score parameters are ``([L, R,] [A, B, W_1, b_1, ..., w, b])``.

    Args:
        dot: whether the score has a dot product of rows of ``L`` [U, D] and ``R`` [I, D].
        tower: the input of the tower, either products or activated sums of rows of ``A`` [U, H]
            and ``B`` [I, H]; None if the score has no tower.
        activation: ``"relu"``, ``"tanh"`` or ``"sigmoid"``.
    """

    dot: bool = True
    tower: Literal["product", "sum"] | None = None
    activation: str = "relu"

    @property
    def user_tables(self) -> frozenset[int]:
        """The numbers of the score parameters ``L`` and ``A``, which have a row for each user."""
        found = [0] if self.dot else []
        return frozenset(found if self.tower is None else [*found, 2 * len(found)])

    def split(self, score_params: Params) -> tuple[Params, Params]:
        """``(L, R)``, or ``()`` without a dot product, and the other score parameters.

        Raises:
            ValueError: the number of parameters does not fit the terms, or ``L`` and ``R`` differ
                in width.
        """
        tables, rest = (score_params[:2], score_params[2:]) if self.dot else ((), score_params)
        if len(tables) not in (0, 2) or (self.tower is None and rest):
            raise ValueError(
                f"{self!r} cannot score from {len(score_params)} parameters; without a tower, "
                "score_params must be the tables of users and items."
            )
        if tables and tables[0].size(1) != tables[1].size(1):
            raise ValueError(
                "the tables of users and items must be equally wide, found "
                f"{tables[0].size(1)} and {tables[1].size(1)} columns."
            )
        return tables, rest

    def __call__(self, score_params: Params, pairs: Pattern) -> Tensor:
        """Logits [K], differentiable by autograd: the definition that closed forms speed up."""
        tables, rest = self.split(score_params)
        terms = [sddmm(pairs, *tables)] if self.dot else []
        if self.tower is not None:
            phi = activation(self.activation)
            user, item = pairs.row, pairs.col
            left, right = rest[0].index_select(0, user), rest[1].index_select(0, item)
            hidden = left * right if self.tower == "product" else phi(left + right)
            *head, kernel, bias = rest[2:]
            for weight, shift in zip(head[::2], head[1::2], strict=True):
                hidden = phi(hidden @ weight + shift)
            terms.append((hidden @ kernel + bias).squeeze(1))
        return torch.stack(terms).sum(dim=0) if len(terms) > 1 else terms[0]
