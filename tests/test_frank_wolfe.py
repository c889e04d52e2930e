"""Frank-Wolfe on a concave quadratic over the simplex, whose maximum is known."""

import pytest
import torch
from torch import Tensor

from graphpoison.attacks.frank_wolfe import frank_wolfe

WEIGHT = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)


def quadratic(point: Tensor, number: int) -> tuple[float, Tensor]:
    return -float((point - WEIGHT).square().sum()), -2 * (point - WEIGHT)


def corner(direction: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(direction.argmax(), direction.numel()).double()


@pytest.mark.parametrize("delay", [2, 8])
def test_the_maximum_over_a_simplex_is_found(delay: int) -> None:
    start = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    point, mean, first = frank_wolfe(start, quadratic, corner, 2000, 0.0, delay)
    torch.testing.assert_close(point, WEIGHT, atol=5e-3, rtol=0)
    assert first == pytest.approx(quadratic(start, 0)[0])
    assert mean.norm() == pytest.approx(1.0)


def test_a_delay_of_two_forgets_the_start_and_a_larger_one_does_not() -> None:
    start = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    forgotten, _, _ = frank_wolfe(start, quadratic, corner, 1, 0.0, 2)
    kept, _, _ = frank_wolfe(start, quadratic, corner, 1, 0.0, 8)
    assert forgotten.tolist() == [0.0, 1.0, 0.0]
    assert kept.tolist() == [0.0, 0.25, 0.75]


def test_momentum_averages_the_directions() -> None:
    seen: list[Tensor] = []

    def gain(point: Tensor, number: int) -> tuple[float, Tensor]:
        return 0.0, torch.tensor([[3.0, 0.0], [0.0, 5.0]], dtype=torch.float64)[number]

    def vertex(direction: Tensor) -> Tensor:
        seen.append(direction)
        return direction

    frank_wolfe(torch.zeros(2, dtype=torch.float64), gain, vertex, 2, 0.75, 2)
    assert [one.tolist() for one in seen] == [[1.0, 0.0], [0.75, 0.25]]


def test_a_gradient_of_zero_is_no_direction() -> None:
    point, mean, _ = frank_wolfe(
        torch.ones(2), lambda point, number: (0.0, torch.zeros(2)), torch.zeros_like, 3, 0.5, 8
    )
    assert mean.tolist() == [0.0, 0.0]
    assert bool(torch.isfinite(point).all())
