r"""The graph convolutional network of Kipf and Welling (2017), without biases.

.. math:: Z = \hat A \,\mathrm{relu}(\hat A X W_1) W_2

The closed form of its training is :mod:`graphpoison.training.relu_gcn`.
"""

from dataclasses import dataclass

from torch import Tensor

from ..graphs import Propagation
from ..sparse import FactoredGradient
from ..training import Params, PreparedNodes
from ..training.relu_gcn import ReLUGCNField
from .gcn import TwoLayerGCN, propagation_gradient


@dataclass(frozen=True)
class ReLUGCN(TwoLayerGCN):
    """``A_hat relu(A_hat X W1) W2``.

    Args:
        hidden: width H of the hidden layer.
    """

    def train_logits(self, params: Params, prepared: PreparedNodes[Propagation]) -> Tensor:
        return self.logits(params, prepared)[prepared.inputs.labelled]

    def logits(self, params: Params, prepared: PreparedNodes[Propagation]) -> Tensor:
        first, second = params
        propagate = prepared.structure.with_values(prepared.tensors[0])
        features = prepared.inputs.features.with_values(prepared.tensors[1:])
        hidden = propagate(features.matmul(first)).relu()
        logits: Tensor = propagate(hidden @ second)
        return logits

    def closed_form(
        self,
        labels: Tensor,
        prepared: PreparedNodes[Propagation],
        params: Params,
        linear: bool,
    ) -> ReLUGCNField:
        return ReLUGCNField(prepared.inputs, labels, prepared.structure)

    def pair_gradient(
        self, prepared: PreparedNodes[Propagation], cotangents: Params
    ) -> Tensor | FactoredGradient:
        return propagation_gradient(prepared.structure, cotangents[0])

    def feature_gradient(
        self, prepared: PreparedNodes[Propagation], cotangents: Params
    ) -> FactoredGradient:
        return prepared.inputs.features.all_entries()
