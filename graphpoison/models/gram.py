r"""Training a linear model with few labelled rows, in the Gram matrix of those rows.

For logits :math:`Z = M W_1 W_2` with ``M`` [L, F], every gradient of :math:`W_1` lies in the row
space of ``M``, so that an update which is linear in parameters and gradients (gradient descent,
momentum, weight decay) keeps

.. math::
    W_1 = a \, W_1^{(0)} + M^\top B, \qquad M W_1 = a \, M W_1^{(0)} + K B, \qquad K = M M^\top

and moves the coordinates :math:`(a, B, W_2)` instead, where only the products ``K`` [L, L] and
``M W1_0`` [L, H] are left of ``M``. This is exact; it pays where L is well below F.
"""

import torch
from torch import Tensor

from .prepared import Params
from .training import Cotangents, Training


class GramTraining(Training):
    """The mean cross-entropy of ``softmax(M W1 W2)``, in Gram coordinates, in closed form.

    Belongs to a ``Prepared`` whose last tensor is ``M``; the ones before it take no part.

    Args:
        before: number of tensors before ``M``.
        rows: ``M`` [L, F].
        labels: LongTensor [L].
        start: ``(W1_0 [F, H], W2_0 [H, C])``.
    """

    def __init__(self, before: int, rows: Tensor, labels: Tensor, start: Params) -> None:
        self.before = before
        self.rows = rows.detach()
        self.origin = start[0].detach()
        self.target = torch.nn.functional.one_hot(labels, start[1].size(1)).to(rows.dtype)
        with torch.no_grad():
            kernel, projected = self.rows @ self.rows.t(), self.rows @ self.origin
        self.tensors = (kernel, projected, self.rows)

    def coordinates(self, params: Params) -> Params:
        """``(a = 1, B = 0 [L, H], W2)``."""
        one = self.rows.new_ones(())
        return one, torch.zeros_like(self.tensors[1]), params[1]

    def gradient(self, coordinates: Params) -> Params:
        _, _, second = coordinates
        hidden = self._hidden(coordinates)
        residual = torch.softmax(hidden @ second, dim=1).sub_(self.target).div_(hidden.size(0))
        return self.rows.new_zeros(()), residual @ second.t(), hidden.t() @ residual

    def reverse(self, coordinates: Params, cotangents: Params) -> tuple[Params, Cotangents]:
        scale, outer, second = coordinates
        kernel, projected, _ = self.tensors
        _, on_outer, on_second = cotangents
        hidden = self._hidden(coordinates)
        count = hidden.size(0)
        probability = torch.softmax(hidden @ second, dim=1)
        residual = (probability - self.target).div_(count)
        on_residual = torch.addmm(on_outer @ second, hidden, on_second)
        weighted = probability * on_residual
        on_logits = (weighted - probability * weighted.sum(dim=1, keepdim=True)).div_(count)
        on_hidden = torch.addmm(residual @ on_second.t(), on_logits, second.t())
        back = (
            (projected * on_hidden).sum(),
            kernel @ on_hidden,
            torch.addmm(on_outer.t() @ residual, hidden.t(), on_logits),
        )
        return back, (on_hidden @ outer.t(), scale * on_hidden, None)

    def params(self, coordinates: Params) -> Params:
        scale, outer, second = coordinates
        return torch.addmm(scale * self.origin, self.rows.t(), outer), second

    def params_reverse(self, coordinates: Params, cotangents: Params) -> tuple[Params, Cotangents]:
        _, outer, _ = coordinates
        on_first, on_second = cotangents
        back = (self.origin * on_first).sum(), self.rows @ on_first, on_second
        return back, (None, None, outer @ on_first.t())

    def pull_back(self, cotangents: Cotangents) -> Cotangents:
        """The cotangent of ``M``: ``(C_K + C_K^T) M + C_P W1_0^T + C_M``."""
        on_kernel, on_projected, on_rows = cotangents
        assert on_kernel is not None
        assert on_projected is not None
        assert on_rows is not None
        direct = torch.addmm(on_rows, on_projected, self.origin.t())
        total = torch.addmm(direct, on_kernel + on_kernel.t(), self.rows)
        return (*[None] * self.before, total)

    def _hidden(self, coordinates: Params) -> Tensor:
        scale, outer, _ = coordinates
        kernel, projected, _ = self.tensors
        return torch.addmm(scale * projected, kernel, outer)
