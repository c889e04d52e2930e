r"""A feed-forward tower, its gradient, and the derivative of that gradient, in closed form.

.. math:: z_1 = \phi(x), \qquad z_l = \phi(z_{l-1} W_l + b_l), \qquad s = z_L w + b

Given a direction of inputs and parameters, every layer is dual, see
:mod:`~graphpoison.training.dual`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .activations import Activation
from .dual import (
    GradAndTangent,
    block_kernel,
    kernel_cotangent,
    split_cotangent,
    split_tangent,
    stack_tangent,
)
from .prepared import Params
from .workspace import Workspace

Outputs = tuple[Tensor, ...]
"""Scores [n] and, given a direction, their tangents [n]; or the cotangents of these tensors."""


class Tower:
    """A tower at given parameters and an optional direction; sums the cotangents of its head.

    Args:
        activation: applied to the inputs and after each hidden layer.
        head: ``(W_2 [H_1, H_2], b_2 [H_2], ..., w [H_L, 1], b [1])``.
        direction: tangents of ``head``, of the same shapes, or None.
        workspace: memory for the layers, which are valid until the memory is reused.
    """

    def __init__(
        self, activation: Activation, head: Params, direction: Params | None, workspace: Workspace
    ) -> None:
        self.activation, self.workspace = activation, workspace
        self.dual = direction is not None
        tangents: Sequence[Tensor | None] = direction or [None] * len(head)
        *kernels, last = map(block_kernel, head[::2], tangents[::2])
        self.kernels, self.weights = kernels, last.t().contiguous()  # weights [1, H] or [2, 2 H]
        self.biases = list(map(stack_tangent, head[1::2], tangents[1::2]))
        self.on_kernels = [torch.zeros_like(kernel) for kernel in (*kernels, self.weights)]
        self.on_biases = [torch.zeros_like(bias) for bias in self.biases]

    def forward(self, inputs: Tensor) -> tuple[list[Tensor], Outputs]:
        """The layers [n, H], or [n, 2 H], and the outputs; overwrites ``inputs``."""
        layers = [self._activate_(inputs)]
        for number, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=False)):
            affine = self.workspace(f"layer {number}", (len(inputs), kernel.size(1)), kernel)
            torch.mm(layers[-1], kernel, out=affine)
            layers.append(self._activate_(affine.add_(bias)))
        outputs = (
            torch.mv(layers[-1], weight).add_(shift)
            for weight, shift in zip(self.weights, self.biases[-1], strict=True)
        )
        return layers, tuple(outputs)

    def backward(self, layers: list[Tensor], on_outputs: Outputs) -> Tensor:
        """Cotangents of the inputs; adds to the gradients of the head. Overwrites ``layers``."""
        on_layer = self._on_last(layers[-1], on_outputs)
        for number in range(len(self.kernels) - 1, -1, -1):
            on_affine = self._deactivate_(on_layer, layers[number + 1])
            self.on_kernels[number].addmm_(layers[number].t(), on_affine)
            self.on_biases[number] += on_affine.sum(dim=0)
            on_layer = self.workspace(f"on layer {number}", _shape(layers[number]), on_affine)
            torch.mm(on_affine, self.kernels[number].t(), out=on_layer)
        return self._deactivate_(on_layer, layers[0])

    @property
    def head_gradients(self) -> list[GradAndTangent]:
        """Gradients of the parameters of the head, in their order."""
        *kernels, weights = self.on_kernels
        found: list[GradAndTangent] = []
        for kernel, bias in zip((*kernels, weights.t()), self.on_biases, strict=True):
            found += [kernel_cotangent(kernel, self.dual), split_cotangent(bias, self.dual)]
        return found

    def _on_last(self, layer: Tensor, on_outputs: Outputs) -> Tensor:
        for row, cotangent in zip(self.on_kernels[-1], on_outputs, strict=True):
            row.addmv_(layer.t(), cotangent)
        stacked = torch.stack(on_outputs, dim=1)
        self.on_biases[-1] += stacked.sum(dim=0)
        on_layer = self.workspace("on last", _shape(layer), layer)
        return torch.mm(stacked, self.weights, out=on_layer)

    def _activate_(self, columns: Tensor) -> Tensor:
        value, tangent = split_tangent(columns, self.dual)
        self.activation.value_(value)
        if tangent is not None:
            self.activation.backward_(tangent, value)
        return columns

    def _deactivate_(self, on_columns: Tensor, layer: Tensor) -> Tensor:
        value, tangent = split_tangent(layer, self.dual)
        on_value, on_tangent = split_tangent(on_columns, self.dual)
        second_order = None
        if tangent is not None and on_tangent is not None:
            second_order = self.activation.second_order(value, tangent)
            if second_order is not None:
                second_order *= on_tangent
            self.activation.backward_(on_tangent, value)
        self.activation.backward_(on_value, value)
        if second_order is not None:
            on_value += second_order
        return on_columns


def _shape(matrix: Tensor) -> tuple[int, int]:
    return matrix.size(0), matrix.size(1)
