r"""Two primitives on a fixed sparsity pattern, closed under differentiation.

.. math::
    \text{spmm}(w, Q)_r = \sum_{e = (r, c)} w_e \, Q_c
    \qquad
    \text{sddmm}(P, Q)_e = \langle P_r, Q_c \rangle \;\text{ for } e = (r, c)

The derivatives of each are products of the same two kinds. Second-order quantities (the
Hessian-vector products of a meta-gradient) therefore need only these two products, and never form
an ``[E, D]`` tensor.
"""

import torch
from torch import Tensor

from .kernels import multiply, sample_into
from .low_rank import PairTape
from .pattern import Pattern


def spmm(
    pattern: Pattern,
    weight: Tensor,
    dense: Tensor,
    *,
    transposed: bool = False,
    tape: PairTape | None = None,
) -> Tensor:
    """``A @ dense`` (or ``A.T @ dense``) for the matrix with ``weight`` [E] on ``pattern``.

    Differentiable in ``weight`` and ``dense`` to any order; ``tape`` records the factors of
    the gradient w.r.t. all pairs.
    """
    result: Tensor = _SpMM.apply(weight, dense, pattern, transposed, tape)
    return result


def sddmm(pattern: Pattern, left: Tensor, right: Tensor) -> Tensor:
    """Dot products [E] of ``left`` [R, D] and ``right`` [C, D] at the pattern's entries.

    Differentiable in both to any order.
    """
    result: Tensor = _SDDMM.apply(left, right, pattern)
    return result


class _SpMM(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight, dense, pattern, transposed, tape):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(weight, dense)
        ctx.pattern, ctx.transposed, ctx.tape = pattern, transposed, tape
        return _matmul(pattern, weight, dense, transposed)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        weight, dense = ctx.saved_tensors
        left, right = (dense, grad) if ctx.transposed else (grad, dense)
        grad_weight = grad_dense = None
        if ctx.needs_input_grad[0]:
            if ctx.tape is not None and not torch.is_grad_enabled():
                # The graph refers to the tape: a tensor with its graph would leak memory.
                ctx.tape.record(left.detach(), right.detach())
            grad_weight = sddmm(ctx.pattern, left, right)
        if ctx.needs_input_grad[1]:
            grad_dense = spmm(
                ctx.pattern, weight, grad, transposed=not ctx.transposed, tape=ctx.tape
            )
        return grad_weight, grad_dense, None, None, None


class _SDDMM(torch.autograd.Function):
    @staticmethod
    def forward(ctx, left, right, pattern):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(left, right)
        ctx.pattern = pattern
        return _sampled(pattern, left, right)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        left, right = ctx.saved_tensors
        grad_left = grad_right = None
        if ctx.needs_input_grad[0]:
            grad_left = spmm(ctx.pattern, grad, right)
        if ctx.needs_input_grad[1]:
            grad_right = spmm(ctx.pattern, grad, left, transposed=True)
        return grad_left, grad_right, None


def transpose_values(pattern: Pattern, weight: Tensor, out: Tensor | None = None) -> Tensor:
    """``weight`` [E] in the order of the transposed matrix."""
    return torch.index_select(weight, 0, pattern.transposed[2], out=out)


class Sampler:
    """:func:`sddmm` outside autograd into one buffer, for a pattern that is used many times.

    Args:
        pattern: the positions of the dot products.
        values: Tensor [E], the buffer.
    """

    def __init__(self, pattern: Pattern, values: Tensor) -> None:
        self.pattern = pattern
        self.values = values

    def __call__(self, left: Tensor, right: Tensor, add: bool = False) -> Tensor:
        """Writes the dot products [E] to the buffer, or adds them to it if ``add``.

        Returns the buffer, which the next call overwrites.
        """
        pointers, indices = self.pattern.csr
        sample_into(
            self.values, self.pattern.backend, pointers, self.pattern.row, indices, left, right, add
        )
        return self.values


def product(pattern: Pattern, weight: Tensor, dense: Tensor) -> Tensor:
    """``A @ dense``, outside autograd."""
    return multiply(pattern.backend, *pattern.csr, weight, pattern.shape[1], dense)


def transposed_product(pattern: Pattern, weight: Tensor, dense: Tensor) -> Tensor:
    """``A.T @ dense`` with ``weight`` in the order of :func:`transpose_values`."""
    pointers, indices, _ = pattern.transposed
    return multiply(pattern.backend, pointers, indices, weight, pattern.shape[0], dense)


def both_products(
    pattern: Pattern, weight: Tensor, left: Tensor, right: Tensor
) -> tuple[Tensor, Tensor]:
    """``A @ right`` and ``A.T @ left``, outside autograd."""
    permuted = transpose_values(pattern, weight)
    return product(pattern, weight, right), transposed_product(pattern, permuted, left)


def powers(pattern: Pattern, weight: Tensor, dense: Tensor, count: int) -> list[Tensor]:
    """``A^h @ dense`` of a square matrix for h = 0 to ``count``, outside autograd."""
    found = [dense]
    for _ in range(count):
        found.append(product(pattern, weight, found[-1]))
    return found


def _matmul(pattern: Pattern, weight: Tensor, dense: Tensor, transposed: bool) -> Tensor:
    if transposed:
        return transposed_product(pattern, transpose_values(pattern, weight), dense)
    return product(pattern, weight, dense)


def _sampled(pattern: Pattern, left: Tensor, right: Tensor) -> Tensor:
    return Sampler(pattern, left.new_zeros(pattern.num_entries))(left, right)
