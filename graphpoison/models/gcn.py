"""Common parts of the graph convolutional networks."""

from abc import abstractmethod
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .._checks import positive_int
from ..graphs import PairState, Propagation, normalised_adjacency
from ..sparse import FactoredGradient
from ..training import NodeInputs, Params, PreparedNodes
from ..training.propagated_rows import entries_gradient, labelled_rows, rows_vjp
from .base import NodeClassifier
from .initialisation import glorot


class GraphConvolution(NodeClassifier[Propagation]):
    """A model that uses the graph only through ``A_hat``."""

    def prepare(
        self, inputs: NodeInputs, state: PairState, weight: Tensor
    ) -> PreparedNodes[Propagation]:
        propagation = normalised_adjacency(state, weight)
        tensors = (propagation.values, *inputs.features.values)
        return PreparedNodes(weight, tensors, inputs, propagation)


@dataclass(frozen=True)
class TwoLayerGCN(GraphConvolution):
    """Two kernels ``(W1 [F, H], W2 [H, C])`` with Glorot initialisation, without biases."""

    hidden: int = 16

    def __post_init__(self) -> None:
        positive_int("hidden", self.hidden)

    def init(self, inputs: NodeInputs, generator: torch.Generator) -> Params:
        x = inputs.features.x
        first = glorot(x.size(1), self.hidden, generator, x.dtype)
        second = glorot(self.hidden, inputs.num_classes, generator, x.dtype)
        return first.to(x.device), second.to(x.device)


class LinearConvolution(GraphConvolution):
    """``A_hat^k X W``: training uses only the labelled rows of ``A_hat^k X``."""

    @property
    def hops(self) -> int:
        """k, the number of propagations."""
        return 2

    @abstractmethod
    def kernel(self, params: Params) -> Tensor:
        """``W`` [F, C]."""

    def prepare(
        self, inputs: NodeInputs, state: PairState, weight: Tensor
    ) -> PreparedNodes[Propagation]:
        prepared = super().prepare(inputs, state, weight)
        rows = labelled_rows(inputs, prepared.structure, self.hops)
        return replace(prepared, tensors=(*prepared.tensors, rows))

    def train_logits(self, params: Params, prepared: PreparedNodes[Propagation]) -> Tensor:
        return prepared.tensors[-1] @ self.kernel(params)

    def logits(self, params: Params, prepared: PreparedNodes[Propagation]) -> Tensor:
        propagate = prepared.structure.with_values(prepared.tensors[0])
        features = prepared.inputs.features.with_values(prepared.tensors[1:-1])
        logits: Tensor = features.matmul(self.kernel(params))
        for _ in range(self.hops):
            logits = propagate(logits)
        return logits

    def pair_gradient(
        self, prepared: PreparedNodes[Propagation], cotangents: Params
    ) -> Tensor | FactoredGradient:
        propagation = prepared.structure
        on_values, *_, on_rows = cotangents
        on_values = on_values + rows_vjp(prepared.inputs, propagation, on_rows, self.hops)
        return propagation_gradient(propagation, on_values)

    def feature_gradient(
        self, prepared: PreparedNodes[Propagation], cotangents: Params
    ) -> FactoredGradient:
        return entries_gradient(prepared.inputs, prepared.structure, cotangents[-1], self.hops)


def propagation_gradient(propagation: Propagation, on_values: Tensor) -> Tensor | FactoredGradient:
    """The gradient w.r.t. the pairs, from the cotangent of the propagation's entries and from its
    tape."""
    if propagation.tape is None:
        (gradient,) = torch.autograd.grad(propagation.values, (propagation.weight,), on_values)
        return gradient
    (on_degree,) = torch.autograd.grad(propagation.values, (propagation.degree,), on_values)
    return propagation.all_pairs(on_degree)
