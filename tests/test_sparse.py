"""The two primitives, against dense algebra, to second order."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from graphpoison.graphs.features import Features
from graphpoison.sparse.kernels import BACKENDS, check_backend
from graphpoison.sparse.low_rank import PairTape
from graphpoison.sparse.pattern import Pattern
from graphpoison.sparse.products import sddmm, spmm


def random_pattern(rows: int, cols: int, count: int, seed: int = 0) -> Pattern:
    draw = torch.Generator().manual_seed(seed)
    codes = torch.randperm(rows * cols, generator=draw)[:count].sort().values
    return Pattern(codes // cols, codes % cols, (rows, cols))


def matrix(pattern: Pattern, weight: torch.Tensor) -> torch.Tensor:
    dense = weight.new_zeros(pattern.shape)
    return dense.index_put((pattern.row, pattern.col), weight)


@given(
    rows=st.integers(1, 7),
    cols=st.integers(1, 7),
    width=st.integers(1, 4),
    share=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_they_agree_with_dense_algebra(
    rows: int, cols: int, width: int, share: float, seed: int
) -> None:
    pattern = random_pattern(rows, cols, round(share * rows * cols), seed)
    draw = torch.Generator().manual_seed(seed)
    weight = torch.randn(pattern.num_entries, generator=draw, dtype=torch.float64)
    left = torch.randn(rows, width, generator=draw, dtype=torch.float64)
    right = torch.randn(cols, width, generator=draw, dtype=torch.float64)
    dense = matrix(pattern, weight)
    torch.testing.assert_close(spmm(pattern, weight, right), dense @ right)
    torch.testing.assert_close(spmm(pattern, weight, left, transposed=True), dense.t() @ left)
    expected = (left @ right.t())[pattern.row, pattern.col]
    torch.testing.assert_close(sddmm(pattern, left, right), expected)


def installed(backend: str) -> bool:
    try:
        check_backend(backend)
    except ValueError:
        return False
    return True


EACH_BACKEND = pytest.mark.parametrize(
    "backend",
    [
        pytest.param(name, marks=pytest.mark.skipif(not installed(name), reason="not installed"))
        for name in BACKENDS
        if name != "csr" or torch.backends.mkl.is_available()
    ],
)


@EACH_BACKEND
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [0, 1, 200])
def test_backends_agree_to_second_order(backend: str, dtype: torch.dtype, count: int) -> None:
    """The log loss of sparse scores, its gradient, and a Hessian-vector product."""
    found = []
    for name in (backend, "gather"):
        pattern = replace(random_pattern(30, 20, count), backend=name)
        draw = torch.Generator().manual_seed(1)
        left, right, weight = (
            torch.randn(*shape, generator=draw, dtype=dtype).requires_grad_()
            for shape in [(30, 5), (20, 5), (count,)]
        )
        scores = sddmm(pattern, left, right)
        mixed = spmm(pattern, weight * scores.sigmoid(), right)
        back = spmm(pattern, weight, left, transposed=True)
        loss = (mixed * left).sum() + (back * right).tanh().sum()
        leaves = (left, right, weight)
        first = torch.autograd.grad(loss, leaves, create_graph=True)
        second = torch.autograd.grad(sum(part.square().sum() for part in first), leaves)
        found.append([loss, *first, *second])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4 if dtype == torch.float32 else 1e-9,
                                   atol=1e-5 if dtype == torch.float32 else 1e-12)  # fmt: skip


def test_a_backend_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="backend"):
        check_backend("torch_spares")
    if not installed("torch-sparse"):
        with pytest.raises(ValueError, match="torch-sparse"):
            check_backend("torch-sparse")


@pytest.mark.parametrize("transposed", [False, True])
def test_spmm_is_differentiable_twice(transposed: bool) -> None:
    pattern = random_pattern(4, 5, 9)
    weight = torch.randn(9, dtype=torch.float64, requires_grad=True)
    dense = torch.randn(4 if transposed else 5, 3, dtype=torch.float64, requires_grad=True)

    def function(weight: torch.Tensor, dense: torch.Tensor) -> torch.Tensor:
        return spmm(pattern, weight, dense, transposed=transposed)

    assert gradcheck(function, (weight, dense))
    assert gradgradcheck(function, (weight, dense))


def test_sddmm_is_differentiable_twice() -> None:
    pattern = random_pattern(4, 5, 9)
    left = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    right = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda a, b: sddmm(pattern, a, b), (left, right))
    assert gradgradcheck(lambda a, b: sddmm(pattern, a, b), (left, right))


@pytest.mark.parametrize("transposed", [False, True])
def test_the_tape_holds_the_gradient_of_every_entry(transposed: bool) -> None:
    pattern = random_pattern(4, 5, 9)
    weight = torch.randn(9, dtype=torch.float64, requires_grad=True)
    dense = torch.randn(4 if transposed else 5, 3, dtype=torch.float64)
    probe = torch.randn(5 if transposed else 4, 3, dtype=torch.float64)
    tape = PairTape()
    product = spmm(pattern, weight, dense, transposed=transposed, tape=tape)
    (product * probe).sum().backward()
    full = matrix(pattern, weight.detach()).requires_grad_()
    ((full.t() if transposed else full) @ dense * probe).sum().backward()
    (factors,) = tape
    torch.testing.assert_close(factors[0] @ factors[1].t(), full.grad)


def test_the_tape_ignores_passes_that_build_a_graph() -> None:
    pattern = random_pattern(4, 5, 9)
    weight = torch.randn(9, requires_grad=True)
    dense = torch.randn(5, 3, requires_grad=True)
    tape = PairTape()
    loss = spmm(pattern, weight, dense, tape=tape).square().sum()
    torch.autograd.grad(loss, dense, create_graph=True)
    assert not tape


@pytest.mark.parametrize("share", [0.02, 0.6])
def test_features_multiply_alike_sparse_or_dense(share: float) -> None:
    x = (torch.rand(40, 30) < share).double()
    narrow, tall = torch.randn(30, 2).double(), torch.randn(40, 2).double()
    torch.testing.assert_close(Features(x).matmul(narrow), x @ narrow)
    torch.testing.assert_close(Features(x).transposed_matmul(tall), x.t() @ tall)
