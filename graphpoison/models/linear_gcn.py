r"""The linear graph convolutional network, surrogate of Zügner and Günnemann (2019).

.. math:: Z = \hat A^2 X W_1 W_2

Two layers of Kipf and Welling (2017) without nonlinearity and biases. The closed form of its
training is :mod:`graphpoison.training.gram`; how its propagated rows depend on the graph is
:mod:`graphpoison.training.propagated_rows`.
"""

from dataclasses import dataclass, replace

from torch import Tensor

from ..graphs import PairState, Propagation
from ..sparse import FactoredGradient
from ..training import NodeInputs, Params, PreparedNodes
from ..training.gram import GramField
from ..training.propagated_rows import entries_gradient, labelled_rows, rows_vjp
from .gcn import TwoLayerGCN, propagation_gradient


@dataclass(frozen=True)
class LinearGCN(TwoLayerGCN):
    """``A_hat^2 X W1 W2``: trained on the labelled rows of ``A_hat^2 X`` alone.

    Args:
        hidden: width H of the hidden layer.
    """

    def prepare(
        self, inputs: NodeInputs, state: PairState, weight: Tensor
    ) -> PreparedNodes[Propagation]:
        prepared = super().prepare(inputs, state, weight)
        rows = labelled_rows(inputs, prepared.structure)
        return replace(prepared, tensors=(*prepared.tensors, rows))

    def train_logits(self, params: Params, prepared: PreparedNodes[Propagation]) -> Tensor:
        first, second = params
        return (prepared.tensors[-1] @ first) @ second

    def logits(self, params: Params, prepared: PreparedNodes[Propagation]) -> Tensor:
        first, second = params
        propagate = prepared.structure.with_values(prepared.tensors[0])
        features = prepared.inputs.features.with_values(prepared.tensors[1:-1])
        logits: Tensor = propagate(propagate(features.matmul(first @ second)))
        return logits

    def closed_form(
        self,
        labels: Tensor,
        prepared: PreparedNodes[Propagation],
        params: Params,
        linear: bool,
    ) -> GramField | None:
        *before, rows = prepared.tensors
        if not linear or rows.size(0) >= rows.size(1):
            return None
        return GramField(len(before), rows, labels, params)

    def pair_gradient(
        self, prepared: PreparedNodes[Propagation], cotangents: Params
    ) -> Tensor | FactoredGradient:
        propagation = prepared.structure
        on_values, *_, on_rows = cotangents
        on_values = on_values + rows_vjp(prepared.inputs, propagation, on_rows)
        return propagation_gradient(propagation, on_values)

    def feature_gradient(
        self, prepared: PreparedNodes[Propagation], cotangents: Params
    ) -> FactoredGradient:
        return entries_gradient(prepared.inputs, prepared.structure, cotangents[-1])
