"""How well detectors find the users that an attack added or touched."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from torch import Tensor
from torch_geometric.data import HeteroData

from .._checks import choice, positive_int, seed_number
from .._random import derive_seed, numpy_generator
from ..apply import poisoned
from ..graphs import Interactions, read_interactions
from ..perturbation import Perturbation
from ..victims.recommenders.histories import interaction_matrix
from .profile_statistics import profile_statistics

Floats = npt.NDArray[np.float64]
Detector = Callable[[Interactions], Any]

FAKE, TOUCHED = "fake vs real", "touched vs untouched"
COMPONENTS = 3  # of the principal components
_FOREST, _PCA = range(2)  # streams of the seed


@dataclass(frozen=True, eq=False)
class Analyst:
    """The input of the library's detectors: the poisoned ``graph``, and a ``seed``."""

    graph: Interactions
    seed: int

    @cached_property
    def statistics(self) -> pd.DataFrame:
        return profile_statistics(self.graph)


def _isolation_forest(analyst: Analyst) -> Floats:
    from sklearn.ensemble import IsolationForest
    from sklearn.preprocessing import StandardScaler

    features = StandardScaler().fit_transform(analyst.statistics.to_numpy())
    random_state = derive_seed(analyst.seed, _FOREST) % 2**32
    forest = IsolationForest(random_state=random_state).fit(features)
    scores: Floats = -forest.score_samples(features)
    return scores


def _pca(analyst: Analyst) -> Floats:
    return -projections(analyst.graph, COMPONENTS, analyst.seed)


def _statistic(name: str, analyst: Analyst) -> Floats:
    return analyst.statistics[name].to_numpy()


DETECTORS: dict[str, Callable[[Analyst], Floats]] = {
    "isolation forest": _isolation_forest,
    "pca": _pca,
    "neighbour similarity": partial(_statistic, "neighbour_similarity"),
    "nearest user": partial(_statistic, "nearest_similarity"),
}
"""Name of a detector -> its function from the input to scores [U] of users."""


def detectability(
    data: HeteroData | Interactions,
    perturbation: Perturbation,
    detectors: Mapping[str, Detector] | Sequence[str | Detector] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    r"""How well detectors distinguish the users that an attack added or touched from other users.

    A detector sees only the interactions of the poisoned graph: no clean graph, no negatives, and
    no information on which users are fake. It gives a score to each user. Positive users are the
    users to find: fake users, or real users with at least one flip; negative users are all other
    real users. AUROC is the probability that a random positive user u has a higher score s than a
    random negative user v, ties counted half:

    .. math:: P(s_u > s_v) + \tfrac12 P(s_u = s_v)

    1 means that every positive user has a higher score than every negative user, 1/2 that the
    detector guesses, and less than 1/2 that negative users have the higher scores.

    The library has four detectors:

    - ``"isolation forest"``: scikit-learn's isolation forest, on the standardised
      :func:`.profile_statistics`;
    - ``"pca"``: the selection of Mehta and Nejdl (2009), see :func:`.projections`; the smallest
      projections are the most suspicious;
    - ``"neighbour similarity"``: the mean similarity with the 20 most similar users, high for
      profiles made by one template (DegSim of Chirita, Nejdl and Zamfir 2005);
    - ``"nearest user"``: the similarity with the most similar user, high for copies.

    Args:
        data: the clean graph.
        perturbation: the attack.
        detectors: names among :data:`.DETECTORS`, and your own functions from
            :class:`~graphpoison.Interactions` to scores [U], higher for more suspicious users; or a
            mapping from your names to detectors of both kinds. By default all of
            :data:`.DETECTORS`.
        seed: seed of the isolation forest and of the iteration for the principal components.

    Returns:
        A row for each detector and population, with the columns ``detector``, ``population``,
        ``auroc``, ``num_positive`` and ``num_negative``. The population ``"fake vs real"`` exists
        if fake users have joined. ``"touched vs untouched"`` compares real users with at least one
        flip and real users without. AUROC is NaN if one of the two groups is empty.

    Raises:
        TypeError: ``data`` are no interactions, or a detector is neither a name nor a function.
        ValueError: the perturbation does not fit the data; a name is unknown or repeated; scores
            are not one finite number per user.
    """
    if not isinstance(perturbation, Perturbation):
        raise TypeError(f"perturbation must be a Perturbation, found {perturbation!r}.")
    seed = seed_number("seed", seed)
    clean = read_interactions(data, perturbation.meta.get("edge_type"))
    graph = poisoned(perturbation, clean)
    fake = np.arange(graph.num_users) >= graph.num_real_users
    touched = np.zeros(graph.num_users, dtype=bool)
    touched[perturbation.pairs[0].numpy()] = True
    populations = {TOUCHED: (touched & ~fake, ~touched & ~fake)}
    if fake.any():
        populations = {FAKE: (fake, ~fake), **populations}
    rows = []
    for name, scores in suspicions(graph, detectors, seed).items():
        for population, (positive, negative) in populations.items():
            rows.append(
                {
                    "detector": name,
                    "population": population,
                    "auroc": _auroc(scores, positive, negative),
                    "num_positive": int(positive.sum()),
                    "num_negative": int(negative.sum()),
                }
            )
    return pd.DataFrame(rows)


def suspicions(
    graph: Interactions,
    detectors: Mapping[str, Detector] | Sequence[str | Detector] | None = None,
    seed: int = 0,
) -> dict[str, Floats]:
    """The scores [U] that each detector gives to the users of a poisoned graph, by its name.

    Args and Raises as in :func:`detectability`.
    """
    seen = Interactions(graph.edge_index, *graph.shape, edge_type=graph.edge_type)
    analyst = Analyst(seen, seed)
    return {
        name: _checked(name, detect(analyst), graph.num_users)
        for name, detect in _named(detectors).items()
    }


def projections(graph: Interactions, components: int = COMPONENTS, seed: int = 0) -> Floats:
    r"""Squared projections [U] of users on the leading components (Mehta and Nejdl 2009).

    Each row of the matrix of interactions is standardised to mean 0 and variance 1 over the items.
    With :math:`v_1, \dots, v_m` the leading eigenvectors [U] of the covariance of users, the
    projection of user u is

    .. math:: \sum_{k=1}^m v_{k,u}^2

    Fake profiles covary little with the profiles of real users, and have small projections. Users
    with all items, or with none, have 0.

    Args:
        graph: the interactions.
        components: m; at most the smaller of the numbers of users and items, minus 1, are used.
        seed: seed of the start vector of the iteration (ARPACK).

    Raises:
        ValueError: fewer than two users or items.
    """
    positive_int("components", components)
    if min(graph.shape) < 2:
        raise ValueError(f"graph has {graph.shape[0]} users and {graph.shape[1]} items; 2 needed.")
    from scipy.sparse.linalg import LinearOperator, svds

    matrix = interaction_matrix(graph, "float64")
    mean = np.asarray(matrix.mean(axis=1)).reshape(-1)
    deviation = np.sqrt(mean * (1.0 - mean))
    scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)

    def forwards(vector: Floats) -> Floats:
        flat = vector.reshape(-1)
        product: Floats = scale * (matrix @ flat - mean * flat.sum())
        return product

    def backwards(vector: Floats) -> Floats:
        scaled = scale * vector.reshape(-1)
        product: Floats = matrix.T @ scaled - mean @ scaled
        return product

    operator = LinearOperator(
        matrix.shape, matvec=forwards, rmatvec=backwards, dtype=np.dtype(np.float64)
    )
    smaller = min(graph.shape)
    start = numpy_generator(seed, _PCA).standard_normal(smaller)
    left, _, _ = svds(operator, k=min(components, smaller - 1), v0=start)
    squared: Floats = (left**2).sum(axis=1)
    return np.where(scale > 0, squared, 0.0)


def _named(
    detectors: Mapping[str, Detector] | Sequence[str | Detector] | None,
) -> dict[str, Callable[[Analyst], Any]]:
    """Name of each detector -> its function of an :class:`Analyst`."""
    if detectors is None:
        return dict(DETECTORS)
    if isinstance(detectors, str) or not isinstance(detectors, Mapping | Sequence):
        raise TypeError(
            "detectors must be a list of names and functions, or functions by name, found "
            f"{detectors!r}."
        )
    if isinstance(detectors, Mapping):
        couples: list[tuple[str, str | Detector]] = list(detectors.items())
    else:
        couples = [(_name(detector), detector) for detector in detectors]
    found: dict[str, Callable[[Analyst], Any]] = {}
    for name, detector in couples:
        if name in found:
            raise ValueError(f"detectors has {name!r} twice; give names as {{'name': function}}.")
        if isinstance(detector, str):
            found[name] = DETECTORS[choice("detectors", detector, DETECTORS)]
        elif callable(detector):
            found[name] = partial(_own, detector)
        else:
            raise TypeError(f"detectors has {detector!r}, which is neither a name nor a function.")
    return found


def _name(detector: str | Detector) -> str:
    if isinstance(detector, str):
        return detector
    return str(getattr(detector, "__name__", type(detector).__name__))


def _own(detector: Detector, analyst: Analyst) -> Any:
    return detector(analyst.graph)


def _checked(name: str, scores: object, num_users: int) -> Floats:
    """Scores [U] of a detector, one finite number for each user."""
    plain = scores.detach().cpu().numpy() if isinstance(scores, Tensor) else np.asarray(scores)
    if plain.shape != (num_users,):
        raise ValueError(
            f"detector {name!r} must give scores [{num_users}], one for each user of the poisoned "
            f"graph, found shape {plain.shape}."
        )
    found: Floats = plain.astype(np.float64)
    wrong = int((~np.isfinite(found)).sum())
    if wrong:
        raise ValueError(f"detector {name!r} gives {wrong} scores that are not finite.")
    return found


def _auroc(scores: Floats, positive: npt.NDArray[Any], negative: npt.NDArray[Any]) -> float:
    if not (positive.any() and negative.any()):
        return math.nan
    from sklearn.metrics import roc_auc_score

    either = positive | negative
    return float(roc_auc_score(positive[either], scores[either]))
