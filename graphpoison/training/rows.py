r"""Training a linear model with many labelled rows.

For logits :math:`Z = M W` with ``M`` [L, F], :math:`W = W_1` or :math:`W_1 W_2`, and residual R of
the mean cross-entropy, the gradient w.r.t. W is :math:`M^\top R`. Let :math:`\bar V` be a cotangent
of this gradient. The cotangent of the residual is :math:`M \bar V`, from which the cotangent
:math:`\bar Z` of the logits is computed. The other cotangents are

.. math::
    \bar W = M^\top \bar Z, \qquad \bar M = R \bar V^\top + \bar Z W^\top

If labels are fewer than features, :mod:`~graphpoison.training.gram` takes less time.
"""

import torch
from torch import Tensor

from .cross_entropy import one_hot, residual, residual_vjp
from .field import Cotangents, Linearisation, TrainingField
from .prepared import Params


class LabelledRows(TrainingField):
    """The mean cross-entropy of ``softmax(M W)``.

    All tensors of L rows are stored transposed: with few classes, a softmax over the first
    dimension is ten times as fast as a softmax over the last.

    Args:
        before: number of tensors of the ``Prepared`` before ``M``, its last tensor.
        rows: ``M`` [L, F].
        labels: LongTensor [L].
        num_classes: C.
    """

    def __init__(self, before: int, rows: Tensor, labels: Tensor, num_classes: int) -> None:
        self.before = before
        self.rows = rows.detach()
        self.target = one_hot(labels, num_classes, rows.dtype).t().contiguous()
        self.tensors = (self.rows,)


class RowsField(LabelledRows):
    """The field in closed form; coordinates are the parameters.

    In the reverse pass, each step adds to the cotangent of ``M`` in place; :meth:`tensors_vjp`
    returns this cotangent.
    """

    def __init__(self, before: int, rows: Tensor, labels: Tensor, num_classes: int) -> None:
        super().__init__(before, rows, labels, num_classes)
        self.on_rows = torch.zeros_like(self.rows)

    def linearise(self, coordinates: Params) -> "RowsPoint":
        return RowsPoint(self, *coordinates)

    def tensors_vjp(self, cotangents: Cotangents) -> Cotangents:
        return (*[None] * self.before, self.on_rows)


class RowsPoint(Linearisation):
    """The field at ``W = first`` [F, C], or ``W = first @ second`` with ``second`` [H, C]."""

    def __init__(self, training: RowsField, first: Tensor, second: Tensor | None = None) -> None:
        self.training, self.first, self.second = training, first, second
        self.kernel = first if second is None else first @ second
        self.probability = torch.softmax(self.kernel.t() @ training.rows.t(), dim=0)
        self.residual = residual(self.probability, training.target, classes=0)

    @property
    def gradient(self) -> Params:
        return self._factors(self._on_kernel)

    @property
    def _on_kernel(self) -> Tensor:
        """``M.T R`` [F, C]."""
        return (self.residual @ self.training.rows).t()

    def _factors(self, on_kernel: Tensor) -> Params:
        """The cotangents of the parameters, from the cotangent of W."""
        if self.second is None:
            return (on_kernel,)
        return on_kernel @ self.second.t(), self.first.t() @ on_kernel

    def vjp(self, cotangents: Params) -> tuple[Params, Cotangents]:
        rows, change = self.training.rows, cotangents[0]
        if self.second is not None:
            change = torch.addmm(self.first @ cotangents[1], cotangents[0], self.second)
        on_logits = residual_vjp(self.probability, change.t() @ rows.t(), classes=0)
        self.training.on_rows.addmm_(self.residual.t(), change.t())
        self.training.on_rows.addmm_(on_logits.t(), self.kernel.t())
        back = self._factors((on_logits @ rows).t())
        if self.second is not None:
            on_kernel = self._on_kernel
            through = on_kernel @ cotangents[1].t(), cotangents[0].t() @ on_kernel
            back = tuple(a + b for a, b in zip(back, through, strict=True))
        return back, (None,)
