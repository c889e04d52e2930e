"""The method of Frank and Wolfe (1956) with a moving average of gradients."""

from collections.abc import Callable

import torch
from torch import Tensor

from .._progress import paced

Gain = Callable[[Tensor, int], tuple[float, Tensor]]
"""``f(point, number) -> (value, gradient)`` at ``point``; ``number`` counts gradients from 0."""


def frank_wolfe(
    point: Tensor,
    gain: Gain,
    vertex: Callable[[Tensor], Tensor],
    steps: int,
    momentum: float,
    delay: int,
) -> tuple[Tensor, Tensor, float]:
    r"""Maximise a function over the convex hull of the vertices.

    .. math::
        m_t = \beta m_{t-1} + (1 - \beta) \frac{g_t}{\|g_t\|}, \qquad
        p_{t+1} = (1 - \gamma_t) \, p_t + \gamma_t \arg\max_{v} \langle m_t, v \rangle, \qquad
        \gamma_t = \frac{2}{t + d}

    Args:
        point: the start, a Tensor of any shape.
        gain: value and gradient at a point.
        vertex: the vertex with the largest inner product with a direction, in the shape of
            ``point``.
        steps: number of gradients.
        momentum: beta, in [0, 1).
        delay: d, at least 2; with 2 the first step leaves nothing of the start.

    Returns:
        The last point, the last moving average m, and the value at the start.
    """
    mean, first = None, float("nan")
    for number in paced(steps, "gradient"):
        value, gradient = gain(point, number)
        fresh = gradient / gradient.norm().clamp(min=torch.finfo(gradient.dtype).tiny)
        first = value if mean is None else first
        mean = fresh if mean is None else momentum * mean + (1 - momentum) * fresh
        rate = 2 / (number + delay)
        point = (1 - rate) * point + rate * vertex(mean)
    assert mean is not None
    return point, mean, first
