r"""SLIM (Ning and Karypis 2011), "SLIM: Sparse Linear Methods for Top-N Recommender Systems",
equation 4: for each item i, a column of non-negative weights of the other items,

.. math::
    \min_{w \ge 0, \, w_i = 0} \; \frac{1}{2U} \lVert x_i - X w \rVert_2^2
    + \alpha \rho \lVert w \rVert_1 + \frac{\alpha (1 - \rho)}{2} \lVert w \rVert_2^2

with :math:`\alpha` the ``alpha`` and :math:`\rho` the ``l1_ratio`` of
:class:`sklearn.linear_model.ElasticNet`. The scores of a user are :math:`x_u W`.
"""

import warnings
from dataclasses import dataclass

from ..._checks import in_range, positive_int
from ...graphs import Interactions
from ..base import Victim
from .fitted import SparseItemWeights
from .histories import interaction_matrix


@dataclass(frozen=True)
class SLIM(Victim):
    r"""Sparse item weights by scikit-learn's coordinate descent, one elastic net for each item.

    The descent works on the Gram matrix :math:`X^\top X`: memory is O(I^2), and an iteration for
    one item passes over the I weights, independently of the number of users.

    Args:
        alpha: the weight of both penalties, above 0.
        l1_ratio: the share of the L1 penalty, in [0, 1].
        max_iter: largest number of passes over the weights of an item; weights that have not
            converged by then are kept.
        tol: tolerance of the descent, as in scikit-learn.
        name: name of the victim in tables.
    """

    alpha: float = 0.2
    l1_ratio: float = 0.02
    max_iter: int = 100
    tol: float = 1e-3
    name: str = "slim"

    deterministic = True

    def __post_init__(self) -> None:
        in_range("alpha", self.alpha, 0.0, float("inf"), open_low=True)
        in_range("l1_ratio", self.l1_ratio, 0.0, 1.0)
        positive_int("max_iter", self.max_iter)
        in_range("tol", self.tol, 0.0, float("inf"), open_low=True)

    def fit(self, graph: Interactions, seed: int) -> SparseItemWeights:
        import numpy as np
        from scipy.sparse import csr_matrix, vstack
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import enet_path

        matrix = interaction_matrix(graph)
        features = np.asfortranarray(matrix.toarray())  # dense, or the Gram matrix would be ignored
        gram = np.ascontiguousarray((matrix.T @ matrix).toarray())
        columns = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            for item in range(graph.num_items):
                column = gram[:, item].copy()
                gram[:, item] = gram[item, :] = 0  # an item with squared norm 0 keeps weight 0
                others = column.copy()
                others[item] = 0
                _, found, _ = enet_path(
                    features,
                    features[:, item],
                    l1_ratio=self.l1_ratio,
                    alphas=[self.alpha],
                    precompute=gram,
                    Xy=others,
                    positive=True,
                    check_input=False,
                    random_state=0,  # no effect; the default would draw from the global generator
                    max_iter=self.max_iter,
                    tol=self.tol,
                )
                gram[:, item] = gram[item, :] = column
                columns.append(csr_matrix(found.T))
        return SparseItemWeights(matrix, vstack(columns).T.tocsr())
