"""Surrogates in closed form: their scores against loops, their gradients against finite
differences and against differentiation through the iterations."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import graphpoison as gp
from graphpoison._random import generator
from graphpoison.models import WMF
from graphpoison.training.weighted_als import alternate

EXACT = WMF(dim=3, l2=3.0, alpha=3.0, sweeps=400, iterations=500, tolerance=1e-12)


def interactions(users: int = 12, items: int = 9) -> Tensor:
    return (torch.rand(users, items, generator=generator(5)) < 0.3).double()


def dense(graph: gp.Interactions) -> Tensor:
    matrix = torch.zeros(graph.shape, dtype=torch.float64)
    matrix[tuple(graph.edge_index)] = 1
    return matrix


def test_ease_solves_its_constrained_regression() -> None:
    """Each column minimises ridge regression on all other columns: solved one by one."""
    matrix, l2 = interactions(), 2.0
    weights = gp.EASE(l2).item_weights(matrix)
    for item in range(matrix.size(1)):
        others = [j for j in range(matrix.size(1)) if j != item]
        rest = matrix[:, others]
        system = rest.t() @ rest + l2 * torch.eye(len(others), dtype=torch.float64)
        column = torch.linalg.solve(system, rest.t() @ matrix[:, item])
        torch.testing.assert_close(weights[others, item], column)
        assert float(weights[item, item]) == 0


def test_wmf_ends_at_a_minimum_of_its_loss() -> None:
    matrix = interactions()
    start = EXACT.init((12, 9), generator(0), torch.float64)[0]
    factors = [part.requires_grad_() for part in alternate(matrix, start, 3.0, 3.0, 400)]
    weight = 1 + 3.0 * matrix
    loss = 0.5 * (weight * (matrix - factors[0] @ factors[1].t()) ** 2).sum()
    loss = loss + 1.5 * sum((part**2).sum() for part in factors)
    for gradient in torch.autograd.grad(loss, factors):
        assert float(gradient.abs().max()) < 1e-9


def test_the_gradient_of_wmf_is_that_through_its_iterations() -> None:
    matrix = interactions().requires_grad_()
    start = EXACT.init((12, 9), generator(0), torch.float64)
    probe = torch.rand(12, 9, generator=generator(8), dtype=torch.float64)
    (implicit,) = torch.autograd.grad((EXACT.trained_scores(matrix, start) * probe).sum(), matrix)
    users, items = alternate(matrix, start[0], 3.0, 3.0, 300)
    (unrolled,) = torch.autograd.grad((users @ items.t() * probe).sum(), matrix)
    torch.testing.assert_close(implicit, unrolled, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("model", [gp.EASE(2.0), EXACT], ids=["ease", "wmf"])
@pytest.mark.parametrize("loss", ["softmax-mass", "margin", "ndcg"])
def test_meta_gradients_equal_finite_differences(model: Any, loss: Any, toy: Any) -> None:
    objective = gp.Degrade(loss=loss, k=3, temperature=0.2)
    task = gp.Recommendation(toy, model, objective, dtype=torch.float64)
    found = gp.ClosedForm()(task, gp.Training()).values.view(task.state.shape)
    start = task.init(generator(0))
    hidden = set(map(tuple, task.targets.hidden.t().tolist())) if task.targets else set()
    for place in (0, 7, 23):
        user, item = task.state.index[:, place].tolist()
        values = []
        for change in (1e-4, -1e-4):
            weight = task.state.weight.double()
            weight[place] += change
            state = replace(task.state, weight=weight)
            values.append(task.attack_loss(start, task.prepare(state)).item())
        slope = (values[0] - values[1]) / 2e-4
        assert float(found[user, item]) == pytest.approx(slope, rel=1e-4, abs=1e-8)
        if (user, item) in hidden:
            assert slope == 0


def test_gradients_of_pairs_that_are_not_there_equal_finite_differences(toy: Any) -> None:
    task = gp.Recommendation(toy, gp.EASE(2.0), gp.Promote([3], k=3), dtype=torch.float64)
    found = gp.ClosedForm()(task, gp.Training()).values.view(task.state.shape)
    matrix = dense(task.graph)
    user, item = (matrix == 0).nonzero()[5].tolist()
    values = []
    for change in (1e-5, -1e-5):
        moved = matrix.clone()
        moved[user, item] += change
        scores = gp.EASE(2.0).trained_scores(moved, ())
        assert task.targets is not None
        values.append(float(task.objective.value(scores, task.targets)))  # type: ignore[union-attr]
    assert float(found[user, item]) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5)


def test_every_hypergradient_differentiates_a_closed_form(toy: Any) -> None:
    task = gp.Recommendation(toy, gp.EASE(2.0))
    found = [way(task, gp.Training()).values for way in (gp.ClosedForm(), gp.Unrolled())]
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)
    with pytest.raises(ValueError, match="trained in steps"):
        gp.ClosedForm()(gp.Recommendation(toy, "cf"), gp.Training())


def test_unseen_interactions_are_no_candidates(toy: Any) -> None:
    task = gp.Recommendation(toy)
    assert isinstance(task.surrogate, gp.EASE)
    unseen = gp.read_graph(toy).unseen
    assert unseen is not None
    assert task.state.candidate_mask is not None
    assert not task.state.candidate_mask[tuple(unseen)].any()
    everything = gp.RandomAttack()(task, budget=task.state.num_pairs - task.state.num_edges)
    added = set(map(tuple, everything.added.t().tolist()))
    assert not added & set(map(tuple, unseen.t().tolist()))


def test_float32_agrees_with_float64(toy: Any) -> None:
    found = [
        gp.ClosedForm()(gp.Recommendation(toy, gp.EASE(2.0), dtype=dtype), gp.Training()).values
        for dtype in (torch.float32, torch.float64)
    ]
    assert found[0].dtype == torch.float32
    torch.testing.assert_close(found[0].double(), found[1], rtol=1e-3, atol=1e-5)


@pytest.fixture
def toy() -> Any:
    return gp.datasets.load(
        "synthetic-interactions", num_users=14, num_items=12, num_interactions=90
    )
