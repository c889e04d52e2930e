"""Graphs that carry edge_weight: trained on as they are, flipped edge by edge."""

import pytest
import reference
import torch
from conftest import citation_graph
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.transforms import ToSparseTensor
from torch_geometric.utils import to_dense_adj

import graphpoison as gp
from graphpoison._random import generator

SETTINGS = {"steps": 6, "lr": 0.1, "momentum": 0.9}


def weighted_graph(num_nodes: int = 18, seed: int = 2) -> Data:
    data = citation_graph(num_nodes, seed)
    draw = torch.Generator().manual_seed(seed)
    weight = torch.rand(num_nodes, num_nodes, generator=draw, dtype=torch.float64) * 2 + 0.1
    data.edge_weight = (weight + weight.t())[tuple(data.edge_index)]
    return data


def dense(data: Data) -> Tensor:
    return to_dense_adj(data.edge_index, edge_attr=data.edge_weight, max_num_nodes=data.num_nodes)[
        0
    ]


@pytest.mark.parametrize("approximate", [None, "before"])
@pytest.mark.parametrize("objective", ["train", "self"])
@pytest.mark.parametrize("surrogate", ["linear-gcn", "relu-gcn", "sgc"])
def test_metattack_on_weighted_edges_flip_by_flip(
    surrogate: str, objective: str, approximate: str | None
) -> None:
    data = weighted_graph()
    task = gp.NodeClassification(data, surrogate, objective)
    problem = (surrogate, dense(data), data.x, data.y, data.train_mask)
    theta = task.init(generator(0))
    labels = reference.pseudo_labels_of(*problem, theta, **SETTINGS)
    expected = reference.metattack(
        *problem,
        theta,
        budget=10,
        objective=objective,
        pseudo_labels=labels,
        protect_singletons=True,
        approximate=approximate,
        **SETTINGS,
    )
    attack = gp.MetaAttack(
        gp.Training(**SETTINGS),
        constraints=[gp.NoSingletons()],
        hypergradient=gp.Approximate() if approximate else gp.Unrolled(),
        redraw=False,
    )
    found = attack(task, 10).flips
    assert [*zip(found["source"], found["target"], found["added"], strict=True)] == [
        flip[:3] for flip in expected
    ]
    assert 0 < found["added"].sum() < 10
    assert found["score"].tolist() == pytest.approx([flip[3] for flip in expected], rel=1e-6)


def test_a_perturbation_makes_the_graph_that_the_attack_saw() -> None:
    data = weighted_graph()
    task = gp.NodeClassification(data)
    found = gp.RandomAttack(allow_removals=True)(task, 30, seed=1)
    assert found.added.size(1) > 0
    assert found.removed.size(1) > 0
    state = task.state.flip(found.pairs)
    poisoned = found.apply(data)
    expected = torch.zeros(18, 18, dtype=torch.float64)
    expected[tuple(state.index)] = state.weight
    assert torch.equal(dense(poisoned), expected + expected.t())
    again = gp.NodeClassification(poisoned).state
    assert torch.equal(again.index, state.edges)
    assert torch.equal(again.weight, state.weight[state.weight > 0])
    assert torch.equal(state.flip(found.pairs).weight, state.clean)


def test_weights_count_as_edges_not_as_degrees() -> None:
    data = weighted_graph()
    task = gp.NodeClassification(data)
    assert task.state.num_edges == data.num_edges // 2
    assert gp.Budget.fraction(0.5).resolve(task.state) == data.num_edges // 4
    assert torch.equal(task.state.degrees[0], torch.bincount(data.edge_index[0]))


def test_weights_of_1_change_nothing() -> None:
    data = citation_graph()
    attack = gp.MetaAttack(gp.Training(**SETTINGS))
    plain = attack(gp.NodeClassification(data), 6)
    data.edge_weight = torch.ones(data.num_edges)
    assert attack(gp.NodeClassification(data), 6).flips.equals(plain.flips)


def test_weights_are_read_from_a_sparse_adjacency_and_given_back() -> None:
    data = weighted_graph()
    sparse = ToSparseTensor(attr="edge_weight", layout=torch.sparse_csr)(weighted_graph())
    states = [gp.NodeClassification(graph).state for graph in (data, sparse)]
    assert torch.equal(states[0].weight, states[1].weight)
    found = gp.RandomAttack(allow_removals=True)(gp.NodeClassification(data), 10)
    given_back = found.apply(sparse).adj_t.to_dense()
    assert torch.equal(given_back, dense(found.apply(data)))


def test_loops_are_left_out_and_repetitions_count_once() -> None:
    data = weighted_graph()
    state = gp.NodeClassification(data).state
    loop = torch.tensor([[3], [3]])
    data.edge_index = torch.cat([data.edge_index, loop, data.edge_index[:, :4]], dim=1)
    data.edge_weight = torch.cat(
        [data.edge_weight, torch.full((1,), 7.0).double(), data.edge_weight[:4]]
    )
    found = gp.NodeClassification(data).state
    assert torch.equal(found.index, state.index)
    assert torch.equal(found.weight, state.weight)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_weights_that_are_none_are_refused(value: float) -> None:
    data = weighted_graph()
    data.edge_weight[3] = value
    with pytest.raises(ValueError, match="finite numbers above 0"):
        gp.NodeClassification(data)


def test_weights_that_do_not_fit_the_edges_are_refused() -> None:
    data = weighted_graph()
    data.edge_weight[3] += 1
    with pytest.raises(ValueError, match="two directions of 1 edges"):
        gp.NodeClassification(data)
    data.edge_weight = data.edge_weight[:-1]
    with pytest.raises(ValueError, match="one for each edge"):
        gp.NodeClassification(data)


@pytest.mark.parametrize("weighted", [False, True])
def test_narrow_indices_of_many_nodes(weighted: bool) -> None:
    count = 50_000  # count^2 is beyond int32
    source, target = torch.tensor([1, 49_998, 3, 49_000]), torch.tensor([49_999, 49_999, 4, 49_001])
    index = torch.stack([torch.cat([source, target]), torch.cat([target, source])])
    data = Data(
        x=torch.ones(count, 2), y=torch.arange(count) % 2, train_mask=torch.arange(count) < 9
    )
    if weighted:
        data.edge_weight = torch.tensor([1.0, 2.0, 3.0, 4.0]).repeat(2)
    found = []
    for data.edge_index in (index, index.int()):
        task = gp.NodeClassification(data)
        flips = gp.RandomAttack(allow_removals=True, allow_additions=False)(task, 2)
        poisoned = flips.apply(data)
        assert poisoned.num_edges == 4
        found.append((task.state.weight, poisoned.edge_index, flips.pairs))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
