r"""A feed-forward tower, its gradient, and the derivative of that gradient, in closed form.

.. math:: z_l = \phi(z_{l-1} W_l + b_l), \qquad s = z_L w + b

The derivative in a direction of inputs and parameters (Pearlmutter 1994, the R-operator) goes
through the same products: values and tangents are stacked, rows of the former first, so that each
layer multiplies both at once. On the way back the stack holds, first, the derivative of the
cotangents and, below, the cotangents themselves, so that one product gives a kernel's second-order
term :math:`z^\top \dot\delta + \dot z^\top \delta`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from .activations import Activation
from .prepared import Params
from .scratch import Scratch

NARROWEST = 16
"""Products with fewer columns than this are slower, on CPUs, than with columns of zeros added."""


@dataclass(frozen=True, eq=False)
class Layer:
    """Activations of n pairs.

    Args:
        stack: Tensor [n, H], or [2 n, H] with the tangents below.
        slope: Tensor [n, H] of the activation, None where there is none.
    """

    stack: Tensor
    slope: Tensor | None


@dataclass(frozen=True, eq=False)
class Tower:
    """A tower at given parameters and, if any, a direction.

    Args:
        activation: between the layers.
        activated: whether the inputs go through it too.
        head: ``(W_1 [H_0, H_1], b_1 [H_1], ..., w [H_L, 1], b [1])``.
        direction: the same shapes, or None.
        scratch: memory for the layers, which are valid until it is used again.
    """

    activation: Activation
    activated: bool
    head: Params
    direction: Params | None
    scratch: Scratch

    def forward(self, stack: Tensor, count: int) -> tuple[list[Layer], Tensor]:
        """The layers, and outputs [n] or, with a direction, [2 n]; overwrites its argument."""
        layers = [self._activate(stack, count, 0) if self.activated else Layer(stack, None)]
        last = len(self.head) - 2
        for number in range(0, last, 2):
            affine = self._affine(layers[-1].stack, number, count)
            layers.append(self._activate(affine, count, number + 2))
        return layers, self._affine(layers[-1].stack, last, count).squeeze(1).clone()

    def backward(
        self, layers: list[Layer], on_outputs: Tensor, count: int
    ) -> tuple[Tensor, list[Tensor]]:
        """Cotangents of the inputs, stacked, and of the head."""
        on_layer = on_outputs.unsqueeze(1)
        on_head: list[Tensor] = []
        for number in range(len(self.head) - 2, -1, -2):
            layer, kernel = layers[number // 2], self.head[number]
            on_head = [layer.stack.t() @ on_layer, on_layer[:count].sum(dim=0), *on_head]
            below = self.scratch(f"below {number}", (len(on_layer), len(kernel)), kernel)
            _outer_or_product(on_layer, kernel.t(), out=below)
            if self.direction is not None:
                below[:count].addmm_(on_layer[count:], self.direction[number].t())
            on_layer = self._deactivate(below, layer, count)
        return on_layer, on_head

    def _affine(self, stack: Tensor, number: int, count: int) -> Tensor:
        kernel, bias = self.head[number], self.head[number + 1]
        result = self.scratch(f"affine {number}", (len(stack), kernel.size(1)), kernel)
        torch.mm(stack, kernel, out=result)
        result[:count] += bias
        if self.direction is not None:
            tangents = result[count:]
            tangents.addmm_(stack[:count], self.direction[number])
            tangents += self.direction[number + 1]
        return result

    def _activate(self, stack: Tensor, count: int, number: int) -> Layer:
        value = self.activation.value_(stack[:count])
        slope = self.scratch(f"slope {number}", (count, value.size(1)), value)
        self.activation.slope(value, out=slope)
        if self.direction is not None:
            stack[count:] *= slope
        return Layer(stack, slope)

    def _deactivate(self, on_stack: Tensor, layer: Layer, count: int) -> Tensor:
        if layer.slope is None:
            return on_stack
        bend = None
        if self.direction is not None:
            bend = self.activation.bend(layer.stack[:count], layer.stack[count:])
        if bend is not None:
            bend *= on_stack[count:]
        on_stack.view(-1, count, layer.slope.size(1)).mul_(layer.slope)
        if bend is not None:
            on_stack[:count] += bend
        return on_stack


def _outer_or_product(left: Tensor, right: Tensor, out: Tensor) -> None:
    if left.size(1) == 1:
        torch.mul(left, right, out=out)
    else:
        torch.mm(left, right, out=out)


def widened(head: Params) -> Params:
    """The head with narrow layers, inputs included, filled up with units that count for nothing."""
    result = list(head)
    for number in range(0, len(head), 2):
        kernel, bias = head[number], head[number + 1]
        last = number == len(head) - 2
        extra = 0 if last else missing(kernel.size(1))
        result[number] = pad(kernel, (0, extra, 0, missing(kernel.size(0))))
        result[number + 1] = pad(bias, (0, extra))
    return tuple(result)


def narrowed(tensor: Tensor, like: Tensor) -> Tensor:
    """The part of a widened tensor that has the shape of ``like``."""
    return tensor[tuple(slice(0, size) for size in like.shape)]


def missing(width: int) -> int:
    """How many columns are to be added."""
    return max(0, NARROWEST - width)
