r"""Neighbours of items by the shrunk cosine (Sarwar et al. 2001, "Item-Based Collaborative
Filtering Recommendation Algorithms"; Deshpande and Karypis 2004, "Item-Based Top-N Recommendation
Algorithms"):

.. math::
    s_{ji} = \frac{|U_j \cap U_i|}{\sqrt{|U_j| \, |U_i|} + h}, \qquad
    \hat y_{ui} = \sum_{j \in I_u \cap N_k(i)} s_{ji}

with :math:`U_i` the users of item i, h the shrinkage, and :math:`N_k(i)` the k items other than i
with the largest :math:`s_{ji}`.
"""

from dataclasses import dataclass
from typing import Any

from ..._checks import in_range, positive_int
from ...graphs import Interactions
from ..base import Victim
from .fitted import SparseItemWeights
from .histories import interaction_matrix

ITEMS_AT_ONCE = 1024


@dataclass(frozen=True)
class ItemKNN(Victim):
    """Nearest neighbours of items. Of equally similar neighbours, the lower item numbers are kept.

    Args:
        neighbours: k, the number of neighbours from which an item is scored.
        shrinkage: h, at least 0; it lowers the similarity of items with few users.
        name: name of the victim in tables.
    """

    neighbours: int = 200
    shrinkage: float = 50.0
    name: str = "item-knn"

    deterministic = True

    def __post_init__(self) -> None:
        positive_int("neighbours", self.neighbours)
        in_range("shrinkage", self.shrinkage, 0.0, float("inf"))

    def fit(self, graph: Interactions, seed: int) -> SparseItemWeights:
        from scipy.sparse import vstack

        matrix = interaction_matrix(graph)
        transposed = matrix.T.tocsr()
        starts = range(0, graph.num_items, ITEMS_AT_ONCE)
        rows = [self._nearest(matrix, transposed, start) for start in starts]
        return SparseItemWeights(matrix, vstack(rows).T.tocsr())

    def _nearest(self, matrix: Any, transposed: Any, start: int) -> Any:
        """Similarities [i, j] of some items i to their neighbours j, as a CSR matrix."""
        import numpy as np
        from scipy.sparse import csr_matrix

        common = (transposed[start : start + ITEMS_AT_ONCE] @ matrix).toarray()
        here = np.arange(len(common))
        norms = np.sqrt(transposed.getnnz(axis=1).astype("float32"))
        lengths = norms[start + here, None] * norms + np.float32(self.shrinkage)
        similar = np.divide(common, lengths, out=np.zeros_like(common), where=common > 0)
        similar[here, start + here] = 0
        kept = np.argsort(-similar, axis=1, kind="stable")[:, : self.neighbours]
        values = np.take_along_axis(similar, kept, axis=1)
        rows = np.broadcast_to(here[:, None], kept.shape)
        found = csr_matrix((values.ravel(), (rows.ravel(), kept.ravel())), shape=common.shape)
        found.eliminate_zeros()
        return found
