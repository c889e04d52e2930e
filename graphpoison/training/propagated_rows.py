r"""The labelled rows of :math:`M = \hat A^2 X`, and their derivative w.r.t. every pair of nodes.

With ``E`` [N, L] the indicator of the labelled nodes, :math:`M = E^\top \hat A^2 X`. A cotangent C
[L, F] of ``M`` is one of the propagation matrix, wherever that has an entry and where it has none:

.. math::
    E \, (\hat A X C^\top)^\top + (\hat A E) \, (X C^\top)^\top

Both left factors are sparse, which makes the search of all pairs cheap; and either side may be
multiplied out first, so that nothing wider than ``min(L, F)`` is propagated.

Training sees the features in ``M`` alone, whatever the coordinates it runs in. Hence the same C is

.. math::
    \frac{\partial \mathcal L}{\partial X} = (\hat A^2 E) \, C

of all entries of ``X``, be they 0 or 1. In Gram coordinates (:mod:`~graphpoison.training.gram`)

.. math::
    C = (\bar K + \bar K^\top) M + \bar P \, W_1^{(0)\top} + B_T \bar W_1^\top,

with :math:`\bar K, \bar P` the sums over all steps of the cotangents of :math:`M M^\top` and
:math:`M W_1^{(0)}`, and the last term from :math:`W_1 = a W_1^{(0)} + M^\top B_T`, by which trained
parameters enter the attack loss. That loss has a term of its own: for logits
:math:`\hat A^2 X W_1 W_2` with cotangent G it is :math:`(\hat A^2 G) (W_1 W_2)^\top`, which the
product with the features leaves on their tape.
"""

from dataclasses import replace

import torch
from torch import Tensor

from ..graphs import Propagation
from ..sparse import FactoredGradient, Matrix, SparseFactor, sddmm
from ..sparse.pattern import positions
from ..sparse.products import product
from .prepared import NodeInputs

THIN_BYTES = 2**30
"""The N x L factors are multiplied out as long as they take no more than this."""


def labelled_rows(inputs: NodeInputs, propagation: Propagation) -> Tensor:
    """``M`` [L, F], outside autograd."""
    pattern, values = propagation.pattern, propagation.values.detach()
    if not _few_labels(inputs):
        once = product(pattern, values, inputs.features.x)
        return product(pattern, values, once)[inputs.labelled]
    twice = product(pattern, values, product(pattern, values, _indicator(inputs)))
    with torch.no_grad():
        return inputs.features.transposed_matmul(twice).t()


def rows_vjp(inputs: NodeInputs, propagation: Propagation, on_rows: Tensor) -> Tensor:
    """The cotangent of the propagation's entries from ``on_rows``, the cotangent of ``M``; the
    cotangents of all pairs go to its tape."""
    pattern, values, x = propagation.pattern, propagation.values.detach(), inputs.features.x
    labelled = inputs.labelled
    with torch.no_grad():
        if _few_labels(inputs):
            wide = inputs.features.matmul(on_rows.t())
            near, once = product(pattern, values, _indicator(inputs)), None
            on_values = sddmm(pattern, near, wide)
        else:
            spread, once = _spread(inputs, on_rows), product(pattern, values, x)
            near = product(pattern, values, spread)
            on_values = sddmm(pattern, near, x).add_(sddmm(pattern, spread, once))
            if propagation.tape is None:
                return on_values
            if x.size(0) * labelled.numel() * x.element_size() > THIN_BYTES:
                propagation.tape.extend([(spread, once), (near, x)])
                return on_values
            wide = inputs.features.matmul(on_rows.t())
        twice = product(pattern, values, wide)
        place = positions(labelled, x.size(0))
        if once is None:
            top = (place[pattern.row] >= 0).nonzero().squeeze(1)
            on_values[top] += twice[pattern.col[top], place[pattern.row[top]]]
        if propagation.tape is not None:
            side = (place[pattern.col] >= 0).nonzero().squeeze(1)
            row, col = pattern.row[side], place[pattern.col[side]]
            twice_there = SparseFactor.of_rows(twice, labelled)
            propagation.tape.sparse_terms.extend(
                [twice_there, SparseFactor(wide, row, col, values[side])]
            )
    return on_values


def entries_gradient(
    inputs: NodeInputs, propagation: Propagation, on_rows: Tensor
) -> FactoredGradient:
    """The gradient w.r.t. all entries of the features: from their tape, and from ``M``."""
    pattern, values, features = propagation.pattern, propagation.values.detach(), inputs.features
    assert features.tape is not None
    if not _few_labels(inputs):
        once = product(pattern, values, _spread(inputs, on_rows))
        return replace(features.all_entries(), residual_term=Matrix(product(pattern, values, once)))
    twice = product(pattern, values, product(pattern, values, _indicator(inputs)))
    row, col = twice.nonzero(as_tuple=True)
    features.tape.sparse_terms.append(SparseFactor(on_rows.t(), row, col, twice[row, col]))
    return features.all_entries()


def _few_labels(inputs: NodeInputs) -> bool:
    return inputs.labelled.numel() < inputs.features.num_features


def _indicator(inputs: NodeInputs) -> Tensor:
    labelled, x = inputs.labelled, inputs.features.x
    return _spread(inputs, torch.eye(labelled.numel(), dtype=x.dtype, device=x.device))


def _spread(inputs: NodeInputs, rows: Tensor) -> Tensor:
    """``E @ rows``: ``rows`` [L, K] at the labelled nodes, zeros elsewhere."""
    spread = rows.new_zeros(inputs.features.x.size(0), rows.size(1))
    spread[inputs.labelled] = rows
    return spread
