"""Clipped gradients, and training that diverges."""

import pytest
import reference
import torch
from conftest import citation_graph, interaction_graph
from test_hypergradient import RECOMMENDERS, SETTINGS, finite_differences, link_task
from torch import Tensor
from torch_geometric.utils import to_dense_adj

import graphpoison as gp
from graphpoison._random import generator
from graphpoison.hypergradient import unrolled
from graphpoison.training import divergence, run
from graphpoison.training.optimizers import Clipped, GradientDescent, global_norm


def norms(task: gp.Task, training: gp.Training) -> list[float]:
    """The norm of the gradient at each step of a run."""
    start = task.init(generator(0))
    field = task.training_field(task.prepare(task.state), start, linear=False)
    inner, found = training.inner, []
    state = inner.init(start)
    for _ in range(training.steps):
        gradient = field.gradient(start)
        found.append(float(global_norm(gradient)))
        start, state = inner.step(start, gradient, state)
    return found


def median_norm(task: gp.Task, settings: dict[str, float]) -> float:
    """A bound between the norms of some steps and those of others, and equal to none of them."""
    found = sorted(norms(task, gp.Training(**settings)))
    middle = int(settings["steps"]) // 2
    return (found[middle - 1] + found[middle]) / 2


@SETTINGS
@pytest.mark.parametrize("model", RECOMMENDERS)
def test_clipping_agrees_with_dense_autograd(model: str, settings: dict[str, float]) -> None:
    task = link_task(model)
    settings = {**settings, "clip": median_norm(task, settings)}
    over = [norm > settings["clip"] * (1 + 1e-9) for norm in norms(task, gp.Training(**settings))]
    assert any(over)
    start = task.init(generator(0))
    weight = task.state.weight.double()
    expected = reference.recommendation_meta_gradient(
        model, task.state.index, weight, start, **settings
    )
    found = gp.Unrolled()(task, gp.Training(**settings))
    assert found.loss == pytest.approx(expected[0], rel=1e-12)
    torch.testing.assert_close(found.values, expected[1], rtol=1e-8, atol=1e-11)


@SETTINGS
@pytest.mark.parametrize("surrogate", ["linear-gcn", "relu-gcn", "sgc"])
def test_clipping_of_node_classification(surrogate: str, settings: dict[str, float]) -> None:
    """Clipping does not commute with a change of coordinates: the linear GCN trains without."""
    data = citation_graph()
    task = gp.NodeClassification(data, surrogate, "train")
    theta = task.init(generator(0))
    settings = {**settings, "clip": 0.8 * norms(task, gp.Training(**settings))[0]}
    adjacency = to_dense_adj(data.edge_index, max_num_nodes=14)[0].double()
    problem = (surrogate, adjacency, data.x, data.y, data.train_mask)
    loss, expected = reference.node_meta_gradient(*problem, theta, "train", **settings)
    found = gp.Unrolled()(task, gp.Training(**settings))
    assert found.loss == pytest.approx(loss, rel=1e-12)
    torch.testing.assert_close(found.values, expected, rtol=1e-7, atol=1e-12)


def test_finite_differences_with_clipping_and_dropout() -> None:
    model = gp.NeuMF(3, (4,), scale=1.0, activation="tanh", dropout=0.2)
    task = gp.Recommendation(interaction_graph(), model, "heldout", dtype=torch.float64)
    training = gp.Training(steps=6, lr=0.3, momentum=0.5, clip=0.1)
    positions = torch.arange(0, task.state.num_listed, 4)
    expected = finite_differences(task, training, positions)
    found = gp.Unrolled()(task, training).values[positions]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-8)


def test_a_bound_that_is_never_met_changes_nothing() -> None:
    task = link_task("neumf-tanh")
    free, bound = (
        gp.Unrolled()(task, gp.Training(steps=6, lr=0.2, clip=clip)).values for clip in (None, 1e6)
    )
    assert torch.equal(free, bound)


def test_clipping_keeps_the_direction_and_survives_zeros() -> None:
    inner = Clipped(GradientDescent(lr=1.0), 2.0)
    zero, gradient = (torch.zeros(2),), (torch.tensor([3.0, 4.0]),)
    (after,), _ = inner.step(zero, gradient, inner.init(zero))
    torch.testing.assert_close(after, torch.tensor([-1.2, -1.6]))
    _, (on_gradient,), _ = inner.adjoint(zero, zero, inner.init(zero), gradient, inner.init(zero))
    assert torch.equal(on_gradient, -gradient[0])
    with pytest.raises(ValueError, match="clip must lie in"):
        gp.Training(clip=0.0)


DIVERGING = {"steps": 50, "lr": 1e4}
TANH = gp.NeuMF(8, (8,), scale=1.0, activation="tanh")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_training_that_diverges_names_its_step(dtype: torch.dtype) -> None:
    task = gp.Recommendation(interaction_graph(), TANH, dtype=dtype)
    training, start = gp.Training(**DIVERGING), task.init(generator(0))
    step = first_non_finite(task, start)
    assert 1 < step < 50
    message = rf"training diverged at step {step} of 50 \(gradient norm .*\); use a smaller lr"
    with pytest.raises(FloatingPointError, match=message):
        gp.Unrolled()(task, training)
    with pytest.raises(FloatingPointError, match=message):
        task.train(training, task.state, start)


def first_non_finite(task: gp.Recommendation, start: tuple[Tensor, ...]) -> int:
    """The first step after which a run is not finite, by plain autograd and plain descent."""
    prepared = task.prepare(task.state).detached(requires_grad=False)
    for step in range(1, DIVERGING["steps"] + 1):
        leaves = [param.detach().requires_grad_() for param in start]
        grads = torch.autograd.grad(task.train_loss(tuple(leaves), prepared), leaves)
        start = tuple(p.detach() - DIVERGING["lr"] * g for p, g in zip(leaves, grads, strict=True))
        if not all(bool(param.isfinite().all()) for param in start):
            return step
    raise AssertionError("training did not diverge")


def test_clipping_tames_what_diverges() -> None:
    task = gp.Recommendation(interaction_graph(), TANH)
    found = gp.Unrolled()(task, gp.Training(**DIVERGING, clip=1e-5))
    assert bool(found.values.isfinite().all())


def test_a_meta_gradient_that_diverges_on_its_way_back_names_the_step() -> None:
    """Training of a tanh tower never overflows, but its derivative grows from step to step."""
    model = gp.MLP(8, (8,), scale=1.0, activation="tanh")
    training = gp.Training(steps=600, lr=30.0)
    narrow, wide = (
        gp.Recommendation(interaction_graph(), model, dtype=dtype)
        for dtype in (torch.float32, torch.float64)
    )
    found = gp.Unrolled()(wide, training)
    assert found.values.abs().max() > torch.finfo(torch.float32).max
    with pytest.raises(FloatingPointError, match=r"at step \d+ of 600 .*stayed finite"):
        gp.Unrolled()(narrow, training)
    assert all(bool(p.isfinite().all()) for p in trained(narrow, training))


def test_the_first_step_that_is_not_finite_is_named() -> None:
    fine, bad = (torch.ones(2),), (torch.tensor([1.0, torch.inf]),)
    walk = [(4, fine, (None,)), (3, fine, fine), (2, fine, bad), (1, bad, bad)]
    assert "at step 2 of 4" in str(divergence.adjoint_diverged(0.5, walk, 4))
    assert "loss inf" in str(divergence.adjoint_diverged(float("inf"), walk[:2], 4))


def trained(task: gp.Recommendation, training: gp.Training) -> tuple[Tensor, ...]:
    return task.train(training, task.state, task.init(generator(0)))


def test_a_good_run_looks_at_its_end_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look makes a GPU wait: once after training, once after the way back."""
    looks: list[int] = []

    def counted(*groups: tuple[Tensor | None, ...]) -> bool:
        looks.append(len(groups))
        return divergence.finite(*groups)

    for module in (run, unrolled):
        monkeypatch.setattr(module, "finite", counted)
    gp.Unrolled()(link_task("neumf-tanh"), gp.Training(steps=9, lr=0.1))
    assert len(looks) == 2
