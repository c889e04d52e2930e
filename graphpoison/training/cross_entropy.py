r"""The gradient of the mean softmax cross-entropy of L rows, and its adjoint.

With probabilities p and one-hot labels T, the gradient w.r.t. the logits is the residual
:math:`(p - T) / L`.
"""

import torch
from torch import Tensor


def residual(probability: Tensor, target: Tensor, classes: int = 1) -> Tensor:
    """The gradient w.r.t. the logits; both [L, C], or [C, L] with ``classes=0``."""
    return (probability - target).div_(probability.size(1 - classes))


def residual_vjp(probability: Tensor, on_residual: Tensor, classes: int = 1) -> Tensor:
    """The cotangent of the logits, from the cotangent of the residual; shapes as above."""
    weighted = probability * on_residual
    total = weighted.sum(dim=classes, keepdim=True)
    return weighted.addcmul_(probability, total, value=-1.0).div_(weighted.size(1 - classes))


def one_hot(labels: Tensor, num_classes: int, dtype: torch.dtype) -> Tensor:
    """The one-hot matrix T [L, C] of ``labels`` [L]."""
    return torch.nn.functional.one_hot(labels, num_classes).to(dtype)
