r"""A network and its derivative in one direction, as one network of twice the width.

Values and tangents stand side by side, :math:`[z \,|\, \dot z]`, and an affine map that has a
direction of its own is again an affine map:

.. math::
    [z \,|\, \dot z] \begin{pmatrix} W & \dot W \\ 0 & W \end{pmatrix} + [b \,|\, \dot b]
    = [z W + b \,|\, \dot z W + z \dot W + \dot b]

The ordinary backward pass of that network, started with :math:`[\dot\delta \,|\, \delta]`, gives
the derivative of the gradient (Pearlmutter 1994, the R-operator) and the gradient itself: at the
places of the formula the cotangent of the big kernel has :math:`z^\top \dot\delta`,
:math:`z^\top \delta` and, below, :math:`\dot z^\top \delta`.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class GradAndTangent(NamedTuple):
    """The gradient w.r.t. some tensor, and its derivative in the direction if there is one."""

    gradient: Tensor
    derivative: Tensor | None

    def stacked(self) -> "GradAndTangent":
        """The same [1, ...]."""
        tangent = None if self.derivative is None else self.derivative.unsqueeze(0)
        return GradAndTangent(self.gradient.unsqueeze(0), tangent)


def stack_tangent(value: Tensor, tangent: Tensor | None) -> Tensor:
    """``[value | tangent]`` along the last dimension; ``value`` itself without a tangent."""
    return value if tangent is None else torch.cat([value, tangent], dim=-1)


def split_tangent(columns: Tensor, dual: bool) -> tuple[Tensor, Tensor | None]:
    """``[value | tangent]`` split in two."""
    if not dual:
        return columns, None
    half = columns.size(-1) // 2
    return columns[..., :half], columns[..., half:]


def split_cotangent(cotangent: Tensor, dual: bool) -> GradAndTangent:
    """Gradient and derivative from the cotangent of ``[value | tangent]``."""
    first, second = split_tangent(cotangent, dual)
    return GradAndTangent(first, None) if second is None else GradAndTangent(second, first)


def block_kernel(kernel: Tensor, tangent: Tensor | None) -> Tensor:
    """[..., 2 A, 2 B] for ``kernel`` [..., A, B]; ``kernel`` itself without a tangent."""
    if tangent is None:
        return kernel
    lower = torch.cat([torch.zeros_like(kernel), kernel], dim=-1)
    return torch.cat([torch.cat([kernel, tangent], dim=-1), lower], dim=-2)


def kernel_cotangent(cotangent: Tensor, dual: bool) -> GradAndTangent:
    """Gradient and derivative of the kernel [..., A, B], from the cotangent of a big kernel."""
    if not dual:
        return GradAndTangent(cotangent, None)
    rows, cols = cotangent.size(-2) // 2, cotangent.size(-1) // 2
    derivative = cotangent[..., :rows, :cols] + cotangent[..., rows:, cols:]
    return GradAndTangent(cotangent[..., :rows, cols:], derivative)
