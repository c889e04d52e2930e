"""Implicit gradients against unrolled ones, finite differences and exact linear algebra."""

import logging
from dataclasses import replace

import pytest
import reference
import torch
from conftest import citation_graph, interaction_graph
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch_geometric.nn import SGConv
from torch_geometric.utils import to_dense_adj

import graphpoison as gp
from graphpoison._random import generator
from graphpoison.training.linear_solvers import (
    conjugate_gradient,
    neumann_series,
    relative_residual,
)

CLASSIFIER = {"steps": 1000, "lr": 0.5, "momentum": 0.9, "weight_decay": 0.01}
RECOMMENDER = {"steps": 600, "lr": 4.0, "momentum": 0.9, "weight_decay": 0.005}
EXACT = {"iterations": 2000, "tolerance": 1e-8, "stationary": 1e-7}


class Convex(nn.Module):
    """Logistic regression on propagated features: with weight decay it has but one minimum."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = SGConv(24, 3, K=2)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        return self.conv(x, edge_index, edge_weight)


def node_task(surrogate: object, objective: str = "self") -> gp.NodeClassification:
    return gp.NodeClassification(citation_graph(), surrogate, objective)


def link_task(model: gp.Recommender, **options: object) -> gp.Recommendation:
    return gp.Recommendation(interaction_graph(), model, dtype=torch.float64, **options)


TASKS = {
    "convex": (lambda: node_task(Convex()), {**CLASSIFIER, "steps": 450, "lr": 3.0}),
    "linear-gcn": (lambda: node_task("linear-gcn", "both"), CLASSIFIER),
    "cf": (lambda: link_task(gp.CF(dim=3)), RECOMMENDER),
    "cf, all pairs": (lambda: link_task(gp.CF(dim=3), candidates="all"), RECOMMENDER),
    "cf, held out": (lambda: link_task(gp.CF(dim=3), objective="heldout"), RECOMMENDER),
    "gmf": (lambda: link_task(gp.GMF(dim=3)), {**RECOMMENDER, "steps": 1000, "weight_decay": 0.01}),
    "lightgcn": (lambda: link_task(gp.LightGCN(3, layers=1)), {**RECOMMENDER, "steps": 400}),
}


@pytest.mark.parametrize(
    ("name", "solver"),
    [*((name, "cg") for name in TASKS), *((name, "neumann") for name in ("convex", "cf"))],
)
def test_at_convergence_it_is_the_unrolled_gradient(
    name: str, solver: str, caplog: pytest.LogCaptureFixture
) -> None:
    make, settings = TASKS[name]
    task = make()
    expected = gp.Unrolled()(task, gp.Training(**settings))
    found = gp.Implicit(**EXACT, solver=solver)(task, gp.Training(**settings))
    assert not [record for record in caplog.records if "hypergradient" in record.name]
    assert found.residual is not None
    assert found.residual <= EXACT["tolerance"]
    assert expected.residual is None
    assert found.loss == pytest.approx(expected.loss, rel=1e-9)
    scale = float(expected.values.abs().max())
    assert scale > 1e-4
    torch.testing.assert_close(found.values, expected.values, rtol=1e-5, atol=1e-6 * scale)


STRONG = {"steps": 5, "lr": 0.2, "weight_decay": 1.0}
"""So much decay that the Hessian is positive definite anywhere: convergence is not needed."""


@pytest.mark.parametrize("objective", ["train", "self"])
@pytest.mark.parametrize("surrogate", ["linear-gcn", "relu-gcn", "sgc"])
def test_the_formula_agrees_with_a_dense_hessian(surrogate: str, objective: str) -> None:
    data = citation_graph()
    task = gp.NodeClassification(data, surrogate, objective)
    training = gp.Training(**STRONG)
    found = gp.Implicit(tolerance=1e-12)(task, training)
    labels = task.with_pseudo_labels(training, 0).pseudo_labels
    adjacency = to_dense_adj(data.edge_index, max_num_nodes=14)[0].double()
    w = adjacency[reference.pair_indices(14)].requires_grad_()

    def logits(theta: tuple[Tensor, ...]) -> Tensor:
        A = reference.adjacency_from_weights(w, 14)
        return reference.gcn_logits(surrogate, A, data.x, theta)

    def train_loss(theta: tuple[Tensor, ...]) -> Tensor:
        return cross_entropy(logits(theta)[data.train_mask], data.y[data.train_mask])

    def attack_loss(theta: tuple[Tensor, ...]) -> Tensor:
        if objective == "train":
            return train_loss(theta)
        return cross_entropy(logits(theta)[~data.train_mask], labels)

    expected = reference.implicit_gradient(train_loss, attack_loss, w, found.params, 1.0)
    torch.testing.assert_close(found.values, expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("model", ["cf", "gmf", "lightgcn-1"])
def test_the_formula_agrees_with_a_dense_hessian_of_recommenders(model: str) -> None:
    surrogate = {"cf": gp.CF(3), "gmf": gp.GMF(3), "lightgcn-1": gp.LightGCN(3, layers=1)}[model]
    task = link_task(surrogate)
    found = gp.Implicit(tolerance=1e-12)(task, gp.Training(**STRONG))
    w = task.state.weight.double().requires_grad_()

    def loss(theta: tuple[Tensor, ...]) -> Tensor:
        scores = reference.cf_scores(model, task.state.index, theta, w)
        return reference.soft_bce(scores, w)

    expected = reference.implicit_gradient(loss, loss, w, found.params, 1.0)
    torch.testing.assert_close(found.values, expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", ["convex", "cf"])
def test_finite_differences_of_retraining(name: str) -> None:
    make, settings = TASKS[name]
    task = make()
    training = gp.Training(**settings)
    bound, start = task.with_pseudo_labels(training, 0), task.init(generator(0))

    def loss(place: int, change: float) -> float:
        weight = task.state.weight.double().clone()
        weight[place] += change
        state = replace(task.state, weight=weight)
        params = bound.train(training, state, start)
        return bound.attack_loss(params, bound.prepare(state)).item()

    places = [0, 17, 30]
    expected = [(loss(place, 1e-4) - loss(place, -1e-4)) / 2e-4 for place in places]
    found = gp.Implicit(**EXACT)(task, training).values[places]
    torch.testing.assert_close(found, torch.tensor(expected).double(), rtol=1e-5, atol=1e-7)


def test_the_optimiser_does_not_matter_where_there_is_one_minimum() -> None:
    """Adam and gradient descent end at the same place; so do two starting points."""
    task = node_task(Convex())
    adam = {"steps": 1000, "lr": 0.05, "optimizer": "adam", "weight_decay": 0.01}
    found = [
        gp.Implicit(**EXACT)(task, gp.Training(**TASKS["convex"][1])).values,
        gp.Implicit(**EXACT)(task, gp.Training(**TASKS["convex"][1]), seed=4).values,
        gp.Implicit(**EXACT)(task, gp.Training(**adam)).values,
    ]
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-5, atol=1e-7)


def test_an_attack_by_either_gradient_makes_the_same_flips() -> None:
    task = node_task("linear-gcn")
    settings = {**CLASSIFIER, "steps": 500}
    constraints = [gp.NoSingletons(), gp.Connectivity()]
    unrolled, implicit = (
        gp.MetaAttack(gp.Training(**settings), 2, constraints, hypergradient=way)(task, 6)
        for way in (gp.Unrolled(), gp.Implicit())
    )
    assert torch.equal(unrolled.pairs, implicit.pairs)


def test_single_precision_will_do() -> None:
    single, double = (
        gp.Implicit()(
            gp.NodeClassification(citation_graph(dtype=dtype), Convex()),
            gp.Training(**TASKS["convex"][1]),
        )
        for dtype in (torch.float32, torch.float64)
    )
    assert single.values.dtype == torch.float32
    torch.testing.assert_close(single.values.double(), double.values, rtol=1e-2, atol=1e-4)


def test_what_was_not_reached_is_said(caplog: pytest.LogCaptureFixture) -> None:
    task = node_task("linear-gcn")
    found = gp.Implicit()(task, gp.Training(**{**CLASSIFIER, "steps": 3}))
    assert "training has not converged" in caplog.text
    assert found.residual is not None
    caplog.clear()
    found = gp.Implicit(iterations=1)(task, gp.Training(**CLASSIFIER))
    assert found.residual is not None
    assert found.residual > 1e-5
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"relative residual of {found.residual:.2g}, not 1e-05" in caplog.text


def test_a_loss_without_parameters_in_it_needs_no_system() -> None:
    matrix = torch.eye(4)
    zero = torch.zeros(4)
    for solve in (conjugate_gradient, neumann_series):
        extra = (0.1,) if solve is neumann_series else ()
        solution = solve(lambda vector: matrix @ vector, zero, 5, 1e-6, *extra)
        assert torch.equal(solution, zero)
        assert relative_residual(lambda vector: matrix @ vector, solution, zero) == 0.0


@pytest.mark.parametrize("rank", [12, 7])
def test_solvers_solve(rank: int) -> None:
    """Also a singular system whose right-hand side is in the range of the matrix."""
    draw = torch.Generator().manual_seed(3)
    root = torch.randn(12, rank, generator=draw, dtype=torch.float64)
    matrix = root @ root.t() / 12
    right = matrix @ torch.randn(12, generator=draw, dtype=torch.float64)
    expected = torch.linalg.pinv(matrix) @ right
    products: list[Tensor] = []

    def multiply(vector: Tensor) -> Tensor:
        products.append(vector)
        return matrix @ vector

    step = 1.0 / float(torch.linalg.eigvalsh(matrix)[-1])
    for found in (
        conjugate_gradient(multiply, right, 100, 1e-10),
        neumann_series(multiply, right, 200_000, 1e-10, step),
    ):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)
        assert relative_residual(multiply, found, right) < 1e-9
    products.clear()
    conjugate_gradient(multiply, right, 3, 0.0)
    assert len(products) == 3


def test_conjugate_gradients_stop_at_a_saddle() -> None:
    matrix = torch.diag(torch.tensor([1.0, -2.0]))
    found = conjugate_gradient(lambda vector: matrix @ vector, torch.ones(2), 10, 1e-6)
    assert bool(torch.isfinite(found).all())


def test_a_diverging_series_is_an_error_not_an_answer() -> None:
    settings = {**CLASSIFIER, "lr": 40.0, "momentum": 0.0, "clip": 1e-3, "steps": 20}
    task = node_task("linear-gcn")
    with pytest.raises(FloatingPointError, match="the implicit gradient is not finite"):
        gp.Implicit(solver="neumann", iterations=1500)(task, gp.Training(**settings))


def test_dropout_has_no_end_to_differentiate() -> None:
    task = link_task(gp.CF(dim=3, dropout=0.2))
    with pytest.raises(ValueError, match="draws dropout masks at every step"):
        gp.Implicit()(task, gp.Training(steps=5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "gc"}, "Did you mean 'cg'"),
        ({"iterations": 0}, "iterations must be at least 1"),
        ({"tolerance": -1.0}, "tolerance must lie in"),
        ({"stationary": 2.0}, "stationary must lie in"),
    ],
)
def test_bad_settings_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gp.Implicit(**options)


def test_a_neumann_series_takes_no_step_from_adam() -> None:
    training, series = gp.Training(optimizer="adam"), gp.Implicit(solver="neumann")
    with pytest.raises(ValueError, match="takes lr as its step"):
        gp.MetaAttack(training, hypergradient=series)
    with pytest.raises(ValueError, match="takes lr as its step"):
        series(link_task(gp.CF(dim=3)), training)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        gp.Training(steps=0)
