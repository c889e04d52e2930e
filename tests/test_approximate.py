"""Meta-Approx and A-Meta: flip by flip, in flat memory, and where there is nothing to sum."""

import pytest
import reference
import torch
from conftest import assert_flips, citation_graph, interaction_graph
from torch import Tensor
from torch_geometric.utils import to_dense_adj

import graphpoison as gp
from graphpoison._random import generator
from graphpoison.sparse import FactorSum, PairTape, low_rank

OPTIMISERS = [
    {"steps": 6, "lr": 0.2},
    {"steps": 6, "lr": 0.1, "momentum": 0.9, "weight_decay": 1e-2},
    {"steps": 6, "lr": 0.05, "optimizer": "adam", "weight_decay": 1e-3},
]
SETTINGS = pytest.mark.parametrize("settings", OPTIMISERS, ids=["sgd", "momentum", "adam"])
ITERATES = pytest.mark.parametrize("iterates", ["before", "after"])


@SETTINGS
@ITERATES
@pytest.mark.parametrize("objective", ["train", "self", "both"])
@pytest.mark.parametrize("surrogate", ["linear-gcn", "relu-gcn", "sgc"])
def test_a_meta_flip_by_flip(
    surrogate: str, objective: str, iterates: str, settings: dict[str, float]
) -> None:
    data = citation_graph(num_nodes=18, seed=2)
    task = gp.NodeClassification(data, surrogate, objective, mix=0.3)
    adjacency = to_dense_adj(data.edge_index, max_num_nodes=18)[0].double()
    expected = reference.metattack(
        surrogate,
        adjacency,
        data.x,
        data.y,
        data.train_mask,
        task.init(generator(0)),
        budget=8,
        objective=objective,
        lam=0.3,
        pseudo_labels=reference.pseudo_labels_of(
            surrogate,
            adjacency,
            data.x,
            data.y,
            data.train_mask,
            task.init(generator(0)),
            **settings,
        ),
        protect_singletons=True,
        approximate=iterates,
        **settings,
    )
    attack = gp.MetaAttack(
        gp.Training(**settings),
        constraints=[gp.NoSingletons()],
        hypergradient=gp.Approximate(iterates=iterates),
        redraw=False,
    )
    assert_flips(attack(task, 8), expected)


@SETTINGS
@ITERATES
@pytest.mark.parametrize("model", ["cf", "gmf", "tower", "neumf-tanh"])
def test_algorithm_3_flip_by_flip(model: str, iterates: str, settings: dict[str, float]) -> None:
    surrogate = {
        "cf": gp.CF(dim=3),
        "gmf": gp.GMF(dim=3),
        "tower": gp.GMF(3, (4, 3), scale=1.0),
        "neumf-tanh": gp.NeuMF(18, (17, 3), scale=1.0, activation="tanh"),
    }[model]
    task = gp.Recommendation(interaction_graph(), surrogate, dtype=torch.float64)
    expected = reference.algorithm1(
        model,
        task.state.index,
        task.state.weight.double(),
        task.state.candidate,
        task.init(generator(0)),
        budget=8,
        flips_per_step=2,
        allow_removals=False,
        approximate=iterates,
        **settings,
    )
    attack = gp.MetaAttack(
        gp.Training(**settings),
        2,
        allow_removals=False,
        hypergradient=gp.Approximate(iterates=iterates),
        redraw=False,
    )
    assert_flips(attack(task, 8), expected)


@ITERATES
@pytest.mark.parametrize("model", ["cf", "gmf"])
def test_all_pairs_of_a_recommender(model: str, iterates: str) -> None:
    surrogate = {"cf": gp.CF(dim=3, scale=0.5), "gmf": gp.GMF(dim=3, scale=0.5)}[model]
    task = gp.Recommendation(interaction_graph(), surrogate, candidates="all", dtype=torch.float64)
    assert task.state.implicit_candidates
    rows, cols = task.state.shape
    codes = torch.arange(rows * cols)
    _, expected = reference.recommendation_meta_gradient(
        model,
        torch.stack([codes // cols, codes % cols]),
        torch.isin(codes, task.state.pattern.codes).double(),
        task.init(generator(0)),
        iterates,
        steps=6,
        lr=30.0,
    )
    found = gp.Approximate(iterates=iterates)(task, gp.Training(steps=6, lr=30.0))
    torch.testing.assert_close(found.values, expected, rtol=1e-9, atol=1e-14)


def test_the_explicit_gradient_of_a_label_is_the_score() -> None:
    task = gp.Recommendation(interaction_graph(), gp.CF(dim=3), dtype=torch.float64)
    users, items = task.init(generator(0))
    source, target = task.state.index
    found = gp.Approximate()(task, gp.Training(steps=1, lr=0.1)).values
    torch.testing.assert_close(found, -(users[source] * items[target]).sum(dim=1) / 38)


@pytest.mark.parametrize("candidates", ["all", "listed"])
@pytest.mark.parametrize("kind", ["node", "link"])
def test_memory_does_not_grow_with_steps(
    kind: str, candidates: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a step leaves behind: nothing but the sum, in all-pairs problems in few columns."""
    monkeypatch.setattr(low_rank, "RECORDED_COLUMNS", 8)
    widths: list[int] = []
    record = FactorSum.record

    def watched(self: FactorSum, left: Tensor, right: Tensor) -> None:
        record(self, left, right)
        widths.append(sum(term.size(1) for term, _ in self))

    monkeypatch.setattr(FactorSum, "record", watched)
    if kind == "node":
        listed = torch.triu_indices(14, 14, offset=1)
        block = "all" if candidates == "all" else listed
        task = gp.NodeClassification(citation_graph(), "relu-gcn", "self", candidates=block)
    else:
        block = "all" if candidates == "all" else "sampled"
        task = gp.Recommendation(interaction_graph(), gp.CF(dim=3), candidates=block)
    gp.Approximate()(task, gp.Training(steps=60, lr=0.1))
    assert (len(widths) == 0) == (candidates == "listed")
    assert max(widths, default=0) <= 2 * 14 + 16


@pytest.mark.parametrize("surrogate", ["linear-gcn", "relu-gcn", "sgc"])
def test_factors_of_many_steps_sum_to_the_same(
    surrogate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = gp.NodeClassification(citation_graph(), surrogate, "both")
    training = gp.Training(steps=40, lr=0.1, momentum=0.5)
    whole = gp.Approximate()(task, training).values
    monkeypatch.setattr(low_rank, "RECORDED_COLUMNS", 0)
    found = gp.Approximate()(task, training).values
    torch.testing.assert_close(found, whole, rtol=1e-10, atol=1e-13)


def test_factors_keep_the_columns_that_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(low_rank, "RECORDED_COLUMNS", 6)
    draw = torch.Generator().manual_seed(0)
    left, right = (torch.randn(9, 2, generator=draw, dtype=torch.float64) for _ in range(2))
    tape = PairTape()
    for factor in range(1, 8):
        tape.record(left * factor, right)
    assert sum(term.size(1) for term, _ in tape) <= 6
    total = sum(term @ other.t() for term, other in tape)
    torch.testing.assert_close(total, 28 * left @ right.t())
    diverged, _ = low_rank.low_rank([(left, right), (left * torch.nan, right)])
    assert bool(torch.isnan(diverged).any())


@pytest.mark.parametrize("objective", ["self", "heldout"])
def test_nothing_to_sum_is_an_error(objective: str) -> None:
    task = gp.Recommendation(interaction_graph(), gp.CF(dim=3), objective)
    with pytest.raises(ValueError, match=r"only through training.*objective='train' or Unrolled"):
        gp.Approximate()(task, gp.Training(steps=3))


def test_bad_settings_and_divergence_are_named() -> None:
    with pytest.raises(ValueError, match="Did you mean 'before'"):
        gp.Approximate(iterates="befor")
    with pytest.raises(ValueError, match="momentum belongs to"):
        gp.Training(optimizer="adam", momentum=0.9)
    for task in (
        gp.NodeClassification(citation_graph(), objective="train"),
        gp.Recommendation(interaction_graph(), gp.CF(dim=3), candidates="all"),
    ):
        with pytest.raises(FloatingPointError, match="smaller lr"):
            gp.Approximate()(task, gp.Training(steps=90, lr=1e9, momentum=0.99))
