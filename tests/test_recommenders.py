"""LightGCN: PyG's scores, and nodes without interactions."""

import pytest
import reference
import torch
from conftest import interaction_graph
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.nn.models import LightGCN

import graphpoison as gp
from graphpoison._random import generator

OPTIMISERS = [
    {"steps": 6, "lr": 0.2},
    {"steps": 6, "lr": 0.1, "momentum": 0.9, "weight_decay": 1e-2},
    {"steps": 6, "lr": 0.05, "optimizer": "adam", "weight_decay": 1e-3},
]
SETTINGS = pytest.mark.parametrize("settings", OPTIMISERS, ids=["sgd", "momentum", "adam"])


def isolated_ends() -> HeteroData:
    """User 7 and item 9, which no interaction has, with negatives of their own."""
    data = interaction_graph()
    data["user"].num_nodes, data["item"].num_nodes = 8, 10
    store = data["user", "rates", "item"]
    extra = torch.tensor([[7, 7, 7, 0, 1], [0, 3, 9, 9, 9]])
    store.neg_edge_index = torch.cat([store.neg_edge_index, extra], dim=1)
    return data


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("weights", ["edges", "fractions"])
def test_lightgcn_scores_as_pyg_does(layers: int, weights: str) -> None:
    model = gp.LightGCN(4, layers)
    task = gp.Recommendation(isolated_ends(), model, dtype=torch.float64)
    users, items = task.init(generator(0))
    pairs, weight = task.state.index, task.state.weight.double()
    if weights == "fractions":
        weight = torch.rand(len(weight), generator=generator(1), dtype=torch.float64)
    alpha = torch.full((layers + 1,), 1 / (layers + 1), dtype=torch.float64)
    theirs = LightGCN(18, 4, layers, alpha).double()
    theirs.embedding.weight.data = torch.cat([users, items])
    nodes = pairs + torch.tensor([[0], [8]])
    expected = theirs(torch.cat([nodes, nodes.flip(0)], dim=1), nodes, weight.repeat(2))
    entries = model.entries(task.state.pattern, weight)
    found = model.scores((users, items), task.state.pattern, entries, task.state.pattern)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@SETTINGS
def test_lightgcn_with_isolated_nodes(settings: dict[str, float]) -> None:
    """PyG's own gradient is NaN here; the reference says 0 to what would go through such a node."""
    model = gp.LightGCN(3, 2, scale=1.0)
    task = gp.Recommendation(isolated_ends(), model, dtype=torch.float64)
    weight = task.state.weight.double()
    expected = reference.recommendation_meta_gradient(
        "lightgcn-2", task.state.index, weight, task.init(generator(0)), **settings
    )
    found = gp.Unrolled(**settings)(task)
    assert found.loss == pytest.approx(expected[0], rel=1e-12)
    torch.testing.assert_close(found.values, expected[1], rtol=1e-9, atol=1e-12)
    assert found.values[task.state.index[0] == 7].abs().min() > 0
    attacked = gp.MetaAttack(gp.Unrolled(**settings), 2)(task, 12)
    assert len(attacked) == 12


def test_lightgcn_is_prepared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Tensor] = []
    entries = gp.LightGCN.entries

    def counted(self: gp.LightGCN, graph: object, weight: Tensor) -> Tensor:
        calls.append(weight)
        return entries(self, graph, weight)

    monkeypatch.setattr(gp.LightGCN, "entries", counted)
    gp.Unrolled(steps=7, lr=0.1)(gp.Recommendation(interaction_graph(), "lightgcn"))
    assert len(calls) == 1


@pytest.mark.parametrize("candidates", ["all", torch.tensor([[0, 2, 3], [5, 7, 1]])])
def test_lightgcn_lists_its_candidates(candidates: str | Tensor) -> None:
    data = interaction_graph()
    task = gp.Recommendation(data, gp.LightGCN(3), candidates=candidates, dtype=torch.float64)
    expected = reference.recommendation_meta_gradient(
        "lightgcn-2",
        task.state.index,
        task.state.weight.double(),
        task.init(generator(0)),
        steps=5,
        lr=1.0,
    )
    found = gp.Unrolled(steps=5, lr=1.0)(task)
    torch.testing.assert_close(found.values, expected[1], rtol=1e-9, atol=1e-14)
