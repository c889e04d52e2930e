r"""A network and its derivative in one direction, as one network of twice the width.

Values and tangents are concatenated, :math:`[z \,|\, \dot z]`. An affine map, together with a
direction of its parameters, is an affine map of the concatenation:

.. math::
    [z \,|\, \dot z] \begin{pmatrix} W & \dot W \\ 0 & W \end{pmatrix} + [b \,|\, \dot b]
    = [z W + b \,|\, \dot z W + z \dot W + \dot b]

The ordinary backward pass of this network, started with :math:`[\dot\delta \,|\, \delta]`, yields
the derivative of the gradient (Pearlmutter 1994, the R-operator) and the gradient itself. The
cotangent of the block kernel is :math:`z^\top \dot\delta` at the upper W, :math:`z^\top \delta` at
:math:`\dot W`, and :math:`\dot z^\top \delta` at the lower W.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class GradAndTangent(NamedTuple):
    """The gradient w.r.t. a tensor and, given a direction, the derivative of the gradient."""

    gradient: Tensor
    derivative: Tensor | None

    def stacked(self) -> "GradAndTangent":
        """The same, with a first dimension of size 1."""
        tangent = None if self.derivative is None else self.derivative.unsqueeze(0)
        return GradAndTangent(self.gradient.unsqueeze(0), tangent)


def stack_tangent(value: Tensor, tangent: Tensor | None) -> Tensor:
    """``[value | tangent]`` along the last dimension; ``value`` itself without a tangent."""
    return value if tangent is None else torch.cat([value, tangent], dim=-1)


def split_tangent(columns: Tensor, dual: bool) -> tuple[Tensor, Tensor | None]:
    """``value`` and ``tangent`` of ``[value | tangent]``; ``columns`` and None unless ``dual``."""
    if not dual:
        return columns, None
    half = columns.size(-1) // 2
    return columns[..., :half], columns[..., half:]


def split_cotangent(cotangent: Tensor, dual: bool) -> GradAndTangent:
    """Gradient and derivative from the cotangent of ``[value | tangent]``."""
    first, second = split_tangent(cotangent, dual)
    return GradAndTangent(first, None) if second is None else GradAndTangent(second, first)


def block_kernel(kernel: Tensor, tangent: Tensor | None) -> Tensor:
    """The block kernel [..., 2 A, 2 B] of ``kernel`` [..., A, B]; ``kernel`` without a tangent."""
    if tangent is None:
        return kernel
    lower = torch.cat([torch.zeros_like(kernel), kernel], dim=-1)
    return torch.cat([torch.cat([kernel, tangent], dim=-1), lower], dim=-2)


def kernel_cotangent(cotangent: Tensor, dual: bool) -> GradAndTangent:
    """Gradient and derivative of the kernel [..., A, B], from the cotangent of a block kernel."""
    if not dual:
        return GradAndTangent(cotangent, None)
    rows, cols = cotangent.size(-2) // 2, cotangent.size(-1) // 2
    derivative = cotangent[..., :rows, :cols] + cotangent[..., rows:, cols:]
    return GradAndTangent(cotangent[..., :rows, cols:], derivative)
