r"""Differentiable measures of how well each user's relevant items are ranked.

Each function takes the scores [n, I] of n users, with a large negative number at items that are not
ranked (seen items), and the relevant items, a BoolTensor [n, I]. Each returns one number for each
user [n], larger for a better ranking, at most 1. All saturate: an item that is ranked far too low,
or safely high, has hardly any gradient. Cross-entropy does not saturate: it is largest on items
that no list of k items would ever hold.
"""

from collections.abc import Callable

import torch
from torch import Tensor

COMPETITORS = 200
"""Number of best items that take part in the smooth rank of :func:`smooth_ndcg`."""

RankingLoss = Callable[[Tensor, Tensor], Tensor]
"""``f(scores [n, I], relevant [n, I]) -> [n]``: how well each user's list is ranked."""


def unranked(dtype: torch.dtype) -> float:
    """The score of an item that is not ranked: finite, so that no gradient is NaN."""
    return torch.finfo(dtype).min / 1e6


def softmax_mass(scores: Tensor, relevant: Tensor, k: int, temperature: float) -> Tensor:
    r"""The share of the softmax over items that falls on relevant ones.

    .. math::
        \frac{1}{\min(k, |R_u|)} \sum_{i \in R_u} \frac{e^{s_{ui} / \tau}}{\sum_j e^{s_{uj} / \tau}}
    """
    mass = (torch.softmax(scores / temperature, dim=1) * relevant).sum(dim=1)
    return mass / relevant.sum(dim=1).clamp(1, k)


def margin(scores: Tensor, relevant: Tensor, k: int, temperature: float) -> Tensor:
    r"""The smooth share of relevant items that score above the k-th best irrelevant item c.

    .. math::
        \frac{1}{\min(k, |R_u|)} \sum_{i \in R_u} \sigma\left((s_{ui} - s_{uc}) / \tau\right)
    """
    with torch.no_grad():
        others = scores.masked_fill(relevant, unranked(scores.dtype))
        competitor = others.topk(min(k, others.size(1)), dim=1).indices[:, -1]
    user, item = relevant.nonzero(as_tuple=True)
    above = torch.sigmoid((scores[user, item] - scores[user, competitor[user]]) / temperature)
    total = torch.zeros_like(scores[:, 0]).index_add(0, user, above)
    return total / relevant.sum(dim=1).clamp(1, k)


def smooth_ndcg(scores: Tensor, relevant: Tensor, k: int, temperature: float) -> Tensor:
    r"""NDCG@k with smooth ranks among the :data:`COMPETITORS` best items (Qin, Liu and Li 2010).

    .. math::
        \pi_{ui} = \tfrac12 + \sum_j \sigma\left((s_{uj} - s_{ui}) / \tau\right), \qquad
        \frac{1}{\text{IDCG}_u} \sum_{i \in R_u}
        \frac{\sigma(k + \tfrac12 - \pi_{ui})}{\log_2(1 + \pi_{ui})}
    """
    best = scores.topk(min(COMPETITORS, scores.size(1)), dim=1).values
    user, item = relevant.nonzero(as_tuple=True)
    own = scores[user, item]
    rank = 0.5 + torch.sigmoid((best[user] - own.unsqueeze(1)) / temperature).sum(dim=1)
    gain = torch.sigmoid(k + 0.5 - rank) / torch.log2(1 + rank)
    places = torch.arange(2, k + 2, device=scores.device, dtype=scores.dtype)
    ideal = places.log2().reciprocal().cumsum(0)
    count = relevant.sum(dim=1).clamp(1, k)
    total = torch.zeros_like(scores[:, 0]).index_add(0, user, gain)
    return total / ideal[count - 1]


LOSSES: dict[str, Callable[[Tensor, Tensor, int, float], Tensor]] = {
    "softmax-mass": softmax_mass,
    "margin": margin,
    "ndcg": smooth_ndcg,
}

TEMPERATURES = {"softmax-mass": 0.015, "margin": 0.03, "ndcg": 0.01}
"""The temperature of each loss in units of the scores, chosen with EASE on MovieLens-100K."""


def named_loss(name: str, k: int, temperature: float | None = None) -> RankingLoss:
    """The loss named ``name`` for lists of ``k`` items; None takes its usual temperature."""
    chosen = TEMPERATURES[name] if temperature is None else temperature
    return lambda scores, relevant: LOSSES[name](scores, relevant, k, chosen)
