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
from .training import Cotangents, Linearisation, Training


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
        return self.linearise(coordinates).gradient

    def linearise(self, coordinates: Params) -> "GramPoint":
        scale, outer, second = coordinates
        kernel, projected, _ = self.tensors
        hidden = torch.addmm(scale * projected, kernel, outer)
        return GramPoint(self, coordinates, hidden, torch.softmax(hidden @ second, dim=1))

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


class GramPoint(Linearisation):
    """The field where ``M W1`` is ``hidden`` [L, H] and the softmax is ``probability`` [L, C]."""

    def __init__(
        self, training: GramTraining, coordinates: Params, hidden: Tensor, probability: Tensor
    ) -> None:
        self.training, self.coordinates = training, coordinates
        self.hidden, self.probability = hidden, probability
        self.residual = (probability - training.target).div_(hidden.size(0))

    @property
    def gradient(self) -> Params:
        second = self.coordinates[2]
        zero = self.hidden.new_zeros(())
        return zero, self.residual @ second.t(), self.hidden.t() @ self.residual

    def reverse(self, cotangents: Params) -> tuple[Params, Cotangents]:
        scale, outer, second = self.coordinates
        kernel, projected, _ = self.training.tensors
        _, on_outer, on_second = cotangents
        on_residual = torch.addmm(on_outer @ second, self.hidden, on_second)
        weighted = self.probability * on_residual
        on_logits = weighted.addcmul_(
            self.probability, weighted.sum(dim=1, keepdim=True), value=-1.0
        ).div_(self.hidden.size(0))
        on_hidden = torch.addmm(self.residual @ on_second.t(), on_logits, second.t())
        back = (
            (projected * on_hidden).sum(),
            kernel @ on_hidden,
            torch.addmm(on_outer.t() @ self.residual, self.hidden.t(), on_logits),
        )
        return back, (on_hidden @ outer.t(), scale * on_hidden, None)
