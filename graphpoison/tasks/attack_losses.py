"""Attack losses of nodes, each with the class that the attacker assigns to it.

A loss maps logits [n, C] and classes [n] to one number for each node, [n]; the attacker maximises
the mean. Any callable of this form is a loss. With the margin

.. math:: m = \\max_{c \\neq y} z_c - z_y,

which is negative for a node that is still classified as y, the losses below differ in the nodes
that they spend the budget on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softmax

from .._checks import in_range, refuse_class
from .._named import named

AttackLoss = Callable[[Tensor, Tensor], Tensor]
"""``loss(logits [n, C], labels [n])`` -> Tensor [n], differentiable in the logits."""


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """``max_{c != y} z_c - z_y`` [n], below 0 for nodes that are classified as ``labels`` [n]."""
    place = labels.unsqueeze(1)
    best_other = logits.scatter(1, place, -torch.inf).amax(dim=1)
    return best_other - logits.gather(1, place).squeeze(1)


@dataclass(frozen=True)
class CrossEntropy:
    """The loss of Metattack (Zügner and Günnemann 2019)."""

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(logits, labels, reduction="none")


@dataclass(frozen=True)
class MaskedCrossEntropy:
    """Cross-entropy of the nodes that are still classified as y, 0 for all others (Geisler et al.
    2021).

    The loss drops to 0 when a node becomes misclassified. Its gradient can rank flips; its values
    cannot.
    """

    comparable: ClassVar[bool] = False

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        standing = logits.detach().argmax(dim=1) == labels
        return cross_entropy(logits, labels, reduction="none") * standing


@dataclass(frozen=True)
class TanhMargin:
    r""":math:`\tanh(s \, m)` (Geisler et al. 2021, section 3, with s = 1).

    The gradient is largest at the decision boundary and vanishes for nodes that are misclassified
    or safe by a wide margin.

    Args:
        scale: s; a smaller scale includes nodes further from the boundary.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        in_range("scale", self.scale, 0.0, 1e6, open_low=True)

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        return torch.tanh(self.scale * margin(logits, labels))


@dataclass(frozen=True)
class CarliniWagner:
    r""":math:`\min(m, \kappa)` (Carlini and Wagner 2017, the loss of section VI.A, negated).

    All nodes whose margin is below kappa have the same weight, however safe they are.

    Args:
        kappa: the margin beyond which a misclassified node has no gradient.
    """

    kappa: float = 0.0

    def __post_init__(self) -> None:
        in_range("kappa", self.kappa, 0.0, float("inf"))

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        return margin(logits, labels).clamp(max=self.kappa)


@dataclass(frozen=True)
class CostAware:
    r"""Cross-entropy, weighted by the margin of probabilities, after CA-attack (Han et al. 2023).

    .. math:: w \cdot (-\log p_y), \qquad w = \exp(-\beta \, \mu^2), \quad
        \mu = \max_{c \neq y} p_c - p_y

    The weight is not differentiated. Nodes near the decision boundary have the largest weight, safe
    and misclassified nodes a small one. The paper's framework also postpones nodes just beyond the
    boundary; the weight here is symmetric. The gradient of the loss can rank flips; its values
    cannot.

    Args:
        beta: how fast the weight falls with the distance to the boundary.
    """

    comparable: ClassVar[bool] = False
    beta: float = 10.0

    def __post_init__(self) -> None:
        in_range("beta", self.beta, 0.0, float("inf"))

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        distance = margin(softmax(logits.detach(), dim=1), labels)
        weight = torch.exp(-self.beta * distance.square())
        return weight * cross_entropy(logits, labels, reduction="none")


@dataclass(frozen=True)
class Probability:
    """Minus the softmax probability of the class (GraD, Liu et al. 2022).

    The gradient equals the gradient of cross-entropy without its factor 1 / p, which is largest for
    nodes that are misclassified already.
    """

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        return -softmax(logits, dim=1).gather(1, labels.unsqueeze(1)).squeeze(1)


ATTACK_LOSSES: dict[str, AttackLoss] = {
    "cross-entropy": CrossEntropy(),
    "masked-cross-entropy": MaskedCrossEntropy(),
    "tanh-margin": TanhMargin(),
    "carlini-wagner": CarliniWagner(),
    "cost-aware": CostAware(),
    "probability": Probability(),
}


def attack_loss_of(loss: str | AttackLoss) -> AttackLoss:
    """Returns ``loss`` itself, or the loss that a text names: ``"tanh-margin"``,
    ``"tanh-margin=0.5"`` or an import path.

    Raises:
        TypeError: ``loss`` is neither a name nor an object that can be called.
        ValueError: the name is unknown, or the loss does not take the argument.
    """
    found = named("attack_loss", loss, ATTACK_LOSSES) if isinstance(loss, str) else loss
    refuse_class("attack_loss", found)
    if not callable(found):
        raise TypeError(
            f"attack_loss must be a name in {list(ATTACK_LOSSES)}, a loss such as TanhMargin(0.5) "
            f"or a function f(logits, labels) -> loss of each node, found {found!r}."
        )
    return found


def mean_attack_loss(loss: AttackLoss, logits: Tensor, labels: Tensor) -> Tensor:
    """The mean of ``loss`` over nodes, a scalar.

    Raises:
        TypeError, ValueError: ``loss`` does not return one floating-point number for each node.
    """
    values = loss(logits, labels)
    if not isinstance(values, Tensor) or not values.is_floating_point():
        raise TypeError(
            f"attack_loss must return a floating-point tensor, found {type(values).__name__}."
        )
    if values.shape != labels.shape:
        raise ValueError(
            f"attack_loss must return one number for each of {labels.numel()} nodes, found shape "
            f"{tuple(values.shape)}; use reduction='none' instead of a mean."
        )
    return values.mean()
