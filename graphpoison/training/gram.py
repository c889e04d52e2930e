r"""Training a linear model with few labelled rows, in the Gram matrix of those rows.

The logits are :math:`Z = M W_1 W_2` with ``M`` [L, F]. Every gradient w.r.t. :math:`W_1` lies in
the row space of ``M``. An update that is linear in parameters and gradients (gradient descent,
momentum, weight decay) therefore never leaves the form

.. math::
    W_1 = a \, W_1^{(0)} + M^\top B, \qquad M W_1 = a \, M W_1^{(0)} + K B, \qquad K = M M^\top

Training updates the coordinates :math:`(a, B, W_2)`, and ``M`` enters only through the products
``K`` [L, L] and ``M W1_0`` [L, H]. The result is exact. Training is faster if L is well below F.
"""

import torch
from torch import Tensor

from .cross_entropy import one_hot, residual, residual_vjp
from .field import Cotangents, Linearisation, TrainingField
from .prepared import Params
from .rows import LabelledRows


class GramField(TrainingField):
    """The mean cross-entropy of ``softmax(M W1 W2)``, in Gram coordinates, in closed form.

    ``M`` is the last tensor of the ``Prepared``; the tensors before ``M`` are not used. In the
    reverse pass, each step adds to the cotangents of ``K`` and ``M W1_0`` in place;
    :meth:`tensors_vjp` maps these cotangents to ``M``.

    Args:
        before: number of tensors before ``M``.
        rows: ``M`` [L, F].
        labels: LongTensor [L].
        start: the initial parameters ``(W1_0 [F, H], W2_0 [H, C])``.
    """

    def __init__(self, before: int, rows: Tensor, labels: Tensor, start: Params) -> None:
        self.before = before
        self.rows = rows.detach()
        self.origin = start[0].detach()
        self.target = one_hot(labels, start[1].size(1), rows.dtype)
        with torch.no_grad():
            self.kernel, self.projected = self.rows @ self.rows.t(), self.rows @ self.origin
        self.on_kernel = torch.zeros_like(self.kernel)
        self.on_projected = torch.zeros_like(self.projected)
        self.tensors = (self.rows,)

    def coordinates(self, params: Params) -> Params:
        """One tensor [1 + L + C, H]: a row of ``a = 1``, ``B = 0`` and the transpose of ``W2``."""
        ones, second = self.rows.new_ones(1, self.origin.size(1)), params[1].t()
        return (torch.cat([ones, torch.zeros_like(self.projected), second]),)

    def split(self, coordinates: Params) -> tuple[Tensor, Tensor, Tensor]:
        """``a`` [1, H], ``B`` [L, H] and the transpose of ``W2`` [C, H]."""
        count = self.rows.size(0)
        (stack,) = coordinates
        return stack[:1], stack[1 : count + 1], stack[count + 1 :]

    def linearise(self, coordinates: Params) -> "GramPoint":
        return GramPoint(self, *self.split(coordinates))

    def params(self, coordinates: Params) -> Params:
        scale, outer, second = self.split(coordinates)
        return torch.addmm(scale * self.origin, self.rows.t(), outer), second.t()

    def params_vjp(self, coordinates: Params, cotangents: Params) -> tuple[Params, Cotangents]:
        """Cotangents of the coordinates and of ``M``.

        The cotangent of ``a`` is left at 0: it would only reach the initial ``a``, a constant.
        """
        _, outer, _ = self.split(coordinates)
        on_first, on_second = cotangents
        unused = outer.new_zeros(1, outer.size(1))
        back = torch.cat([unused, self.rows @ on_first, on_second.t()])
        return (back,), (outer @ on_first.t(),)

    def tensors_vjp(self, cotangents: Cotangents) -> Cotangents:
        """The cotangent of ``M``: ``(C_K + C_K^T) M + C_P W1_0^T + C_M``."""
        (on_rows,) = cotangents
        assert on_rows is not None
        direct = torch.addmm(on_rows, self.on_projected, self.origin.t())
        total = torch.addmm(direct, self.on_kernel + self.on_kernel.t(), self.rows)
        return (*[None] * self.before, total)


class GramPoint(Linearisation):
    """The field at ``a = scale`` [1, H], ``B = outer`` [L, H], ``W2.T = second`` [C, H]."""

    def __init__(self, training: GramField, scale: Tensor, outer: Tensor, second: Tensor) -> None:
        self.training, self.scale, self.outer, self.second = training, scale, outer, second
        self.hidden = torch.addmm(scale * training.projected, training.kernel, outer)  # M W1
        self.probability = torch.softmax(self.hidden @ second.t(), dim=1)
        self.residual = residual(self.probability, training.target)

    @property
    def gradient(self) -> Params:
        field = self.hidden.new_zeros(
            1 + self.residual.size(0) + self.second.size(0), self.second.size(1)
        )
        _, on_outer, on_second = self.training.split((field,))
        torch.mm(self.residual, self.second, out=on_outer)
        torch.mm(self.residual.t(), self.hidden, out=on_second)
        return (field,)

    def vjp(self, cotangents: Params) -> tuple[Params, Cotangents]:
        training, hidden, second = self.training, self.hidden, self.second
        _, on_outer, on_second = training.split(cotangents)
        on_residual = torch.addmm(on_outer @ second.t(), hidden, on_second.t())
        on_logits = residual_vjp(self.probability, on_residual)
        on_hidden = torch.addmm(self.residual @ on_second, on_logits, second)
        training.on_kernel.addmm_(on_hidden, self.outer.t())
        training.on_projected.addcmul_(on_hidden, self.scale)
        back = torch.zeros_like(cotangents[0])
        _, back_outer, back_second = training.split((back,))
        torch.mm(training.kernel, on_hidden, out=back_outer)
        torch.mm(self.residual.t(), on_outer, out=back_second).addmm_(on_logits.t(), hidden)
        return (back,), (None,)


class LogisticGramField(LabelledRows):
    """The counterpart of :class:`GramField` for a single kernel ``W = M.T B``.

    The kernel is 0 at the start of training; the coordinates are ``B.T`` [C, L].
    """

    def __init__(self, before: int, rows: Tensor, labels: Tensor, num_classes: int) -> None:
        super().__init__(before, rows, labels, num_classes)
        with torch.no_grad():
            self.kernel = self.rows @ self.rows.t()
        self.on_kernel = torch.zeros_like(self.kernel)

    def coordinates(self, params: Params) -> Params:
        return (torch.zeros_like(self.target),)

    def linearise(self, coordinates: Params) -> "LogisticGramPoint":
        return LogisticGramPoint(self, coordinates[0])

    def params(self, coordinates: Params) -> Params:
        return ((coordinates[0] @ self.rows).t(),)

    def params_vjp(self, coordinates: Params, cotangents: Params) -> tuple[Params, Cotangents]:
        (on_params,) = cotangents
        back = (self.rows @ on_params).t().contiguous()
        return (back,), (coordinates[0].t() @ on_params.t(),)

    def tensors_vjp(self, cotangents: Cotangents) -> Cotangents:
        """The cotangent of ``M``: ``(C_K + C_K^T) M + C_M``."""
        (on_rows,) = cotangents
        assert on_rows is not None
        total = torch.addmm(on_rows, self.on_kernel + self.on_kernel.t(), self.rows)
        return (*[None] * self.before, total)


class LogisticGramPoint(Linearisation):
    """The field at ``B.T = outer`` [C, L]."""

    def __init__(self, training: LogisticGramField, outer: Tensor) -> None:
        self.training, self.outer = training, outer
        self.probability = torch.softmax(outer @ training.kernel, dim=0)

    @property
    def gradient(self) -> Params:
        return (residual(self.probability, self.training.target, classes=0),)

    def vjp(self, cotangents: Params) -> tuple[Params, Cotangents]:
        on_logits = residual_vjp(self.probability, cotangents[0], classes=0)
        self.training.on_kernel.addmm_(on_logits.t(), self.outer)
        return (on_logits @ self.training.kernel,), (None,)
