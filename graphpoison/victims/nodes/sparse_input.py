"""Sparse products for features with many zeros, in modules written for dense features."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ...graphs import Features


class SparseInput(TorchFunctionMode):
    """In this block, a linear layer applied to ``x`` [N, F] skips the zeros of ``x``.

    Modules get the dense matrix. Only ``torch.nn.functional.linear(x, weight, bias)`` of this very
    tensor is replaced, and only if most entries of ``x`` are 0.
    """

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.features = Features(x)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is torch.nn.functional.linear and args[:1] and args[0] is self.features.x:
            return self._linear(*args[1:], **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _linear(self, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        result = self.features.matmul(weight.t())
        return result if bias is None else result + bias
