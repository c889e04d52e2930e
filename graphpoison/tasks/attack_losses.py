"""The losses that an attacker maximises over nodes whose class the attacker believes to know.

Each takes logits [n, C] and classes [n] and returns the mean over nodes, a scalar.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softmax


def masked_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy, of the nodes still classified as ``labels`` alone (Geisler et al. 2021).

    Nodes that have fallen already are worth nothing; the mean is over all n.
    """
    standing = logits.detach().argmax(dim=1) == labels
    return (cross_entropy(logits, labels, reduction="none") * standing).mean()


def tanh_margin(logits: Tensor, labels: Tensor) -> Tensor:
    r""":math:`\tanh(\max_{c \neq y} z_c - z_y)` (Geisler et al. 2021, section 3).

    It counts nodes that are nearly tipped over; neither lost nor safe ones have a gradient.
    """
    place = labels.unsqueeze(1)
    best_other = logits.scatter(1, place, -torch.inf).amax(dim=1)
    return torch.tanh(best_other - logits.gather(1, place).squeeze(1)).mean()


def probability(logits: Tensor, labels: Tensor) -> Tensor:
    """Minus the softmax probability of the class (Liu et al. 2022, "GraD").

    The gradient of cross-entropy without its weight 1 / p, which draws the attack to nodes that
    have fallen already.
    """
    return -softmax(logits, dim=1).gather(1, labels.unsqueeze(1)).mean()


ATTACK_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross-entropy": cross_entropy,
    "masked-cross-entropy": masked_cross_entropy,
    "tanh-margin": tanh_margin,
    "probability": probability,
}
