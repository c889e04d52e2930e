"""Statistics of user profiles, as used by detectors of fake profiles."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .._checks import positive_int
from ..graphs import Interactions
from ..victims.recommenders.histories import interaction_matrix

Floats = npt.NDArray[np.float64]

GROUPS = 10  # groups of items by popularity, each with about as many interactions
POPULAR_SHARE = 0.1  # share of the items that count as popular
CELLS_AT_ONCE = 2**22  # cells of a block of the matrix users x users


def profile_statistics(graph: Interactions, neighbours: int = 20) -> pd.DataFrame:
    r"""Statistics of each user's profile, computed from the interactions of ``graph`` only.

    Returns a DataFrame with one row per user. With :math:`n_i` the number of users of item i and
    :math:`I_u` the items of user u, the columns are

    - ``log_length``: :math:`\log(1 + |I_u|)`;
    - ``mean_popularity``, ``std_popularity``: mean and standard deviation of :math:`n_i` over the
      profile, as shares of all users;
    - ``popular_share``: the share of the profile among the most popular tenth of the items;
    - ``mean_rarity``: the mean of :math:`1 / n_i`, the weight in the RDMA of Chirita, Nejdl and
      Zamfir (2005); the deviations of ratings in RDMA do not exist here;
    - ``popularity_entropy``: entropy, in nats, of the profile over ten groups of items of similar
      popularity; all groups have about as many interactions;
    - ``neighbour_similarity``: mean cosine similarity with the most similar other users, the degree
      of similarity (DegSim) of Chirita, Nejdl and Zamfir (2005);
    - ``nearest_similarity``: the cosine similarity with the most similar other user;
    - ``coherence``: mean over couples of items of the profile of

      .. math:: n_{ij}^{-u} / \sqrt{n_i n_j}

      where :math:`n_{ij}^{-u}` is the number of users other than u who have both items.

    Users without interactions have zeros; users with one item have coherence 0.

    Args:
        graph: the interactions.
        neighbours: the number of similar users; all other users if there are fewer.

    Raises:
        ValueError: ``graph`` has no interactions.
    """
    positive_int("neighbours", neighbours)
    matrix = interaction_matrix(graph, "float64")
    if not matrix.nnz:
        raise ValueError("graph has no interactions to describe profiles by.")
    length = np.diff(matrix.indptr).astype(np.float64)
    popularity = np.bincount(matrix.indices, minlength=graph.num_items).astype(np.float64)
    mean = _Means(matrix, length)
    share = popularity / graph.num_users
    mean_share = mean.of_items(share)
    nearest, similar, coherence = _overlaps(matrix, length, popularity, neighbours)
    columns = {
        "log_length": np.log1p(length),
        "mean_popularity": mean_share,
        "std_popularity": np.sqrt(np.maximum(mean.of_items(share**2) - mean_share**2, 0.0)),
        "popular_share": mean.of_items(_most_popular(popularity)),
        "mean_rarity": mean.of_items(1.0 / np.maximum(popularity, 1.0)),
        "popularity_entropy": _entropy(mean.of_items(_groups(popularity))),
        "neighbour_similarity": similar,
        "nearest_similarity": nearest,
        "coherence": coherence,
    }
    return pd.DataFrame(columns)


@dataclass(frozen=True, eq=False)
class _Means:
    """Means over profiles."""

    matrix: Any
    length: Floats

    def of_items(self, value: Floats) -> Floats:
        """Means [U] or [U, C] of values [I] or [I, C] of items, 0 for empty profiles."""
        total: Floats = self.matrix @ value
        length = np.maximum(self.length, 1.0)
        return total / (length if total.ndim == 1 else length[:, None])


def _most_popular(popularity: Floats) -> Floats:
    """1 for the most popular tenth of the items, at least one item, [I]."""
    found = np.zeros(popularity.size)
    count = max(1, round(POPULAR_SHARE * popularity.size))
    found[np.argsort(-popularity, kind="stable")[:count]] = 1.0
    return found


def _groups(popularity: Floats) -> Floats:
    """The popularity group of each item, one-hot [I, C]."""
    order = np.argsort(-popularity, kind="stable")
    before = np.empty(popularity.size)
    before[order] = popularity[order].cumsum() - popularity[order]
    group = (before * GROUPS / popularity.sum()).astype(np.int64).clip(max=GROUPS - 1)
    found: Floats = np.eye(GROUPS)[group]
    return found


def _entropy(shares: Floats) -> Floats:
    """Entropy in nats of each row, [U]."""
    logs = np.log(np.where(shares > 0, shares, 1.0))
    found: Floats = -(shares * logs).sum(axis=1)
    return found


def _overlaps(
    matrix: Any, length: Floats, popularity: Floats, neighbours: int
) -> tuple[Floats, Floats, Floats]:
    r"""Nearest similarity, neighbour similarity and coherence [U], from blocks of users.

    The sum over all couples (i, j) of a profile, i = j included, is

    .. math::
        \sum_{i, j \in I_u} n_{ij}^{-u} / \sqrt{n_i n_j}
        = \sum_{v \ne u} \Big( \sum_{i \in I_u \cap I_v} 1 / \sqrt{n_i} \Big)^2
    """
    from scipy import sparse

    num_users = length.size
    unit = sparse.diags(1.0 / np.sqrt(np.maximum(length, 1.0))) @ matrix
    scaled = matrix @ sparse.diags(1.0 / np.sqrt(np.maximum(popularity, 1.0)))
    unit_columns, columns = unit.T.tocsc(), matrix.T.tocsc()
    count = min(neighbours, num_users - 1)
    nearest, similar, joint = (np.zeros(num_users) for _ in range(3))
    at_once = max(1, CELLS_AT_ONCE // num_users)
    for start in range(0, num_users, at_once):
        rows = slice(start, min(start + at_once, num_users))
        own = np.arange(rows.stop - rows.start), np.arange(rows.start, rows.stop)
        shared = (scaled[rows] @ columns).toarray()
        shared[own] = 0.0
        joint[rows] = (shared**2).sum(axis=1)
        if count:
            cosine = (unit[rows] @ unit_columns).toarray()
            cosine[own] = -1.0
            top = np.partition(cosine, num_users - count, axis=1)[:, num_users - count :]
            nearest[rows], similar[rows] = top.max(axis=1), top.mean(axis=1)
    alone = matrix @ ((popularity - 1.0) / np.maximum(popularity, 1.0))  # the couples i = j
    couples = length * (length - 1.0)
    return nearest, similar, np.where(couples > 0, joint - alone, 0.0) / np.maximum(couples, 1.0)
