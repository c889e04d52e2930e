r"""The mean softmax cross-entropy of L rows, to second order.

With probabilities p and one-hot labels T the gradient w.r.t. the logits is the residual
:math:`(p - T) / L`.
"""

import torch
from torch import Tensor


def residual(probability: Tensor, target: Tensor) -> Tensor:
    """The gradient [L, C] w.r.t. the logits."""
    return (probability - target).div_(probability.size(0))


def residual_vjp(probability: Tensor, on_residual: Tensor) -> Tensor:
    """The cotangent of the logits, from the cotangent of the residual; both [L, C]."""
    weighted = probability * on_residual
    return weighted.addcmul_(probability, weighted.sum(dim=1, keepdim=True), value=-1.0).div_(
        weighted.size(0)
    )


def one_hot(labels: Tensor, num_classes: int, dtype: torch.dtype) -> Tensor:
    """``labels`` [L] as T [L, C]."""
    return torch.nn.functional.one_hot(labels, num_classes).to(dtype)
