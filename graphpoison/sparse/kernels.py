r"""Backends of spmm (sparse times dense) and sddmm (dense times dense at sparse positions).

=================  ======================================  =====================================
backend            spmm                                    sddmm
=================  ======================================  =====================================
``csr``            torch CSR (MKL, cuSPARSE)               ``sampled_addmm`` (needs MKL or CUDA)
``bag``            ``embedding_bag`` with weights          as ``gather``
``torch-sparse``   ``torch_sparse.matmul``                 as ``gather``
``torch-scatter``  gathered rows, ``segment_csr``          as ``gather``
``gather``         gathered rows, ``index_add``            gathered rows, in blocks
=================  ======================================  =====================================

``auto`` uses ``csr`` on CUDA. On a CPU it uses ``bag`` for spmm and ``csr`` for sddmm; if torch was
built without MKL (Arm, macOS), it uses ``gather`` for sddmm. ``benchmarks/kernels.py`` measures all
backends.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, pad

from .._checks import choice
from .csr import csr_tensor

BACKENDS = ("auto", "csr", "bag", "torch-sparse", "torch-scatter", "gather")
BLOCK = 65_536
"""Entries gathered at a time."""

Multiply = Callable[[Tensor, Tensor, Tensor, int, Tensor], Tensor]


def check_backend(backend: str) -> str:
    """Returns ``backend`` if it is a known name and its package is installed.

    Raises:
        ValueError: the name is unknown, or the package of the backend is not installed.
    """
    choice("backend", backend, BACKENDS)
    if backend in ("torch-sparse", "torch-scatter"):
        try:
            __import__(backend.replace("-", "_"))
        except ImportError as error:
            raise ValueError(
                f"backend={backend!r} needs the package {backend}, which cannot be imported "
                f"({error}); install it with pip install --no-build-isolation {backend}, or "
                "leave backend at 'auto'."
            ) from error
    return backend


def multiply(
    backend: str, pointers: Tensor, indices: Tensor, weight: Tensor, columns: int, dense: Tensor
) -> Tensor:
    """``A @ dense`` [R, D] for the CSR matrix A [R, columns] and ``dense`` [columns, D]."""
    if not indices.numel():
        return dense.new_zeros(pointers.numel() - 1, dense.size(1))
    if backend == "auto":
        backend = _automatic(dense)
    return _MULTIPLY[backend](pointers, indices, weight, columns, dense)


def sample_into(
    values: Tensor,
    backend: str,
    pointers: Tensor,
    row: Tensor,
    indices: Tensor,
    left: Tensor,
    right: Tensor,
    add: bool,
) -> None:
    """Write the dot products of ``left[row]`` and ``right[indices]`` to ``values`` [E].

    If ``add``, they are added to ``values``. ``row`` is sorted, and ``pointers`` are its CSR form.
    """
    if not row.numel():
        return
    fast = left.is_cuda or (left.device.type == "cpu" and torch.backends.mkl.is_available())
    if backend == "csr" or (backend == "auto" and fast):
        _sampled_addmm(values, pointers, indices, left, right, add)
    elif add:
        values.add_(gathered_dots(row, indices, left, right))
    else:
        values.copy_(gathered_dots(row, indices, left, right))


def gathered_dots(row: Tensor, col: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Dot products [E] by plain indexing, a block of entries at a time."""
    blocks = zip(row.split(BLOCK), col.split(BLOCK), strict=True)
    return torch.cat([(left[rows] * right[cols]).sum(dim=1) for rows, cols in blocks])


def _automatic(dense: Tensor) -> str:
    return {"cpu": "bag", "cuda": "csr"}.get(dense.device.type, "gather")


def _csr(pointers: Tensor, indices: Tensor, weight: Tensor, columns: int, dense: Tensor) -> Tensor:
    return csr_tensor(pointers, indices, weight, (pointers.numel() - 1, columns)) @ dense


def _bag(pointers: Tensor, indices: Tensor, weight: Tensor, columns: int, dense: Tensor) -> Tensor:
    return embedding_bag(
        indices,
        dense.contiguous(),
        pointers,
        mode="sum",
        per_sample_weights=weight,
        include_last_offset=True,
    )


def _torch_sparse(
    pointers: Tensor, indices: Tensor, weight: Tensor, columns: int, dense: Tensor
) -> Tensor:
    from torch_sparse import SparseTensor, matmul

    matrix = SparseTensor(
        rowptr=pointers.long(),
        col=indices.long(),
        value=weight,
        sparse_sizes=(pointers.numel() - 1, columns),
        is_sorted=True,
        trust_data=True,
    )
    product: Tensor = matmul(matrix, dense.contiguous(), reduce="sum")
    return product


def _torch_scatter(
    pointers: Tensor, indices: Tensor, weight: Tensor, columns: int, dense: Tensor
) -> Tensor:
    from torch_scatter import segment_csr

    gathered = dense.index_select(0, indices).mul_(weight.unsqueeze(1))
    product: Tensor = segment_csr(gathered, pointers.long(), reduce="sum")
    return product


def _gather(
    pointers: Tensor, indices: Tensor, weight: Tensor, columns: int, dense: Tensor
) -> Tensor:
    row = torch.repeat_interleave(pointers.diff())
    product = dense.new_zeros(pointers.numel() - 1, dense.size(1))
    blocks = zip(row.split(BLOCK), indices.split(BLOCK), weight.split(BLOCK), strict=True)
    for rows, cols, weights in blocks:
        product.index_add_(0, rows, dense.index_select(0, cols).mul_(weights.unsqueeze(1)))
    return product


_MULTIPLY: dict[str, Multiply] = {
    "csr": _csr,
    "bag": _bag,
    "torch-sparse": _torch_sparse,
    "torch-scatter": _torch_scatter,
    "gather": _gather,
}


def _sampled_addmm(
    values: Tensor, pointers: Tensor, indices: Tensor, left: Tensor, right: Tensor, add: bool
) -> None:
    """``torch.sparse.sampled_addmm`` in place, which avoids copies of the indices.

    Its CPU kernel works on vectors of 8 numbers and is up to ten times slower at other widths, so
    columns of zeros are added.
    """
    if left.device.type == "cpu" and left.size(1) % 8:
        extra = (0, -left.size(1) % 8)
        left, right = pad(left, extra), pad(right, extra)
    if not add:
        values.zero_()
    matrix = csr_tensor(pointers, indices, values, (left.size(0), right.size(0)))
    torch.sparse.sampled_addmm(matrix, left, right.t(), out=matrix)
