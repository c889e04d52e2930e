"""The parts that the two graph convolutional networks have in common."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .._checks import positive_int
from ..graphs import PairState, Propagation, normalised_adjacency
from ..sparse import FactoredGradient
from ..training import NodeInputs, Params, PreparedNodes
from .base import NodeClassifier
from .initialisation import glorot


@dataclass(frozen=True)
class TwoLayerGCN(NodeClassifier[Propagation]):
    """Two kernels ``(W1 [F, H], W2 [H, C])``, without biases, as Glorot and Bengio have them."""

    hidden: int = 16

    def __post_init__(self) -> None:
        positive_int("hidden", self.hidden)

    def init(self, inputs: NodeInputs, generator: torch.Generator) -> Params:
        x = inputs.features.x
        first = glorot(x.size(1), self.hidden, generator, x.dtype)
        second = glorot(self.hidden, inputs.num_classes, generator, x.dtype)
        return first.to(x.device), second.to(x.device)

    def prepare(
        self, inputs: NodeInputs, state: PairState, weight: Tensor
    ) -> PreparedNodes[Propagation]:
        propagation = normalised_adjacency(state, weight)
        tensors = (propagation.values, *inputs.features.values)
        return PreparedNodes(weight, tensors, inputs, propagation)


def propagation_gradient(propagation: Propagation, on_values: Tensor) -> Tensor | FactoredGradient:
    """The gradient w.r.t. the pairs, from the cotangent of the propagation's entries and from its
    tape."""
    if propagation.tape is None:
        (gradient,) = torch.autograd.grad(propagation.values, (propagation.weight,), on_values)
        return gradient
    (on_degree,) = torch.autograd.grad(propagation.values, (propagation.degree,), on_values)
    return propagation.all_pairs(on_degree)
