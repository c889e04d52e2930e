"""Coefficients by non-negative least squares of the relative error."""

from collections.abc import Iterable, Mapping, Sequence

from .workload import Counts


def fit(points: Sequence[tuple[Mapping[str, float], float]]) -> dict[str, float]:
    r"""Non-negative coefficients a that minimise :math:`\sum_p (1 - \sum_k a_k n_{pk} / y_p)^2`.

    Args:
        points: counts n by kind, and the measured value y, of each point.

    Raises:
        ValueError: no points, or a value that is not positive.
    """
    import numpy as np
    from scipy.optimize import nnls

    if not points or min(value for _, value in points) <= 0.0:
        raise ValueError("points must be measured values above 0, one or more.")
    names = list(dict.fromkeys(name for counts, _ in points for name in counts))
    shares = np.array([[counts.get(name, 0.0) / y for name in names] for counts, y in points])
    size = shares.max(axis=0)
    size[size == 0.0] = 1.0
    found, _ = nnls(shares / size, np.ones(len(points)))
    return {name: float(value) for name, value in zip(names, found / size, strict=True)}


def total(counts: Counts, gradients: int = 1) -> dict[str, float]:
    """Counts of an attack on one rank.

    Args:
        counts: operations or bytes by kind.
        gradients: number of gradients of the attack; 1 for bytes, because all gradients use the
            same arrays.
    """
    repeated = {**counts.shared, **counts.whole}
    return {**counts.once, **{name: gradients * count for name, count in repeated.items()}}


def largest_ratio(pairs: Iterable[tuple[float, float]]) -> float:
    """The largest ratio between two positive values, in either direction."""
    return max(max(a / b, b / a) for a, b in pairs)
