r"""Training a two-layer ReLU GCN in closed form, with the gradient w.r.t. every pair of nodes.

Let :math:`V = X W_1`, :math:`H = \hat A V`, :math:`Y = \mathrm{relu}(H) W_2`, and
:math:`Z = \hat A_L Y` the logits of the labelled rows L only. Let
:math:`G = (\mathrm{softmax}(Z) - T) / |L|` and :math:`R = \hat A_L^\top G`, which is zero except at
neighbours of labelled nodes. The gradients are :math:`\mathrm{relu}(H)^\top R` for :math:`W_2` and
:math:`X^\top \hat A^\top (R W_2^\top \circ [H > 0])` for :math:`W_1`. The cotangent of
:math:`\hat A` is a sum over the steps of

.. math::
    E_L \, (G \, r^\top + z \, Y^\top) \quad \text{and} \quad
    E_N \, (g \, c^\top + h \, W_1^\top) \, X^\top

where N are the neighbours of L, and ``ReLUGCNPoint.vjp`` computes c as ``on_first``, r as
``on_spread``, z as ``on_logits``, g as ``self.on_hidden`` and h as ``on_hidden``. Two matrices of
sizes ``|L|`` x nodes and ``|N|`` x features hold this sum, for any number of steps. Training uses
:math:`X` in :math:`X W_1` and in the gradient of :math:`W_1`. The gradient w.r.t. every entry of
:math:`X` therefore needs only the second matrix:

.. math::
    \hat A \, E_N \, (g \, c^\top + h \, W_1^\top)
"""

import torch
from torch import Tensor

from ..graphs import Propagation
from ..sparse import PairTape, Pattern, SparseFactor, sddmm
from ..sparse.pattern import positions
from ..sparse.products import product, transpose_values, transposed_product
from .cross_entropy import one_hot, residual, residual_vjp
from .field import Cotangents, Linearisation, TrainingField
from .prepared import NodeInputs, Params


class ReLUGCNField(TrainingField):
    """The mean cross-entropy of the labelled rows; coordinates are ``(W1 [F, H], W2 [H, C])``.

    In the reverse pass, each step adds to the two matrices of the module's formula in place;
    :meth:`tensors_vjp` turns them into the cotangent of the propagation matrix.

    Args:
        inputs: ``X`` [N, F] and the labelled nodes L, increasing.
        labels: LongTensor [L].
        propagation: ``A_hat``, symmetric.
    """

    def __init__(self, inputs: NodeInputs, labels: Tensor, propagation: Propagation) -> None:
        features, labelled = self.features, self.labelled = inputs.features, inputs.labelled
        self.target = one_hot(labels, inputs.num_classes, features.x.dtype)
        self.pattern, self.values = propagation.pattern, propagation.values.detach()
        self.tape: PairTape | None = propagation.tape
        num_nodes = features.x.size(0)
        place = positions(labelled, num_nodes)
        self.entries = (place[self.pattern.row] >= 0).nonzero().squeeze(1)
        row, col = place[self.pattern.row[self.entries]], self.pattern.col[self.entries]
        self.top = Pattern(row, col, (labelled.numel(), num_nodes), self.pattern.backend)
        self.top_values = self.values[self.entries]
        self.near = col.unique()
        self.tensors = ()
        self.on_top = features.x.new_zeros(labelled.numel(), num_nodes)
        self.on_near = features.x.new_zeros(self.near.numel(), features.num_features)

    def linearise(self, coordinates: Params) -> "ReLUGCNPoint":
        return ReLUGCNPoint(self, *coordinates)

    def tensors_vjp(self, cotangents: Cotangents) -> Cotangents:
        """The cotangent of the propagation's entries; records factors of all pairs on its tape."""
        top, near = self.on_top, self.on_near
        rows = near.new_zeros(self.features.x.size(0), near.size(1))
        rows[self.near] = near
        on_values = sddmm(self.pattern, rows, self.features.x)
        on_values[self.entries] += top[self.top.row, self.top.col]
        if self.tape is not None:
            self.tape.sparse_terms.append(SparseFactor.of_rows(top.t(), self.labelled))
            if self.near.numel() < near.size(1):
                self.tape.sparse_terms.append(
                    SparseFactor.of_rows(self.features.matmul(near.t()), self.near)
                )
            else:
                self.tape.append((rows, self.features.x))
        if self.features.tape is not None:
            place = positions(self.near, rows.size(0))
            side = (place[self.pattern.col] >= 0).nonzero().squeeze(1)
            row, col = self.pattern.row[side], place[self.pattern.col[side]]
            self.features.tape.sparse_terms.append(
                SparseFactor(near.t(), row, col, self.values[side])
            )
        return on_values, *[None for _ in self.features.values]

    def propagate(self, dense: Tensor) -> Tensor:
        """``A_hat @ dense``, which equals ``A_hat.T @ dense``."""
        return product(self.pattern, self.values, dense)


class ReLUGCNPoint(Linearisation):
    """The field at ``(W1, W2)``."""

    def __init__(self, training: ReLUGCNField, first: Tensor, second: Tensor) -> None:
        self.training, self.first, self.second = training, first, second
        hidden = training.propagate(training.features.matmul(first))
        self.active = hidden > 0
        self.hidden = hidden.relu_()
        self.outputs = self.hidden @ second
        logits = product(training.top, training.top_values, self.outputs)
        self.probability = torch.softmax(logits, dim=1)
        self.residual = residual(self.probability, training.target)
        self.spread = self._from_top(self.residual)
        self.on_hidden = (self.spread @ second.t()).mul_(self.active)

    @property
    def gradient(self) -> Params:
        on_first = self.training.propagate(self.on_hidden)
        return self.training.features.transposed_matmul(on_first), self.hidden.t() @ self.spread

    def vjp(self, cotangents: Params) -> tuple[Params, Cotangents]:
        training = self.training
        on_first, on_second = cotangents
        change = training.propagate(training.features.matmul(on_first)).mul_(self.active)
        on_spread = torch.addmm(change @ self.second, self.hidden, on_second)
        on_residual = product(training.top, training.top_values, on_spread)
        on_logits = residual_vjp(self.probability, on_residual)
        on_outputs = self._from_top(on_logits)
        on_hidden = torch.addmm(self.spread @ on_second.t(), on_outputs, self.second.t())
        on_hidden.mul_(self.active)
        back_second = torch.addmm(change.t() @ self.spread, self.hidden.t(), on_outputs)
        back_first = training.features.transposed_matmul(training.propagate(on_hidden))
        near = training.near
        training.on_top.addmm_(
            torch.cat([self.residual, on_logits], dim=1),
            torch.cat([on_spread, self.outputs], dim=1).t(),
        )
        training.on_near.addmm_(
            torch.cat([self.on_hidden[near], on_hidden[near]], dim=1),
            torch.cat([on_first, self.first], dim=1).t(),
        )
        return (back_first, back_second), ()

    def _from_top(self, rows: Tensor) -> Tensor:
        top = self.training.top
        return transposed_product(top, transpose_values(top, self.training.top_values), rows)
