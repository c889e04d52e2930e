"""Recommenders that people run: each against a slow, obvious form, on small and on real data."""

import builtins
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import interaction_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import graphpoison as gp
from graphpoison._settings import describe
from graphpoison.apply import poisoned
from graphpoison.graphs import Interactions, normalised_interactions
from graphpoison.sparse import Pattern
from graphpoison.victims import (
    EASE,
    MFBPR,
    RECOMMENDER_VICTIMS,
    SLIM,
    ImplicitALS,
    ImplicitBPR,
    ImplicitVictim,
    ItemKNN,
    LightGCNBPR,
    MatrixVictim,
    MFSoftmax,
    MultVAE,
    Popularity,
    node_victim,
    recommender_victim,
)
from graphpoison.victims.recommenders.bpr import Triples
from graphpoison.victims.recommenders.histories import dense_rows, interaction_matrix
from graphpoison.victims.recommenders.lightgcn_bpr import propagated

TORCH: list[Any] = [
    EASE(l2=2.0),
    Popularity(),
    MFSoftmax(dim=3, epochs=2),
    MFBPR(dim=3, epochs=2),
    LightGCNBPR(dim=3, layers=2, epochs=2),
    MultVAE(hidden=5, dim=2, epochs=2),
]
"""Victims whose numbers are of a ``dtype`` of their own."""


def dense_graph(matrix: Tensor) -> Interactions:
    """The interactions that a 0-1 matrix [U, I] stands for."""
    return Interactions(matrix.nonzero().t().contiguous(), *matrix.shape)


def random_matrix(users: int, items: int, share: float = 0.3, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return (torch.rand(users, items, generator=draw) < share).float()


def awkward() -> Interactions:
    """A user with no item, one with all, an item with no user but that one."""
    matrix = random_matrix(12, 9, seed=1)
    matrix[:, 4] = 0
    matrix[3], matrix[7] = 0, 1
    return dense_graph(matrix)


def all_scores(victim: Any, graph: Interactions, seed: int = 0) -> Tensor:
    return victim.fit(graph, seed).scores(torch.arange(graph.num_users))


def quick(victim: Any) -> Any:
    """``victim`` with as few passes as there can be."""
    for name in ("epochs", "iterations"):
        if hasattr(victim, name):
            victim = replace(victim, **{name: 1})
    return victim


@pytest.fixture(params=sorted(RECOMMENDER_VICTIMS))
def named(request: pytest.FixtureRequest) -> Any:
    if request.param.startswith("implicit"):
        pytest.importorskip("implicit")
    return quick(RECOMMENDER_VICTIMS[request.param])


def test_every_name_has_finite_scores_of_all_items(named: Any) -> None:
    graph = awkward()
    users = torch.tensor([7, 3, 3, 0])
    fitted = named.fit(graph, 0)
    scores = fitted.scores(users)
    assert scores.shape == (4, 9)
    assert scores.dtype == torch.float32
    assert not scores.requires_grad
    assert scores.isfinite().all()
    torch.testing.assert_close(scores, all_scores(named, graph)[users])
    pairs = torch.tensor([[7, 0, 3], [2, 8, 4]])
    torch.testing.assert_close(fitted.pairs(pairs), all_scores(named, graph)[tuple(pairs)])


def test_a_seed_makes_a_model_and_another_seed_another(named: Any) -> None:
    graph = awkward()
    first, again, other = (all_scores(named, graph, seed) for seed in (3, 3, 4))
    assert first.equal(again)
    assert first.equal(other) == named.deterministic


def test_the_global_generators_are_left_alone(named: Any) -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    np.random.seed(5)  # noqa: NPY002
    named.fit(awkward(), 0)
    assert torch.get_rng_state().equal(state)
    assert np.random.random() == np.random.RandomState(5).random()  # noqa: NPY002


def test_the_graph_is_not_written_to(named: Any) -> None:
    graph = awkward()
    before = graph.edge_index.clone()
    named.fit(graph, 0).scores(torch.arange(3)).zero_()
    assert graph.edge_index.equal(before)
    assert all_scores(named, graph).any()


def test_settings_are_recorded(named: Any) -> None:
    record = describe(named)
    assert record["name"] == named.name
    changed = replace(named, name="another")
    assert describe(changed) != record
    for setting in ("l2", "alpha", "epochs", "neighbours", "learning_rate"):
        if hasattr(named, setting):
            value = getattr(named, setting)
            assert describe(replace(named, **{setting: value + 1}))[setting] == value + 1


def test_fake_users_are_users(named: Any) -> None:
    """A graph that fake users have joined is trained on as one that always had those users."""
    task = gp.Recommendation(interaction_graph())
    injection = gp.NewUsers(3, gp.RandomAttack())
    joined = poisoned(injection(task, budget=6), gp.read_graph(interaction_graph()))
    assert joined.fake_users is not None
    plain = replace(joined, fake_users=None)
    assert all_scores(named, joined).equal(all_scores(named, plain))


@pytest.mark.parametrize("victim", TORCH, ids=lambda victim: victim.name)
def test_float64_goes_through(victim: Any) -> None:
    exact = all_scores(replace(victim, dtype=torch.float64), awkward())
    assert exact.dtype == torch.float64
    assert exact.isfinite().all()


@given(
    users=st.integers(1, 7),
    items=st.integers(1, 7),
    share=st.floats(0, 1),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_both_forms_of_the_interactions(users: int, items: int, share: float, seed: int) -> None:
    matrix = random_matrix(users, items, share, seed)
    graph = dense_graph(matrix)
    chosen = torch.randint(users, (9,), generator=torch.Generator().manual_seed(seed))
    assert dense_rows(graph, chosen).equal(matrix[chosen])
    assert (interaction_matrix(graph).toarray() == matrix.numpy()).all()


def test_ease_is_ridge_regression_of_each_item_on_the_others() -> None:
    matrix = random_matrix(40, 11).double()
    weights = torch.zeros(11, 11, dtype=torch.float64)
    for item in range(11):
        others = [other for other in range(11) if other != item]
        x = matrix[:, others]
        ridge = x.t() @ x + 3.0 * torch.eye(10, dtype=torch.float64)
        weights[others, item] = torch.linalg.solve(ridge, x.t() @ matrix[:, item])
    exact = all_scores(EASE(3.0, dtype=torch.float64), dense_graph(matrix))
    torch.testing.assert_close(exact, matrix @ weights)
    single = all_scores(EASE(3.0), dense_graph(matrix))
    torch.testing.assert_close(single.double(), exact, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("neighbours", "shrinkage"), [(3, 0.0), (4, 2.0), (100, 1.5)])
def test_item_knn_by_loops(neighbours: int, shrinkage: float) -> None:
    matrix = random_matrix(23, 9, 0.4)
    owners = [set(matrix[:, item].nonzero().flatten().tolist()) for item in range(9)]

    def similarity(one: int, two: int) -> float:
        common = len(owners[one] & owners[two])
        return common / (math.sqrt(len(owners[one]) * len(owners[two])) + shrinkage)

    expected = torch.zeros_like(matrix)
    for item in range(9):
        others = sorted(set(range(9)) - {item}, key=lambda other: (-similarity(other, item), other))
        for user in range(23):
            near = [other for other in others[:neighbours] if matrix[user, other]]
            expected[user, item] = sum(similarity(other, item) for other in near)
    found = all_scores(ItemKNN(neighbours, shrinkage), dense_graph(matrix))
    torch.testing.assert_close(found, expected)


def test_item_knn_in_blocks_of_items(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = awkward()
    whole = all_scores(ItemKNN(3, 1.0), graph)
    monkeypatch.setattr("graphpoison.victims.recommenders.item_knn.ITEMS_AT_ONCE", 4)
    assert all_scores(ItemKNN(3, 1.0), graph).equal(whole)


@pytest.mark.parametrize("l1_ratio", [0.1, 0.7])
def test_slim_is_an_elastic_net_of_each_item(l1_ratio: float) -> None:
    from sklearn.linear_model import ElasticNet

    matrix = random_matrix(50, 8, 0.4)
    expected = torch.zeros_like(matrix)
    for item in range(8):
        x = matrix.numpy().astype("float64").copy()
        y = x[:, item].copy()
        x[:, item] = 0
        net = ElasticNet(0.01, l1_ratio=l1_ratio, fit_intercept=False, positive=True, tol=1e-10)
        expected[:, item] = torch.from_numpy(net.fit(x, y).predict(x))
    found = all_scores(SLIM(0.01, l1_ratio, max_iter=1000, tol=1e-8), dense_graph(matrix))
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-3)
    assert found.abs().max() > 0.1


def test_popularity_counts() -> None:
    matrix = random_matrix(6, 5)
    expected = matrix.sum(dim=0).repeat(6, 1)
    assert all_scores(Popularity(), dense_graph(matrix)).equal(expected)


def test_als_minimises_the_weighted_squares() -> None:
    """At the end of many iterations, the factors of items solve their normal equations."""
    pytest.importorskip("implicit")
    matrix = random_matrix(30, 12, 0.4)
    victim = ImplicitALS(factors=3, regularization=0.5, alpha=4.0, iterations=300)
    fitted: Any = victim.fit(dense_graph(matrix), 0)
    users, items = fitted.users.double(), fitted.items.double()
    for item in range(12):
        weight = 1 + (victim.alpha - 1) * matrix[:, item].double()
        left = (users.t() * weight) @ users + 0.5 * torch.eye(3, dtype=torch.float64)
        right = users.t() @ (victim.alpha * matrix[:, item].double())
        torch.testing.assert_close(left @ items[item], right, atol=2e-3, rtol=1e-3)


def softmax_loss(users: Tensor, items: Tensor, bias: Tensor, matrix: Tensor) -> Tensor:
    total = users.new_zeros(())
    for user, item in matrix.nonzero().tolist():
        logits = torch.stack([users[user] @ q + b for q, b in zip(items, bias, strict=True)])
        total = total - logits[item] + logits.exp().sum().log()
    return total


def test_mf_softmax_reaches_a_minimum_of_its_loss() -> None:
    matrix = random_matrix(8, 6, 0.4).double()
    victim = MFSoftmax(dim=2, epochs=3000, lr=0.01, l2=0.4, dtype=torch.float64)
    fitted: Any = victim.fit(dense_graph(matrix), 0)
    params = [
        fitted.users.clone().requires_grad_(),
        fitted.items.clone().requires_grad_(),
        fitted.bias.clone().requires_grad_(),
    ]
    loss = softmax_loss(*params, matrix)
    for param, slope in zip(params, torch.autograd.grad(loss, params), strict=True):
        torch.testing.assert_close(slope, -0.8 * param.detach(), atol=1e-4, rtol=1e-3)
    assert float(loss.detach() / matrix.sum()) < 0.9 * math.log(6)


def test_triples_hold_each_interaction_once_and_only_free_items() -> None:
    graph = awkward()
    triples = Triples(graph, torch.Generator().manual_seed(0))
    matrix = dense_rows(graph, torch.arange(12)).bool()
    for _ in range(5):
        users, items, drawn = map(torch.cat, zip(*triples.epoch(batch_size=4), strict=True))
        assert matrix[users, items].all()
        assert not matrix[users, drawn].any()
        found = torch.zeros_like(matrix)
        found[users, items] = True
        matrix_without = matrix.clone()
        matrix_without[7] = False  # has all items
        assert found.equal(matrix_without)
        assert users.numel() == int(matrix_without.sum())


def test_free_items_are_drawn_uniformly() -> None:
    graph = dense_graph(torch.tensor([[1, 0, 1, 1, 0, 0, 1.0], [0, 1, 0, 0, 0, 0, 0]]))
    triples = Triples(graph, torch.Generator().manual_seed(0))
    for user, free in ((0, [1, 4, 5]), (1, [0, 2, 3, 4, 5, 6])):
        drawn = triples.free_items(torch.full((12000,), user))
        counts = torch.bincount(drawn, minlength=7)
        assert counts.nonzero().flatten().tolist() == free
        expected = 12000 / len(free)
        assert (counts[free] - expected).abs().max() < 5 * math.sqrt(expected)


@pytest.mark.parametrize("layers", [1, 3])
def test_the_propagation_is_that_of_pyg(layers: int) -> None:
    from torch_geometric.nn.models import LightGCN

    graph = awkward()
    model = LightGCN(12 + 9, 4, layers)
    source, target = graph.edge_index[0], graph.edge_index[1] + 12
    both = torch.stack([torch.cat([source, target]), torch.cat([target, source])])
    with torch.no_grad():
        expected = model.get_embedding(both)
    pattern = Pattern.of(graph.edge_index, graph.shape)
    entries = normalised_interactions(pattern, torch.ones(pattern.num_entries))
    users, items = model.embedding.weight.detach().split([12, 9])
    found = torch.cat(propagated(pattern, entries, users, items, layers))
    torch.testing.assert_close(found, expected)


def blocks() -> tuple[Interactions, Tensor]:
    """Users of two tastes, each with half of the items of that taste, and what they would like."""
    taste = torch.block_diag(torch.ones(30, 12), torch.ones(30, 12))
    return dense_graph(taste * random_matrix(60, 24, 0.5, seed=2)), taste.bool()


@pytest.mark.parametrize(
    "victim",
    [
        EASE(5.0),
        ItemKNN(10, 0.0),
        SLIM(0.01),
        MFSoftmax(dim=4, epochs=60, l2=0.2),
        MFBPR(dim=4, epochs=100, lr=0.02, l2=0.01, batch_size=64),
        LightGCNBPR(dim=4, layers=2, epochs=40, lr=0.02, batch_size=64),
        MultVAE(hidden=16, dim=4, epochs=60, lr=0.01, batch_size=20),
        ImplicitBPR(factors=4, learning_rate=0.05, iterations=200),
        ImplicitALS(factors=4, regularization=1.0),
    ],
    ids=lambda victim: victim.name,
)
def test_a_taste_is_learnt(victim: Any) -> None:
    if victim.name.startswith("implicit"):
        pytest.importorskip("implicit")
    graph, taste = blocks()
    scores = all_scores(victim, graph)
    seen = dense_rows(graph, torch.arange(60)).bool()
    own = [row[want & ~known] for row, want, known in zip(scores, taste, seen, strict=True)]
    foreign = [row[~want] for row, want in zip(scores, taste, strict=True)]
    right = [(a[:, None] > b).float().mean() for a, b in zip(own, foreign, strict=True) if len(a)]
    assert float(torch.stack(right).mean()) > 0.97


def test_mult_vae_scores_do_not_depend_on_who_else_is_asked_for() -> None:
    fitted = MultVAE(hidden=5, dim=2, epochs=2).fit(awkward(), 0)
    whole = fitted.scores(torch.arange(12))
    for user in range(12):
        torch.testing.assert_close(fitted.scores(torch.tensor([user]))[0], whole[user])


@pytest.mark.filterwarnings("ignore:Method expects CSR input")  # of implicit about itself
def test_a_model_of_implicit_in_a_few_lines() -> None:
    pytest.importorskip("implicit")
    from implicit.lmf import LogisticMatrixFactorization
    from implicit.nearest_neighbours import CosineRecommender

    graph, _ = blocks()

    def build(seed: int) -> Any:
        return LogisticMatrixFactorization(factors=4, num_threads=1, random_state=seed)

    logistic = ImplicitVictim(build, "lmf")
    assert all_scores(logistic, graph, 1).equal(all_scores(logistic, graph, 1))
    assert not all_scores(logistic, graph, 1).equal(all_scores(logistic, graph, 2))
    assert "build" in str(describe(logistic))
    near = ImplicitVictim(lambda seed: CosineRecommender(K=24, num_threads=1), "cosine")
    matrix = dense_rows(graph, torch.arange(60))
    unit = torch.nn.functional.normalize(matrix, dim=0)
    torch.testing.assert_close(all_scores(near, graph), matrix @ (unit.t() @ unit))


def test_without_implicit_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "implicit":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    own = ImplicitVictim(lambda seed: None, "mine")
    for victim in (recommender_victim("implicit-als"), recommender_victim("implicit-bpr"), own):
        with pytest.raises(ImportError, match=r'pip install "graphpoison\[recommenders\]"'):
            victim.fit(awkward(), 0)


def test_a_function_of_the_matrix_is_a_victim() -> None:
    seeds = []

    def train(matrix: Any, seed: int) -> Callable[[Any], Any]:
        seeds.append(seed)
        popular = np.asarray(matrix.sum(axis=0))
        return lambda users: np.repeat(popular, len(users), axis=0)

    victim = MatrixVictim(train, "mine", deterministic=True)
    graph = awkward()
    assert all_scores(victim, graph, 1).equal(all_scores(Popularity(), graph))
    all_scores(victim, graph, 2)
    assert len(set(seeds)) == 2
    assert all(0 <= seed < 2**31 for seed in seeds)
    report = gp.evaluate(
        interaction_graph(),
        {"random": gp.RandomAttack()(gp.Recommendation(interaction_graph()), budget=3)},
        victims=[victim, "ease", "popularity"],
        seeds=[0],
    )
    assert set(report.table["victim"]) == {"mine", "ease", "popularity"}


def test_wrong_scores_of_a_function_are_named() -> None:
    short = MatrixVictim(lambda matrix, seed: lambda users: np.zeros((len(users), 2)), "short")
    with pytest.raises(ValueError, match=r"'short' gave scores of shape \(12, 2\).*\(12, 9\)"):
        all_scores(short, awkward())
    with pytest.raises(TypeError, match=r"'none' returned NoneType; return a function"):
        MatrixVictim(lambda matrix, seed: None, "none").fit(awkward(), 0)  # type: ignore[arg-type,return-value]


def test_names_are_looked_up_in_both_places() -> None:
    assert recommender_victim("ease") is RECOMMENDER_VICTIMS["ease"]
    assert recommender_victim("cf").name == "cf"
    assert not set(RECOMMENDER_VICTIMS) & {"cf", "gmf", "mlp", "neumf", "lightgcn"}
    with pytest.raises(ValueError, match=r"victim='easy' is not known.*Did you mean 'ease'"):
        recommender_victim("easy")
    with pytest.raises(ValueError, match="victims='ease' is not known"):
        node_victim("ease")
    for victim in (EASE(), MatrixVictim(lambda matrix, seed: None, "mine")):  # type: ignore[arg-type,return-value]
        with pytest.raises(TypeError, match="cannot be trained on a graph of nodes"):
            node_victim(victim)


@pytest.mark.parametrize(
    ("kind", "setting", "value"),
    [
        (EASE, "l2", 0.0),
        (ItemKNN, "neighbours", 0),
        (ItemKNN, "shrinkage", -1.0),
        (SLIM, "alpha", 0.0),
        (SLIM, "l1_ratio", 1.5),
        (ImplicitALS, "factors", 0),
        (ImplicitALS, "alpha", 0.0),
        (MFSoftmax, "epochs", 0),
        (MFSoftmax, "lr", -1.0),
        (MFBPR, "batch_size", 0),
        (LightGCNBPR, "layers", 0),
        (MultVAE, "dropout", 1.0),
        (MultVAE, "anneal", 0.0),
    ],
)
def test_bad_settings_are_refused(kind: Any, setting: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{setting} must"):
        kind(**{setting: value})


def ndcg(scores: Tensor, seen: Tensor, liked: Tensor, depth: int = 10) -> float:
    """Mean NDCG of the users with a liked item; ``seen`` items are left out. By loops."""
    total = []
    for row, known, want in zip(scores.masked_fill(seen, -torch.inf), seen, liked, strict=True):
        wanted = set((want & ~known).nonzero().flatten().tolist())
        if wanted:
            top = row.argsort(descending=True)[:depth].tolist()
            gain = sum(1 / math.log2(2 + rank) for rank, item in enumerate(top) if item in wanted)
            best = sum(1 / math.log2(2 + rank) for rank in range(min(depth, len(wanted))))
            total.append(gain / best)
    return sum(total) / len(total)


FLOORS = {
    "popularity": 0.19,
    "item-knn": 0.36,
    "ease": 0.42,
    "implicit-als": 0.42,
    "mf-softmax": 0.41,
    "slim": 0.42,
}
"""NDCG@10 on a fifth of the interactions of MovieLens-100K, which independent runs are above."""


@pytest.mark.parametrize("name", sorted(FLOORS))
def test_movielens_is_recommended_as_well_as_elsewhere(name: str, real_data: Path) -> None:
    if name.startswith("implicit"):
        pytest.importorskip("implicit")
    rows = np.loadtxt(real_data / "MovieLens100K" / "raw" / "u.data", dtype=int)[:, :2] - 1
    held = torch.rand(len(rows), generator=torch.Generator().manual_seed(0)) < 0.2
    whole = torch.zeros(*(rows.max(axis=0) + 1).tolist(), dtype=torch.bool)
    train, test = whole.clone(), whole.clone()
    train[tuple(torch.from_numpy(rows)[~held].t())] = True
    test[tuple(torch.from_numpy(rows)[held].t())] = True
    scores = all_scores(RECOMMENDER_VICTIMS[name], dense_graph(train))
    assert ndcg(scores, train, test) > FLOORS[name]
