r"""The inputs of a tower, from tables of users and items, in chunks of pairs of one user.

.. math::
    \text{sum: } x_{ui} = A_u + B_i \qquad
    \text{product: } x_{ui} = W_1^\top (A_u \odot B_i) + b_1
    = (\mathrm{diag}(A_u) W_1)^\top B_i + b_1

For products, every user has its own kernel :math:`\mathrm{diag}(A_u) W_1`. The user's chunks are
multiplied by this kernel, as small matrices. The products :math:`A_u \odot B_i` are not formed, and
rows of A are not gathered for each pair. Given a direction, all tensors are dual, see
:mod:`~graphpoison.training.dual`.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from ..sparse.chunks import Chunks
from .dual import GradAndTangent, kernel_cotangent, split_cotangent, stack_tangent
from .prepared import Params
from .workspace import Workspace


class FirstLayer(ABC):
    """A first layer at given parameters and an optional direction; sums their cotangents.

    Args:
        params: ``(A [U, D], B [I, D], ...)``.
        direction: tangents of ``params``, of the same shapes, or None.
        workspace: memory for the result of :meth:`forward`, valid until the memory is reused.

    Attributes:
        num_params: number of parameters.
    """

    num_params: ClassVar[int]

    @abstractmethod
    def __init__(self, params: Params, direction: Params | None, workspace: Workspace) -> None: ...

    @abstractmethod
    def forward(self, chunks: Chunks) -> Tensor:
        """Inputs of the tower's first activation, one row for each slot."""

    @abstractmethod
    def backward(self, chunks: Chunks, on_inputs: Tensor) -> None:
        """Adds to the gradients, from cotangents of the result of :meth:`forward`."""

    @property
    @abstractmethod
    def parts(self) -> list[GradAndTangent]:
        """Gradients of the parameters, in order; a gradient that was not computed is empty."""


class SumLayer(FirstLayer):
    """``A_u + B_i``; parameters ``(A [U, H], B [I, H])``."""

    num_params = 2

    def __init__(self, params: Params, direction: Params | None, workspace: Workspace) -> None:
        self.dual, self.workspace = direction is not None, workspace
        self.left, self.right = map(stack_tangent, params, direction or (None, None))
        self.on_left, self.on_right = map(torch.zeros_like, (self.left, self.right))

    def forward(self, chunks: Chunks) -> Tensor:
        width = self.left.size(1)
        inputs = self.workspace("inputs", (chunks.num_slots, width), self.left)
        torch.index_select(self.right, 0, chunks.column, out=inputs)
        left = self.left[chunks.rows].index_select(0, chunks.owner)
        inputs.view(*chunks.shape, width).add_(left.unsqueeze(1))
        return inputs

    def backward(self, chunks: Chunks, on_inputs: Tensor) -> None:
        chunks.add_to_columns(self.on_right, on_inputs)
        of_chunks = on_inputs.view(*chunks.shape, on_inputs.size(1)).sum(dim=1)
        self.on_left[chunks.rows] += chunks.sum_by_owner(of_chunks)

    @property
    def parts(self) -> list[GradAndTangent]:
        return [split_cotangent(side, self.dual) for side in (self.on_left, self.on_right)]


class ProductLayer(FirstLayer):
    """``W_1^T (A_u * B_i) + b_1``; parameters ``(A [U, D], B [I, D], W_1 [D, H], b_1 [H])``.

    Given a direction, the gradients of A, B and W_1 are not computed, only their derivatives.
    """

    num_params = 4

    def __init__(self, params: Params, direction: Params | None, workspace: Workspace) -> None:
        self.dual, self.workspace = direction is not None, workspace
        self.left, right, self.kernel, bias = params
        self.moves = direction or (None,) * 4
        self.right, self.bias = (
            stack_tangent(right, self.moves[1]),
            stack_tangent(bias, self.moves[3]),
        )
        self.on_left, self.on_right, self.on_kernel = map(torch.zeros_like, params[:3])
        self.on_bias = torch.zeros_like(self.bias)

    def forward(self, chunks: Chunks) -> Tensor:
        count, slots = chunks.shape
        self.gathered = self.workspace("gathered", (count * slots, self.right.size(1)), self.right)
        torch.index_select(self.right, 0, chunks.column, out=self.gathered)
        self.kernels = self._kernels(chunks)
        inputs = self.workspace("inputs", (count * slots, self.bias.numel()), self.right)
        torch.bmm(
            self.gathered.view(count, slots, -1), self.kernels, out=inputs.view(count, slots, -1)
        )
        return inputs.add_(self.bias)

    def backward(self, chunks: Chunks, on_inputs: Tensor) -> None:
        count, slots = chunks.shape
        on_chunks = on_inputs.view(count, slots, -1)
        dim, width = self.kernel.size(0), on_inputs.size(1)
        on_gathered = self.workspace("on gathered", (count * slots, dim), on_inputs)
        torch.bmm(
            on_chunks,
            self.kernels[:, :dim].transpose(1, 2),
            out=on_gathered.view(count, slots, dim),
        )
        chunks.add_to_columns(self.on_right, on_gathered)
        on_kernels = self.workspace("on kernels", (count, self.right.size(1) * width), on_inputs)
        on_kernels = on_kernels.view(count, -1, width)
        torch.bmm(self.gathered.view(count, slots, -1).transpose(1, 2), on_chunks, out=on_kernels)
        self._add(chunks, on_kernels)
        self.on_bias += on_inputs.sum(dim=0)

    @property
    def parts(self) -> list[GradAndTangent]:
        found = (self.on_left, self.on_right, self.on_kernel)
        if not self.dual:
            return [GradAndTangent(part, None) for part in (*found, self.on_bias)]
        nothing = self.on_bias.new_empty(0)
        return [
            *(GradAndTangent(nothing, part) for part in found),
            split_cotangent(self.on_bias, True),
        ]

    def _kernels(self, chunks: Chunks) -> Tensor:
        """``diag(A_u) W_1`` for the user u of each chunk: [C, D, H], or [C, 2 D, 2 H]."""
        (dim, width), count = self.kernel.shape, chunks.shape[0]
        left, move = self._users(chunks)
        turn, fold = self.moves[2], 2 if self.dual else 1
        flat = self.workspace("kernels", (count, fold * dim * fold * width), left)
        kernels = flat.view(count, fold * dim, fold * width)
        torch.mul(left, self.kernel, out=kernels[:, :dim, :width])
        if move is not None and turn is not None:
            torch.mul(move, self.kernel, out=kernels[:, :dim, width:]).addcmul_(left, turn)
            kernels[:, dim:, :width] = 0.0
            kernels[:, dim:, width:] = kernels[:, :dim, :width]
        return kernels

    def _add(self, chunks: Chunks, on_kernels: Tensor) -> None:
        """Adds to the gradients, from cotangents of the result of :meth:`_kernels`."""
        gradient, derivative = kernel_cotangent(on_kernels, self.dual)
        direct = gradient if derivative is None else derivative
        (left, move), turn = self._users(chunks), self.moves[2]
        on_left = (direct * self.kernel).sum(dim=2)
        self.on_kernel += (direct * left).sum(dim=0)
        if move is not None and turn is not None:
            on_left += (gradient * turn).sum(dim=2)
            self.on_kernel += (gradient * move).sum(dim=0)
        self.on_left[chunks.rows] += chunks.sum_by_owner(on_left)

    def _users(self, chunks: Chunks) -> tuple[Tensor, Tensor | None]:
        """Rows of A and of its direction [C, D, 1] for each chunk."""
        left, move = self.left[chunks.rows], self.moves[0]
        moves = None if move is None else move[chunks.rows].index_select(0, chunks.owner)
        return (
            left.index_select(0, chunks.owner).unsqueeze(2),
            None if moves is None else moves.unsqueeze(2),
        )
