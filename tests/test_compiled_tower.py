"""The compiled loop of towers agrees with the tower in torch, to the second derivative."""

import pytest
import torch
from conftest import interaction_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import graphpoison as gp
from graphpoison._random import generator
from graphpoison.sparse import Pattern
from graphpoison.sparse.shares import Block, blocks
from graphpoison.training.chunked_tower import ChunkedTower, PairOutputs
from graphpoison.training.compiled_tower import CompiledTower, library
from graphpoison.training.dual import GradAndTangent
from graphpoison.training.pair_scores import PairScores

pytestmark = pytest.mark.skipif(library() is None, reason="no compiler built the loop")
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-11}
"""Of the largest entry."""


def whole(pattern: Pattern) -> Block:
    """All pairs in one part."""
    (block,) = blocks(pattern, single=True)
    return block


def problem(
    scoring: PairScores,
    shape: tuple[int, int],
    widths: tuple[int, ...],
    share: float,
    seed: int,
    dtype: torch.dtype,
) -> tuple[Pattern, Tensor, tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Pairs, labels, parameters without those of the dot product, and a direction."""
    draw = generator(seed)
    pairs = (torch.rand(shape, generator=draw) < share).nonzero().t()
    pattern = Pattern.of(pairs, shape)
    labels = torch.rand(pattern.num_entries, generator=draw).round().to(dtype)
    shapes: list[tuple[int, ...]] = [(nodes, widths[0]) for nodes in shape]
    for inputs, outputs in zip(widths, [*widths[1:], 1], strict=True):
        shapes += [(inputs, outputs), (outputs,)]
    drawn = [torch.randn(2, *each, generator=draw, dtype=torch.float64) for each in shapes]
    params, direction = (tuple(both[n].to(dtype) for both in drawn) for n in (0, 1))
    return pattern, labels, params, direction


def both(
    scoring: PairScores,
    pattern: Pattern,
    labels: Tensor,
    params: tuple[Tensor, ...],
    direction: tuple[Tensor, ...] | None,
) -> list[tuple[Tensor, PairOutputs, list[GradAndTangent]]]:
    """Scores, outputs and gradients of the loop and of torch."""
    dots = torch.randn(2, labels.numel(), generator=generator(9)).to(labels.dtype)
    found = []
    for kind in (CompiledTower, ChunkedTower):
        tower = kind(whole(pattern), labels, scoring, labels.numel())
        outputs = PairOutputs(*torch.zeros(3, labels.numel(), dtype=labels.dtype))
        parts = tower.parts(tuple(dots), params, direction, outputs)
        found.append((tower.scores((dots[0],), params), outputs, parts))
    return found


def close(found: Tensor, expected: Tensor) -> None:
    largest = float(expected.abs().max()) if expected.numel() else 0.0
    torch.testing.assert_close(
        found, expected, rtol=0.0, atol=TOLERANCE[expected.dtype] * largest + 1e-30
    )


@settings(deadline=None, max_examples=60)
@given(
    scoring=st.builds(
        PairScores,
        dot=st.just(True),
        tower=st.sampled_from(["product", "sum"]),
        activation=st.sampled_from(["relu", "tanh", "sigmoid"]),
    ),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 150)),
    widths=st.lists(st.integers(1, 20), min_size=2, max_size=4),
    share=st.sampled_from([0.05, 0.5, 1.0]),
    seed=st.integers(0, 10_000),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    threads=st.integers(1, 4),
    dual=st.booleans(),
)
def test_the_loop_agrees_with_torch(
    scoring: PairScores,
    shape: tuple[int, int],
    widths: list[int],
    share: float,
    seed: int,
    dtype: torch.dtype,
    threads: int,
    dual: bool,
) -> None:
    pattern, labels, params, direction = problem(scoring, shape, tuple(widths), share, seed, dtype)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        built, plain = both(scoring, pattern, labels, params, direction if dual else None)
    finally:
        torch.set_num_threads(before)
    close(built[0], plain[0])
    for found, expected in zip(built[1], plain[1], strict=True):
        close(found, expected)
    for mine, other in zip(built[2], plain[2], strict=True):
        if other.gradient.numel():  # torch leaves some out along a direction
            close(mine.gradient, other.gradient)
        if other.derivative is not None:
            assert mine.derivative is not None
            close(mine.derivative, other.derivative)


def test_gradients_along_a_direction_are_those_without() -> None:
    scoring = PairScores(tower="product")
    pattern, labels, params, direction = problem(scoring, (7, 90), (5, 3), 0.7, 0, torch.float64)
    tower = CompiledTower(whole(pattern), labels, scoring, labels.numel())
    outputs = PairOutputs(None, None, torch.zeros_like(labels))
    alone = tower.parts((), params, None, outputs)
    along = tower.parts((), params, direction, outputs)
    for one, other in zip(alone, along, strict=True):
        torch.testing.assert_close(one.gradient, other.gradient)


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_nan_is_not_lost_in_an_activation(activation: str) -> None:
    scoring = PairScores(tower="sum", activation=activation)
    pattern, labels, params, _ = problem(scoring, (2, 3), (2, 2), 1.0, 0, torch.float32)
    params[0][0, 0] = torch.nan
    scores = CompiledTower(whole(pattern), labels, scoring, labels.numel()).scores((), params)
    assert scores[:3].isnan().all()
    assert scores[3:].isfinite().all()


def test_parameters_may_lie_anywhere_in_memory() -> None:
    scoring = PairScores(tower="sum")
    pattern, labels, params, _ = problem(scoring, (5, 6), (16, 16), 0.5, 0, torch.float32)
    tower = CompiledTower(whole(pattern), labels, scoring, labels.numel())
    moved = tuple(
        torch.frombuffer(bytearray(4) + param.numpy().tobytes(), dtype=param.dtype)[1:]
        for param in params
    )
    moved = tuple(part.view(param.shape) for part, param in zip(moved, params, strict=True))
    torch.testing.assert_close(tower.scores((), moved), tower.scores((), params))


def test_an_attack_makes_the_same_flips(monkeypatch: pytest.MonkeyPatch) -> None:
    data = interaction_graph()
    task = gp.Recommendation(data, gp.GMF(8, (6, 3)), dtype=torch.float64)
    attack = gp.MetaAttack(gp.Training(10, 0.1, optimizer="adam"))
    flips = attack(task, 5).pairs
    monkeypatch.setattr("graphpoison.training.mlp_pair_loss.compiled", lambda labels: False)
    assert torch.equal(attack(task, 5).pairs, flips)
