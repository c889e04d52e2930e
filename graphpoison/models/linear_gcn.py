r"""The linear graph convolutional network, surrogate of Zügner and Günnemann (2019).

.. math:: Z = \hat A^2 X W_1 W_2

Two layers of Kipf and Welling (2017) without nonlinearity and biases. The closed form of its
training is :mod:`graphpoison.training.gram`; :mod:`graphpoison.training.propagated_rows` has the
derivative of its propagated rows w.r.t. the graph.
"""

from dataclasses import dataclass

from torch import Tensor

from ..graphs import Propagation
from ..training import Params, PreparedNodes
from ..training.gram import GramField
from ..training.rows import RowsField
from .gcn import LinearConvolution, TwoLayerGCN


@dataclass(frozen=True)
class LinearGCN(LinearConvolution, TwoLayerGCN):
    """``A_hat^2 X W1 W2``.

    Args:
        hidden: width H of the hidden layer.
    """

    def kernel(self, params: Params) -> Tensor:
        first, second = params
        return first @ second

    def train_logits(self, params: Params, prepared: PreparedNodes[Propagation]) -> Tensor:
        first, second = params
        return (prepared.tensors[-1] @ first) @ second

    def closed_form(
        self,
        labels: Tensor,
        prepared: PreparedNodes[Propagation],
        params: Params,
        linear: bool,
    ) -> GramField | RowsField:
        *before, rows = prepared.tensors
        if linear and rows.size(0) < rows.size(1):
            return GramField(len(before), rows, labels, params)
        return RowsField(len(before), rows, labels, params[1].size(1))
