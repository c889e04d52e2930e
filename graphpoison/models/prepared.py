"""What a meta-step computes from the edge weights before training starts."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

Params = tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Prepared:
    """Everything that depends on the edge weights but not on the parameters.

    Args:
        weight: Tensor [M], the weights of the listed pairs (the leaf of the meta-gradient).
        tensors: what was computed from ``weight`` and is used in training.
        structure: what goes with them and is not differentiated (patterns, tapes).
        inputs: what else the model is given, where the attacker may change it.
    """

    weight: Tensor
    tensors: Params
    structure: Any = None
    inputs: Any = None

    def detached(self, requires_grad: bool) -> "Prepared":
        """The same with the tensors cut off from ``weight``."""
        leaves = tuple(tensor.detach().requires_grad_(requires_grad) for tensor in self.tensors)
        return replace(self, tensors=leaves)

    def pull_back(self, cotangents: Params) -> Tensor:
        """The gradient [M] w.r.t. ``weight`` for ``cotangents``, one per tensor."""
        (gradient,) = torch.autograd.grad(self.tensors, (self.weight,), cotangents)
        return gradient
