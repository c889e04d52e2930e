r"""Two-layer graph convolutional surrogates (Kipf and Welling 2017), without biases.

.. math::
    \text{linear-gcn: } Z = \hat A^2 X W_1 W_2 \qquad
    \text{relu-gcn: } Z = \hat A \,\sigma(\hat A X W_1) W_2

The linear form is the surrogate of Zügner and Günnemann (2019).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .._checks import positive_int
from ..graph import FactoredGradient, PairState, Propagation, normalised_adjacency
from .base import NodeInputs, NodeSurrogate, glorot
from .gram import GramTraining
from .linear_rows import labelled_rows, pull_back_entries, pull_back_rows
from .prepared import Params, Prepared
from .relu_training import ReLUTraining
from .training import Training


@dataclass(frozen=True)
class _GCN(NodeSurrogate):
    hidden: int = 16

    def __post_init__(self) -> None:
        positive_int("hidden", self.hidden)

    def init(self, inputs: NodeInputs, generator: torch.Generator) -> Params:
        x = inputs.features.x
        first = glorot(x.size(1), self.hidden, generator, x.dtype)
        second = glorot(self.hidden, inputs.num_classes, generator, x.dtype)
        return first.to(x.device), second.to(x.device)


def pull_back(propagation: Propagation, on_values: Tensor) -> Tensor | FactoredGradient:
    """The gradient w.r.t. the pairs from that w.r.t. the propagation's entries, and its tape."""
    if propagation.tape is None:
        (gradient,) = torch.autograd.grad(propagation.values, (propagation.weight,), on_values)
        return gradient
    (on_degree,) = torch.autograd.grad(propagation.values, (propagation.degree,), on_values)
    return propagation.all_pairs(on_degree)


@dataclass(frozen=True)
class LinearGCN(_GCN):
    """``A_hat^2 X W1 W2``: trained on the labelled rows of ``A_hat^2 X`` alone."""

    def prepare(self, inputs: NodeInputs, state: PairState, weight: Tensor) -> Prepared:
        propagation = normalised_adjacency(state, weight)
        rows = labelled_rows(inputs, propagation)
        tensors = (propagation.values, *inputs.features.values, rows)
        return Prepared(weight, tensors, propagation)

    def pull_back(
        self, inputs: NodeInputs, prepared: Prepared, cotangents: Params
    ) -> Tensor | FactoredGradient:
        propagation: Propagation = prepared.structure
        on_values, *_, on_rows = cotangents
        return pull_back(propagation, on_values + pull_back_rows(inputs, propagation, on_rows))

    def pull_back_features(
        self, inputs: NodeInputs, prepared: Prepared, cotangents: Params
    ) -> FactoredGradient:
        return pull_back_entries(inputs, prepared.structure, cotangents[-1])

    def train_logits(self, inputs: NodeInputs, params: Params, prepared: Prepared) -> Tensor:
        first, second = params
        return (prepared.tensors[-1] @ first) @ second

    def training(
        self, inputs: NodeInputs, labels: Tensor, prepared: Prepared, params: Params, linear: bool
    ) -> Training | None:
        *before, rows = prepared.tensors
        if not linear or rows.size(0) >= rows.size(1):
            return None
        return GramTraining(len(before), rows, labels, params)

    def logits(self, inputs: NodeInputs, params: Params, prepared: Prepared) -> Tensor:
        first, second = params
        propagate = prepared.structure.with_values(prepared.tensors[0])
        features = inputs.features.with_values(prepared.tensors[1:-1])
        logits: Tensor = propagate(propagate(features.matmul(first @ second)))
        return logits


@dataclass(frozen=True)
class ReLUGCN(_GCN):
    """``A_hat relu(A_hat X W1) W2``."""

    def prepare(self, inputs: NodeInputs, state: PairState, weight: Tensor) -> Prepared:
        propagation = normalised_adjacency(state, weight)
        return Prepared(weight, (propagation.values, *inputs.features.values), propagation)

    def train_logits(self, inputs: NodeInputs, params: Params, prepared: Prepared) -> Tensor:
        return self.logits(inputs, params, prepared)[inputs.labelled]

    def pull_back(
        self, inputs: NodeInputs, prepared: Prepared, cotangents: Params
    ) -> Tensor | FactoredGradient:
        return pull_back(prepared.structure, cotangents[0])

    def pull_back_features(
        self, inputs: NodeInputs, prepared: Prepared, cotangents: Params
    ) -> FactoredGradient:
        return inputs.features.all_entries()

    def training(
        self, inputs: NodeInputs, labels: Tensor, prepared: Prepared, params: Params, linear: bool
    ) -> Training:
        structure = prepared.structure
        return ReLUTraining(inputs.features, inputs.labelled, labels, inputs.num_classes, structure)

    def logits(self, inputs: NodeInputs, params: Params, prepared: Prepared) -> Tensor:
        first, second = params
        propagate = prepared.structure.with_values(prepared.tensors[0])
        features = inputs.features.with_values(prepared.tensors[1:])
        hidden = propagate(features.matmul(first)).relu()
        logits: Tensor = propagate(hidden @ second)
        return logits
