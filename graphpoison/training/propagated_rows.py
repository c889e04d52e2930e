r"""The labelled rows of :math:`M = \hat A^k X`, and their derivative w.r.t. every pair of nodes.

With ``E`` [N, L] the indicator of the labelled nodes, :math:`M = E^\top \hat A^k X`. A cotangent C
[L, F] of ``M`` yields the cotangent of the propagation matrix at every pair of nodes, whether the
matrix has an entry there or not:

.. math::
    \sum_{h=0}^{k-1} (\hat A^h E) \, (\hat A^{k-1-h} X C^\top)^\top

The left factors are sparse for small h, which makes the search of all pairs cheap. If labels are
not fewer than features, E and C are replaced by low-rank factors of ``C``: the cotangents of
successive steps hardly differ, so their sum has a low rank.

In any coordinates, training uses the features only through ``M``. The same C therefore yields

.. math::
    \frac{\partial \mathcal L}{\partial X} = (\hat A^k E) \, C

for all entries of ``X``, whether 0 or 1. In Gram coordinates (:mod:`~graphpoison.training.gram`),

.. math::
    C = (\bar K + \bar K^\top) M + \bar P \, W_1^{(0)\top} + B_T \bar W_1^\top,

where :math:`\bar K, \bar P` are the sums over all steps of the cotangents of :math:`M M^\top` and
:math:`M W_1^{(0)}`. The last term is due to :math:`W_1 = a W_1^{(0)} + M^\top B_T`, the trained
parameters in the attack loss. The attack loss also depends on the features directly. For logits
:math:`\hat A^k X W` with cotangent G, this direct term is :math:`(\hat A^k G) W^\top`; the product
with the features records it on their tape.
"""

import torch
from torch import Tensor

from ..graphs import Propagation
from ..sparse import FactoredGradient, SparseFactor, low_rank, sddmm
from ..sparse.pattern import positions
from ..sparse.products import powers
from .prepared import NodeInputs


def labelled_rows(inputs: NodeInputs, propagation: Propagation, hops: int) -> Tensor:
    """``M`` [L, F], outside autograd."""
    if not _few_labels(inputs):
        return _powers(propagation, inputs.features.x, hops)[-1][inputs.labelled]
    spread = _powers(propagation, _indicator(inputs), hops)[-1]
    with torch.no_grad():
        return inputs.features.transposed_matmul(spread).t()


def rows_vjp(inputs: NodeInputs, propagation: Propagation, on_rows: Tensor, hops: int) -> Tensor:
    """The cotangents of the propagation's entries, from ``on_rows``, the cotangent of ``M``.

    The factors of the cotangents of all pairs are recorded on the propagation's tape, if any.
    """
    with torch.no_grad():
        left, right = _factors(inputs, on_rows)
        near = _powers(propagation, _spread(inputs, left), hops - 1)
        far = _powers(propagation, inputs.features.matmul(right), hops - 1)
        if propagation.tape is not None:
            _record(inputs, propagation, near, far)
        return _at_entries(inputs, propagation, near, far)


def _factors(inputs: NodeInputs, on_rows: Tensor) -> tuple[Tensor, Tensor]:
    """``left`` [L, K] and ``right`` [F, K] with ``on_rows = left @ right.T``, K <= min(L, F).

    If labels are fewer than features, ``left`` is the identity, and its propagation is sparse.
    """
    if _few_labels(inputs):
        return torch.eye(on_rows.size(0)).to(on_rows), on_rows.t()
    identity = torch.eye(on_rows.size(1)).to(on_rows)
    return low_rank.low_rank([(on_rows, identity)])


def _at_entries(
    inputs: NodeInputs, propagation: Propagation, near: list[Tensor], far: list[Tensor]
) -> Tensor:
    """The cotangents of the entries; ``near`` and ``far`` are Tensors [N, K] for 0, 1, ... hops."""
    pattern = propagation.pattern
    pairs = list(zip(near, reversed(far), strict=True))
    if not _few_labels(inputs):
        return torch.stack([sddmm(pattern, left, right) for left, right in pairs]).sum(dim=0)
    place = positions(inputs.labelled, inputs.features.x.size(0))
    top = (place[pattern.row] >= 0).nonzero().squeeze(1)
    on_values = far[-1].new_zeros(pattern.num_entries)
    on_values[top] = far[-1][pattern.col[top], place[pattern.row[top]]]
    for left, right in pairs[1:]:
        on_values += sddmm(pattern, left, right)
    return on_values


def _record(
    inputs: NodeInputs, propagation: Propagation, near: list[Tensor], far: list[Tensor]
) -> None:
    """Record the factors of the cotangents of all pairs on the tape."""
    assert propagation.tape is not None
    if not _few_labels(inputs):
        propagation.tape.extend(zip(near, reversed(far), strict=True))
        return
    propagation.tape.sparse_terms.append(SparseFactor.of_rows(far[-1], inputs.labelled))
    for left, right in zip(near[1:], reversed(far[:-1]), strict=True):
        row, col = left.nonzero(as_tuple=True)
        if row.numel() < low_rank.SPARSE_BELOW * left.numel():
            propagation.tape.sparse_terms.append(SparseFactor(right, row, col, left[row, col]))
        else:
            propagation.tape.append((left, right))


def entries_gradient(
    inputs: NodeInputs, propagation: Propagation, on_rows: Tensor, hops: int
) -> FactoredGradient:
    """The gradient w.r.t. all entries of the features: from their tape, and from ``M``."""
    features = inputs.features
    assert features.tape is not None
    left, right = _factors(inputs, on_rows)
    spread = _powers(propagation, _spread(inputs, left), hops)[-1]
    if _few_labels(inputs):
        row, col = spread.nonzero(as_tuple=True)
        features.tape.sparse_terms.append(SparseFactor(right, row, col, spread[row, col]))
    else:
        features.tape.append((spread, right))
    return features.all_entries()


def _powers(propagation: Propagation, dense: Tensor, hops: int) -> list[Tensor]:
    """``A_hat^h @ dense`` for h = 0 to ``hops``, outside autograd."""
    return powers(propagation.pattern, propagation.values.detach(), dense, hops)


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
