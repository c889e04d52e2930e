"""The search of all pairs agrees with a dense search, and leaves most pairs unseen."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from graphpoison.sparse import FactoredGradient, Matrix, SparseFactor, factored, search
from graphpoison.sparse.sparse_product import SparseProduct, SparseRows


def symmetric(size: int, rank: int, draw: torch.Generator, sparse: bool) -> FactoredGradient:
    """Heavy-tailed factors, as gradients have; a residual term of a few rows."""
    scale = torch.rand(size, 1, generator=draw, dtype=torch.float64) ** 4
    left, right = (
        scale * torch.randn(size, rank, generator=draw, dtype=torch.float64) for _ in range(2)
    )
    term = None
    if sparse:
        wide = torch.randn(size, 3, generator=draw, dtype=torch.float64)
        rows = torch.randperm(size, generator=draw)[:3]
        weight = torch.rand(size, generator=draw, dtype=torch.float64)
        term = SparseProduct.of([SparseFactor.of_rows(wide, rows)], weight)
    return FactoredGradient.symmetric(left, right, left.sum(dim=1), term)


def rectangular(size: int, rank: int, draw: torch.Generator, sparse: bool) -> FactoredGradient:
    left = torch.randn(size, rank, generator=draw, dtype=torch.float64) ** 3
    right = torch.randn(size + 7, rank, generator=draw, dtype=torch.float64) ** 3
    term = None
    if sparse:
        wide = torch.randn(size + 7, 2, generator=draw, dtype=torch.float64)
        term = SparseRows.of([SparseFactor.of_rows(wide, torch.tensor([1, 3]))], size)
    return FactoredGradient(left, right, upper=False, residual_term=term)


def best_of_dense(
    gradient: FactoredGradient, k: int, excluded: Tensor, allowed: Tensor
) -> tuple[Tensor, Tensor]:
    """Values and codes of the best, all entries sorted; the first of equal ones."""
    rows, cols = gradient.shape
    values = gradient.left @ gradient.right.t()
    if gradient.residual_term is not None:
        everything = torch.cartesian_prod(torch.arange(rows), torch.arange(cols)).t()
        values += gradient.residual_term.at(everything).view(rows, cols)
    open_ = allowed.clone().view(-1)
    open_[excluded] = False
    if gradient.upper:
        open_ &= torch.ones(rows, cols, dtype=torch.bool).triu(1).view(-1)
    codes = open_.nonzero().squeeze(1)
    values, order = values.view(-1)[codes].sort(descending=True, stable=True)
    return values[:k], codes[order][:k]


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    size=st.integers(5, 60),
    rank=st.integers(0, 5),
    k=st.integers(1, 300),
    sparse=st.booleans(),
    upper=st.booleans(),
    refused=st.sampled_from([0.0, 0.5, 0.99]),
    height=st.integers(1, 16),
)
def test_the_search_finds_the_best_pairs(
    seed: int,
    size: int,
    rank: int,
    k: int,
    sparse: bool,
    upper: bool,
    refused: float,
    height: int,
) -> None:
    draw = torch.Generator().manual_seed(seed)
    gradient = (symmetric if upper else rectangular)(size, rank, draw, sparse)
    rows, cols = gradient.shape
    allowed = torch.rand(rows, cols, generator=draw) >= refused
    excluded = (torch.rand(rows * cols, generator=draw) < 0.1).nonzero().squeeze(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "FIRST_ROWS", height)
        patch.setattr(search, "ENTRIES", 64)
        patch.setattr(search, "ASKED", 3)
        values, pairs = gradient.topk(k, excluded, lambda row, col: allowed[row, col])
    expected, codes = best_of_dense(gradient, k, excluded, allowed)
    torch.testing.assert_close(values, expected, rtol=1e-9, atol=1e-12)
    found = pairs[0] * cols + pairs[1]
    assert found.unique().numel() == found.numel()
    assert not torch.isin(found, excluded).any()
    assert allowed.view(-1)[found].all()
    if expected.numel() < 2 or float((expected[:-1] - expected[1:]).min()) > 1e-9:
        assert torch.equal(found, codes)


def test_of_equal_values_the_first_pair_comes_first() -> None:
    gradient = FactoredGradient(torch.ones(50, 2), torch.ones(40, 2), upper=False)
    values, pairs = gradient.topk(45, torch.tensor([0, 2]))
    assert values.eq(2.0).all()
    assert (pairs[0] * 40 + pairs[1]).tolist() == [1, *range(3, 47)]


def test_a_gradient_of_zeros_has_pairs() -> None:
    gradient = FactoredGradient.symmetric(torch.zeros(30, 2), torch.zeros(30, 2), torch.zeros(30))
    values, pairs = gradient.topk(3, torch.tensor([1]))
    assert values.eq(0.0).all()
    assert pairs.tolist() == [[0, 0, 0], [2, 3, 4]]


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e15])
def test_bounds_hold_and_are_tight(scale: float) -> None:
    draw = torch.Generator().manual_seed(0)
    columns = torch.tensor([1e-6, 1.0, 1e3, 1.0, 1e-2, 1.0])
    left = torch.randn(400, 6, generator=draw) * columns
    right = torch.randn(300, 6, generator=draw) / columns * scale
    gradient = FactoredGradient(left, right, upper=False)
    bounds, values = search.Bounds.of(gradient), left.double() @ right.double().t()
    assert (values.abs() <= bounds.a.unsqueeze(1) * bounds.b).all()
    loose = left.double().norm(dim=1).unsqueeze(1) * right.double().norm(dim=1)
    assert (bounds.a.unsqueeze(1) * bounds.b).mean() < 1e-3 * loose.mean()


def test_bounds_leave_most_pairs_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a graph whose gradient is known: the best pair, and few entries computed for it."""
    draw = torch.Generator().manual_seed(0)
    gradient = symmetric(2_000, 4, draw, sparse=True)
    seen = []
    block = FactoredGradient.block
    monkeypatch.setattr(
        FactoredGradient,
        "block",
        lambda self, rows, cols: (
            seen.append(rows.numel() * cols.numel()),
            block(self, rows, cols),
        )[1],
    )
    values, _ = gradient.topk(1, torch.empty(0, dtype=torch.long))
    assert sum(seen) < 0.15 * 2_000 * 1_999 / 2
    monkeypatch.undo()
    torch.testing.assert_close(values, gradient.dense().topk(1).values)


@pytest.mark.parametrize("entries", [1, 50, 2**20])
def test_values_are_picked_from_tiles(monkeypatch: pytest.MonkeyPatch, entries: int) -> None:
    monkeypatch.setattr(factored, "TILE_ENTRIES", entries)
    gradient = symmetric(23, 3, torch.Generator().manual_seed(0), sparse=True)
    pairs = torch.triu_indices(23, 23, offset=1)
    order = torch.randperm(pairs.size(1), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(gradient.at(pairs[:, order]), gradient.dense()[order])
    torch.testing.assert_close(gradient.at(pairs[:, order[:2]]), gradient.dense()[order[:2]])


def test_infinite_factors_are_searched_too() -> None:
    left = torch.ones(20, 2)
    left[3] = torch.inf
    values, pairs = FactoredGradient(left, torch.ones(9, 2), upper=False).topk(
        1, torch.empty(0, dtype=torch.long)
    )
    assert float(values) == torch.inf
    assert pairs.tolist() == [[3], [0]]


def test_a_factor_of_zeros_beside_a_residual_hides_nothing() -> None:
    draw = torch.Generator().manual_seed(0)
    values = torch.randn(300, 200, generator=draw)
    for left, right in ((1.0, 0.0), (0.0, 1.0)):
        factors = torch.randn(300, 8, generator=draw) * left, torch.randn(200, 8) * right
        gradient = FactoredGradient(*factors, False, Matrix(values))
        found, _ = gradient.topk(5, torch.empty(0, dtype=torch.long))
        torch.testing.assert_close(found, values.flatten().topk(5).values)


def test_bounds_of_negative_values_are_raised_too() -> None:
    values = torch.full((97, 2), -1.0)
    values[:, 1] = -2.0
    values[0, 1], values[96, 0] = -1.000008, -1.000004
    found, _ = FactoredGradient.of_matrix(values).topk(97, torch.empty(0, dtype=torch.long))
    torch.testing.assert_close(found, values.flatten().topk(97).values, rtol=0.0, atol=0.0)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0)])
def test_a_matrix_without_entries_has_no_best(shape: tuple[int, int]) -> None:
    gradient = FactoredGradient(torch.ones(shape[0], 2), torch.ones(shape[1], 2), upper=False)
    values, pairs = gradient.topk(3, torch.empty(0, dtype=torch.long))
    assert values.numel() == 0
    assert pairs.shape == (2, 0)
