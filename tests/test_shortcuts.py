"""Every shortcut gives the result of the long way round: blocks, tiles, factors, restarts."""

import pytest
import reference
import torch
from conftest import assert_flips, citation_graph, interaction_graph
from torch import Tensor
from torch_geometric.utils import to_dense_adj

import graphpoison as gp
from graphpoison._random import generator
from graphpoison.sparse import low_rank, shares
from graphpoison.sparse.kernels import BACKENDS, check_backend
from graphpoison.sparse.sparse_product import SparseProduct
from graphpoison.training import (
    all_pairs_loss,
    chunked_tower,
    iterates,
    mlp_pair_loss,
)

SETTINGS = [
    {"steps": 7, "lr": 0.2, "momentum": 0.5, "weight_decay": 1e-2},
    {"steps": 7, "lr": 0.05, "optimizer": "adam", "weight_decay": 1e-3},
]
RECOMMENDERS = [
    gp.CF(dim=3),
    gp.GMF(dim=3),
    gp.GMF(3, (4, 3), scale=1.0),
    gp.GMF(20, (17,), scale=1.0, activation="tanh"),
    gp.MLP(3, (4,), scale=1.0),
    gp.MLP(3, (4, 3), scale=1.0, activation="sigmoid"),
    gp.NeuMF(3, (4, 3), mlp_dim=2, scale=1.0),
    gp.NeuMF(3, (18,), scale=1.0, activation="tanh"),
]


def values(task: gp.Task, settings: dict[str, object]) -> Tensor:
    return gp.Unrolled()(task, gp.Training(**settings)).values


@pytest.mark.parametrize("settings", SETTINGS, ids=["momentum", "adam"])
@pytest.mark.parametrize("surrogate", RECOMMENDERS)
def test_blocks_of_pairs(
    surrogate: gp.Recommender, settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlp_pair_loss, "compiled", lambda labels: False)
    whole = values(gp.Recommendation(interaction_graph(), surrogate, dtype=torch.float64), settings)
    monkeypatch.setattr(shares, "BLOCK", 5)
    monkeypatch.setattr(chunked_tower, "SLOTS", {"cpu": 5})
    task = gp.Recommendation(interaction_graph(), surrogate, dtype=torch.float64)
    torch.testing.assert_close(values(task, settings), whole, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("make", [gp.NodeClassification, gp.Recommendation])
def test_backends_give_the_same_meta_gradient(make: type[gp.Task]) -> None:
    data = citation_graph() if make is gp.NodeClassification else interaction_graph()
    settings = {"steps": 5, "lr": 0.1}
    expected = values(make(data, backend="gather"), settings)
    for backend in BACKENDS:
        try:
            check_backend(backend)
        except ValueError:
            continue
        if backend == "csr" and not torch.backends.mkl.is_available():
            continue
        task = make(data, backend=backend)
        assert task.state.pattern.backend == backend
        torch.testing.assert_close(values(task, settings), expected)
    with pytest.raises(ValueError, match="backend"):
        make(data, backend="cuda")


@pytest.mark.parametrize("spooled", [0, 2**30])
@pytest.mark.parametrize("steps", [1, 2, 7, 16])
@pytest.mark.parametrize("surrogate", ["linear-gcn", "relu-gcn", "sgc"])
@pytest.mark.parametrize("optimizer", [{"momentum": 0.9}, {"optimizer": "adam"}])
def test_iterates_that_are_read_or_computed_again(
    surrogate: str,
    steps: int,
    spooled: int,
    optimizer: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = gp.NodeClassification(citation_graph(), surrogate)
    settings = {"steps": steps, "lr": 0.1, **optimizer}
    whole = values(task, settings)
    monkeypatch.setattr(iterates, "KEPT_BYTES", 0)
    monkeypatch.setattr(iterates, "SPOOLED_BYTES", spooled)
    assert torch.equal(values(task, settings), whole)


@pytest.mark.parametrize(("spooled", "stride"), [(2**30, 1), (0, 5)])
def test_where_many_iterates_are_kept(
    spooled: int, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(before: iterates.Iterate) -> iterates.Iterate:
        return (before[0][0] + 1,), (before[1][0] - 1,)

    monkeypatch.setattr(iterates, "SPOOLED_BYTES", spooled)
    start = (
        (torch.zeros(iterates.KEPT_BYTES // 64, 2).t(),),
        (torch.zeros((), dtype=torch.double),),
    )
    run = iterates.Iterates.run(step, start, 25)
    assert isinstance(run.kept, iterates.Spooled) == (spooled > 0)
    assert run.kept.stride == stride
    found = [(int(kept[0][1, 0]), int(state[0])) for kept, state in run.backwards()]
    assert found == [(number, -number) for number in range(24, -1, -1)]


@pytest.mark.parametrize("settings", SETTINGS, ids=["momentum", "adam"])
@pytest.mark.parametrize("num_features", [2, 24])
@pytest.mark.parametrize("surrogate", ["linear-gcn", "relu-gcn", "sgc"])
@pytest.mark.parametrize("sparse_below", [0.0, 1.1])
def test_factors_in_any_form(
    surrogate: str,
    num_features: int,
    sparse_below: float,
    settings: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Few features or many, factors kept dense, or sparse: always the dense meta-gradient."""
    data = citation_graph(num_features=num_features, density=0.4)
    monkeypatch.setattr(low_rank, "SPARSE_BELOW", sparse_below)
    task = gp.NodeClassification(data, surrogate)
    theta = task.init(generator(0))
    adjacency = to_dense_adj(data.edge_index, max_num_nodes=14)[0].double()
    problem = (surrogate, adjacency, data.x, data.y, data.train_mask)
    labels = reference.pseudo_labels_of(*problem, theta, **settings)
    _, expected = reference.node_meta_gradient(*problem, theta, "self", labels, **settings)
    torch.testing.assert_close(values(task, settings), expected, rtol=1e-7, atol=1e-12)


def test_factors_of_few_rows_are_added_up() -> None:
    draw = torch.Generator().manual_seed(0)
    pairs = []
    for _ in range(6):
        left = torch.zeros(40, 3, dtype=torch.float64)
        left[[2, 5, 7, 11]] = torch.randn(4, 3, generator=draw, dtype=torch.float64)
        right = torch.randn(40, 3, generator=draw, dtype=torch.float64)
        pairs.append((left, right) if len(pairs) % 2 else (right, left))
    sparse, dense = low_rank.reduce_factors(pairs)
    assert (len(sparse), len(dense)) == (1, 0)
    assert sparse[0].wide.shape == (40, 4)
    product = SparseProduct.of(sparse, torch.ones(40, dtype=torch.float64))
    total = sum(left @ right.t() for left, right in pairs)
    nodes = torch.arange(40)
    found = product.add_to(torch.zeros(40, 40, dtype=torch.float64), nodes, nodes)
    torch.testing.assert_close(found, total + total.t())


@pytest.mark.parametrize("tile", [1, 2**18])
@pytest.mark.parametrize("settings", SETTINGS, ids=["momentum", "adam"])
@pytest.mark.parametrize("model", ["cf", "gmf"])
def test_all_pairs_of_a_recommender(
    model: str, settings: dict[str, object], tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never listed, and yet as if every pair were a training pair."""
    monkeypatch.setattr(all_pairs_loss, "TILE_ENTRIES", tile)
    task = all_pairs_task(model)
    assert task.state.implicit_candidates
    assert task.state.num_listed == task.state.num_edges
    pairs, weight = every_pair(task)
    expected = reference.recommendation_meta_gradient(
        model, pairs, weight, task.init(generator(0)), **settings
    )
    found = gp.Unrolled()(task, gp.Training(**settings))
    assert found.loss == pytest.approx(expected[0], rel=1e-12)
    torch.testing.assert_close(found.values, expected[1], rtol=1e-8, atol=1e-14)


@pytest.mark.parametrize("allow_removals", [False, True])
@pytest.mark.parametrize("model", ["cf", "gmf"])
def test_all_pairs_flip_by_flip(model: str, allow_removals: bool) -> None:
    task = all_pairs_task(model)
    pairs, weight = every_pair(task)
    settings = {"steps": 8, "lr": 30.0}
    expected = reference.algorithm1(
        model,
        pairs,
        weight,
        torch.ones_like(weight, dtype=torch.bool),
        task.init(generator(0)),
        budget=12,
        flips_per_step=3,
        allow_removals=allow_removals,
        **settings,
    )
    attack = gp.MetaAttack(gp.Training(**settings), 3, allow_removals=allow_removals, redraw=False)
    assert_flips(attack(task, 12), expected)


def test_all_pairs_are_listed_where_the_model_needs_them() -> None:
    data = interaction_graph()
    task = gp.Recommendation(data, gp.GMF(3, (4,)), candidates="all")
    assert not task.state.implicit_candidates
    assert task.state.num_listed == task.state.shape[0] * task.state.shape[1]


def all_pairs_task(model: str) -> gp.Recommendation:
    surrogate = {"cf": gp.CF(dim=3, scale=0.5), "gmf": gp.GMF(dim=3, scale=0.5)}[model]
    data = interaction_graph()
    return gp.Recommendation(data, surrogate, candidates="all", dtype=torch.float64)


def every_pair(task: gp.Recommendation) -> tuple[Tensor, Tensor]:
    rows, cols = task.state.shape
    codes = torch.arange(rows * cols)
    weight = torch.isin(codes, task.state.pattern.codes).double()
    return torch.stack([codes // cols, codes % cols]), weight
