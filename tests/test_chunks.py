"""Chunks hold every entry once, and sums over them are sums over rows and columns."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphpoison._random import generator
from graphpoison.models import NeuMF
from graphpoison.sparse import Pattern
from graphpoison.sparse.chunks import UNITS, WIDEST, chunked
from graphpoison.sparse.shares import blocks
from graphpoison.training import mlp_pair_loss
from graphpoison.training.mlp_pair_loss import MLPPairLoss


def random_pattern(rows: int, cols: int, count: int, seed: int) -> Pattern:
    codes = torch.randperm(rows * cols, generator=generator(seed))[:count].sort().values
    return Pattern.of(torch.stack([codes // cols, codes % cols]), (rows, cols))


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 12),
    cols=st.integers(1, 40),
    share=st.floats(0.05, 1.0),
    size=st.sampled_from([1, 8, 20, 64, 10_000]),
    seed=st.integers(0, 999),
)
def test_chunks_are_the_pattern(rows: int, cols: int, share: float, size: int, seed: int) -> None:
    count = max(1, int(share * rows * cols))
    pattern = random_pattern(rows, cols, count, seed)
    values = torch.randn(count, 2, generator=generator(seed), dtype=torch.float64)
    on_rows, on_cols = torch.zeros(rows, 2).double(), torch.zeros(cols, 2).double()
    seen = []
    for part in chunked(pattern, size):
        chunks, width = part.shape
        assert UNITS[-1] <= width <= WIDEST
        assert part.num_slots == chunks * width
        entry = part.entry
        owner = part.owner.repeat_interleave(width) + part.rows.start
        assert torch.equal(pattern.col[entry], part.column.long())
        assert torch.equal(pattern.row[entry], owner)  # of empty slots too
        assert torch.equal(entry[part.filled], part.held)
        seen.append(part.held)
        slots = torch.zeros(part.num_slots, 2).double()
        slots[part.filled] = values[part.held]
        on_rows[part.rows] += part.sum_by_owner(slots.view(chunks, width, 2).sum(dim=1))
        noise = slots.clone()
        noise[
            part.entry.new_tensor(sorted(set(range(part.num_slots)) - set(part.filled.tolist())))
        ] = 9
        part.add_to_columns(on_cols, noise)
    assert torch.equal(torch.cat(seen).sort().values, torch.arange(count))
    torch.testing.assert_close(
        on_rows, torch.zeros(rows, 2).double().index_add(0, pattern.row, values)
    )
    torch.testing.assert_close(
        on_cols, torch.zeros(cols, 2).double().index_add(0, pattern.col, values)
    )


def test_long_rows_are_in_wide_chunks() -> None:
    row = torch.cat([torch.zeros(170), torch.ones(31)]).long()
    pattern = Pattern(row, torch.cat([torch.arange(170), torch.arange(31)]), (2, 200))
    parts = chunked(pattern, 10_000)
    assert [part.shape for part in parts] == [(1, 128), (1, 64), (1, 32)]
    assert [part.filled.numel() for part in parts] == [128, 42, 31]
    assert chunked(random_pattern(30, 30, 60, 0), 10_000)[0].shape[1] == 8


@pytest.mark.parametrize("built", [False, True])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_field_and_derivative_in_one_pass_are_those_of_two(
    activation: str, built: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not built:
        monkeypatch.setattr(mlp_pair_loss, "compiled", lambda labels: False)
    model = NeuMF(3, (4, 3), scale=1.0, activation=activation)
    pattern = random_pattern(7, 9, 30, 0)
    labels = torch.rand(30, generator=generator(1), dtype=torch.float64)
    score_params, direction = (
        model.score_params(model.init((7, 9), generator(seed), torch.float64)) for seed in (0, 1)
    )
    (block,) = blocks(pattern)
    point = MLPPairLoss(block, labels, model.scoring, 30).linearise(*score_params)
    gradient, back = point.gradient, [part.clone() for part in point.vjp(direction)[0]]
    both = point.gradient_and_vjp(direction)
    for found, expected in zip((*both[0], *both[1]), (*gradient, *back), strict=True):
        torch.testing.assert_close(found, expected)
