r"""Simple graph convolution (Wu et al. 2019): a linear classifier of propagated features.

.. math:: Z = \hat A^k X W, \qquad W^{(0)} = 0

Training is a convex problem and depends on no seed, so that the meta-gradient has no noise from
initialisation. The closed form of training is
:class:`graphpoison.training.gram.LogisticGramField` for few labels, and
:class:`graphpoison.training.rows.RowsField` for many.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .._checks import positive_int
from ..graphs import Propagation
from ..training import NodeInputs, Params, PreparedNodes
from ..training.gram import LogisticGramField
from ..training.rows import RowsField
from .gcn import LinearConvolution


@dataclass(frozen=True)
class SGC(LinearConvolution):
    """``A_hat^k X W``, trained from W = 0.

    Args:
        hops: k, the number of propagations.
    """

    hops: int = 2

    def __post_init__(self) -> None:
        positive_int("hops", self.hops)

    def init(self, inputs: NodeInputs, generator: torch.Generator) -> Params:
        x = inputs.features.x
        return (x.new_zeros(x.size(1), inputs.num_classes),)

    def kernel(self, params: Params) -> Tensor:
        return params[0]

    def closed_form(
        self,
        labels: Tensor,
        prepared: PreparedNodes[Propagation],
        params: Params,
        linear: bool,
    ) -> LogisticGramField | RowsField:
        *before, rows = prepared.tensors
        few = rows.size(0) < rows.size(1) and linear and not bool(params[0].any())
        field = LogisticGramField if few else RowsField
        return field(len(before), rows, labels, params[0].size(1))
