"""Flips of binary node features: gradients, flips, constraints, files and what they do."""

import dataclasses
import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import reference
import torch
from conftest import OwnGCN, assert_flips, citation_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.transforms import NormalizeFeatures
from torch_geometric.utils import to_dense_adj

import graphpoison as gp
from graphpoison._random import generator
from graphpoison.attacks.base import Proposal
from graphpoison.graphs import PairState
from graphpoison.graphs.binary_features import flip_binary, read_binary
from graphpoison.perturbation import fingerprint
from graphpoison.sparse import FactoredGradient, factored, low_rank

OPTIMISERS = [
    {"steps": 6, "lr": 0.2},
    {"steps": 6, "lr": 0.1, "momentum": 0.9, "weight_decay": 1e-2},
    {"steps": 6, "lr": 0.05, "optimizer": "adam", "weight_decay": 1e-3},
]
SETTINGS = pytest.mark.parametrize("inner", OPTIMISERS, ids=["sgd", "momentum", "adam"])
SURROGATES = pytest.mark.parametrize("surrogate", ["linear-gcn", "relu-gcn", "sgc"])
OBJECTIVES = pytest.mark.parametrize("objective", ["train", "self", "both"])
SHORT = gp.Training(steps=4, lr=0.1, momentum=0.5)


def task_of(
    data: Data | None = None, surrogate: str | nn.Module = "linear-gcn", **options: object
) -> gp.NodeClassification:
    given = {"feature_candidates": "all", **options}
    return gp.NodeClassification(data or citation_graph(), surrogate, **given)


def dense_problem(data: Data, surrogate: str) -> tuple[str, Tensor, Tensor, Tensor, Tensor]:
    adjacency = to_dense_adj(data.edge_index, max_num_nodes=len(data.x))[0].double()
    return surrogate, adjacency, data.x, data.y, data.train_mask


def of_features(
    task: gp.Task, training: gp.Training, hypergradient: gp.Hypergradient | None = None
) -> Tensor:
    """The meta-gradient of all features, [N, F]."""
    found = (hypergradient or gp.Unrolled())(task, training).features
    assert found is not None
    return found.dense().view(found.shape)


def finite_differences(
    task: gp.NodeClassification, training: gp.Training, entries: list[tuple[int, int]]
) -> Tensor:
    """Central differences of the attack loss after training, feature by feature."""
    bound = task.with_pseudo_labels(training, 0)
    start, clean = task.init(generator(0)), task.state.features
    assert clean is not None
    assert isinstance(bound, gp.NodeClassification)

    def loss(entry: tuple[int, int], change: float) -> float:
        index = torch.tensor(entry).unsqueeze(1)
        features = clean if int(clean.locate(index)) >= 0 else clean.flip(index)
        weight = features.weight.double().clone()
        weight[features.locate(index)] = bound.inputs.features.x[entry] + change
        flipped = torch.zeros_like(features.flipped)
        flipped[features.locate(index)] = True  # makes the dense matrix follow the weights
        features = dataclasses.replace(features, weight=weight, flipped=flipped)
        state = dataclasses.replace(task.state, features=features)
        params = bound.train(training, state, start)
        return bound.attack_loss(params, bound.prepare(state)).item()

    epsilon = 1e-7  # Adam bends sharply in the parameters of a feature that no node has
    differences = [loss(entry, epsilon) - loss(entry, -epsilon) for entry in entries]
    return torch.tensor(differences, dtype=torch.float64) / (2 * epsilon)


@SETTINGS
@OBJECTIVES
@pytest.mark.parametrize("surrogate", ["linear-gcn", "relu-gcn", "sgc", OwnGCN()])
def test_finite_differences(
    surrogate: str | nn.Module, objective: str, inner: dict[str, float]
) -> None:
    task = task_of(surrogate=surrogate, objective=objective, candidates=None, mix=0.3)
    training = gp.Training(**inner)
    entries = [divmod(code, 24) for code in range(0, 14 * 24, 17)]
    assert len({float(task.inputs.features.x[entry]) for entry in entries}) == 2
    expected = finite_differences(task, training, entries)
    found = of_features(task, training)[tuple(torch.tensor(entries).t())]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-8)


@SETTINGS
@OBJECTIVES
@SURROGATES
@pytest.mark.parametrize("num_features", [3, 24])
def test_factors_are_dense_autograd(
    surrogate: str, objective: str, inner: dict[str, float], num_features: int
) -> None:
    """Few features and many: the linear GCN propagates whichever side is narrower."""
    data = citation_graph(num_features=num_features, density=0.4)
    task = task_of(data, surrogate, objective=objective, mix=0.3)
    theta, problem = task.init(generator(0)), dense_problem(data, surrogate)
    labels = reference.pseudo_labels_of(*problem, theta, **inner)
    given = (*problem, theta, objective, labels)
    loss, expected = reference.node_meta_gradient(*given, lam=0.3, features=True, **inner)
    training = gp.Training(**inner)
    found = gp.Unrolled()(task, training)
    assert found.loss == pytest.approx(loss, rel=1e-12)
    torch.testing.assert_close(of_features(task, training), expected, rtol=1e-7, atol=1e-12)
    _, of_pairs = reference.node_meta_gradient(*given, lam=0.3, **inner)
    torch.testing.assert_close(found.values, of_pairs, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("columns", [8, 256])
@pytest.mark.parametrize("iterates", ["before", "after"])
@SURROGATES
def test_summed_gradients_are_dense_autograd(
    surrogate: str, iterates: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A-Meta-Both, also where the factors of the steps are cut to their rank."""
    monkeypatch.setattr(low_rank, "RECORDED_COLUMNS", columns)
    data, inner = citation_graph(), {"steps": 5, "lr": 0.1, "momentum": 0.5}
    task = task_of(data, surrogate, objective="both")
    theta, problem = task.init(generator(0)), dense_problem(data, surrogate)
    labels = reference.pseudo_labels_of(*problem, theta, **inner)
    _, expected = reference.node_meta_gradient(
        *problem, theta, "both", labels, approximate=iterates, features=True, **inner
    )
    found = of_features(task, gp.Training(**inner), gp.Approximate(iterates=iterates))
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-12)


@SURROGATES
def test_training_to_convergence_has_the_gradient_of_unrolling_it(surrogate: str) -> None:
    run = {"steps": 800, "lr": 0.5, "momentum": 0.9, "weight_decay": 0.05}
    task = task_of(surrogate=surrogate, objective="train")
    training, exact = gp.Training(**run), gp.Implicit(tolerance=1e-10, stationary=1e-9)
    found = of_features(task, training, exact)
    torch.testing.assert_close(found, of_features(task, training), rtol=1e-5, atol=1e-9)


@SETTINGS
@OBJECTIVES
@SURROGATES
@pytest.mark.parametrize("structure", [True, False])
def test_flip_by_flip(
    surrogate: str, objective: str, structure: bool, inner: dict[str, float]
) -> None:
    data = citation_graph(num_nodes=18, seed=2)
    task = task_of(
        data, surrogate, objective=objective, mix=0.3, candidates="all" if structure else None
    )
    expected = reference.metattack_with_features(
        *dense_problem(data, surrogate),
        task.init(generator(0)),
        budget=10,
        structure=structure,
        objective=objective,
        lam=0.3,
        **inner,
    )
    assert_flips(gp.MetaAttack(gp.Training(**inner), redraw=False)(task, 10), *transposed(expected))


@SURROGATES
def test_admissible_features_flip_by_flip(surrogate: str) -> None:
    data = citation_graph(num_nodes=18, seed=2)
    mask = torch.rand(18, 24, generator=torch.Generator().manual_seed(4)) < 0.1
    task = task_of(data, surrogate, candidates=None, feature_candidates=mask)
    expected = reference.metattack_with_features(
        *dense_problem(data, surrogate),
        task.init(generator(0)),
        budget=int(mask.sum()),
        structure=False,
        admissible=mask,
        objective="self",
        **OPTIMISERS[1],
    )
    found = gp.MetaAttack(gp.Training(**OPTIMISERS[1]), redraw=False)(task, int(mask.sum()))
    assert len(expected) == int(mask.sum())
    assert_flips(found, *transposed(expected))


def transposed(flips: list[tuple[str, reference.Flip]]) -> tuple[list[reference.Flip], list[str]]:
    """The flips of the reference, and the kind of each."""
    return [flip for _, flip in flips], [kind for kind, _ in flips]


def test_both_kinds_are_flipped_where_both_pay() -> None:
    flips = gp.MetaAttack(SHORT)(task_of(citation_graph(density=0.4)), 30).flips
    assert set(flips["kind"]) == {"edge", "feature"}
    assert set(flips[flips["kind"] == "feature"]["added"]) == {False, True}


def test_records_of_more_columns_than_features_are_summed() -> None:
    data = citation_graph(40, num_features=30)
    task = gp.NodeClassification(
        data, gp.ReLUGCN(hidden=low_rank.RECORDED_COLUMNS + 1), "train", feature_candidates="all"
    )
    found = gp.Unrolled()(task, gp.Training(steps=3, lr=0.1), seed=0)
    few = gp.Training(steps=3, lr=0.1)
    assert found.features is not None
    entries = task.state.features.pattern.index
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(low_rank, "RECORDED_COLUMNS", 10**6)
        whole = gp.Unrolled()(task, few, seed=0)
    torch.testing.assert_close(found.features.at(entries), whole.features.at(entries))


def test_a_module_of_ones_own() -> None:
    """The flip is the best of the admissible ones by finite differences."""
    mask = torch.rand(14, 24, generator=torch.Generator().manual_seed(2)) < 0.15
    task = task_of(surrogate=OwnGCN(), candidates=None, feature_candidates=mask)
    found = gp.MetaAttack(SHORT, redraw=False)(task, 1)
    entries = [(node, feature) for node, feature in mask.nonzero().tolist()]
    values = finite_differences(task, SHORT, entries)
    score = (1 - 2 * task.inputs.features.x[mask]) * values
    assert entries[int(score.argmax())] == tuple(found.feature_flips[:, 0].tolist())


ATTACKS = [
    gp.MetaAttack(SHORT, flips_per_step=3, constraints=[gp.NoSingletons()]),
    gp.MetaAttack(SHORT, allow_removals=False),
    gp.RandomAttack(allow_removals=True),
    gp.RandomAttack(constraints=[gp.NodeBudget(2)]),
]


@settings(max_examples=30, deadline=None)
@given(
    attack=st.sampled_from(ATTACKS),
    structure=st.booleans(),
    share=st.sampled_from([None, 0.02, 0.3]),
    budget=st.integers(0, 12),
    seed=st.integers(0, 30),
)
def test_properties(
    attack: gp.Attack, structure: bool, share: float | None, budget: int, seed: int
) -> None:
    """Binary stays binary, the budget is one, the mask holds, and twice is never."""
    data = citation_graph(seed=seed, dtype=torch.float32)
    mask = torch.ones(14, 24, dtype=torch.bool)
    if share is not None:
        mask = torch.rand(14, 24, generator=torch.Generator().manual_seed(seed)) < share
    x, edge_index = data.x.clone(), data.edge_index.clone()
    task = task_of(
        data,
        candidates="all" if structure else None,
        feature_candidates="all" if share is None else mask,
    )
    found = attack(task, budget, seed=seed)
    poisoned = found.apply(data)
    assert len(found) <= budget
    assert len(found) == found.pairs.size(1) + found.feature_flips.size(1)
    assert torch.equal(data.x, x)
    assert torch.equal(data.edge_index, edge_index)
    with tempfile.TemporaryDirectory() as place:
        found.save(Path(place, "flips.npz"))
        loaded = gp.Perturbation.load(Path(place, "flips.npz"))
        with np.load(Path(place, "flips.npz")) as arrays:
            assert json.loads(str(arrays["meta"]))["format"] == 1 + bool(
                found.feature_flips.numel()
            )
    assert torch.equal(loaded.feature_flips, found.feature_flips)
    changed = poisoned.x != x
    assert set(poisoned.x.unique().tolist()) <= {0.0, 1.0}
    assert int(changed.sum()) == found.feature_flips.size(1)
    assert bool(changed[tuple(found.feature_flips)].all())
    assert not bool((changed & ~mask).any())
    assert structure or torch.equal(poisoned.edge_index, edge_index)
    assert torch.equal(found.apply(poisoned).x, x)
    assert torch.equal(found.apply(poisoned).edge_index, edge_index)
    pd.testing.assert_frame_equal(attack(task, budget, seed=seed).flips, found.flips)
    for count in range(len(found) + 1):
        part = found.prefix(count)
        assert len(part) == count
        assert part.feature_flips.size(1) == int((part.flips["kind"] == "feature").sum())


def test_the_attack_is_the_same_without_the_option() -> None:
    data = citation_graph()
    mask = torch.zeros(14, 24, dtype=torch.bool)
    with_none = gp.MetaAttack(SHORT, 2)(task_of(data, feature_candidates=mask), 8)
    without = gp.MetaAttack(SHORT, 2)(gp.NodeClassification(data), 8)
    pd.testing.assert_frame_equal(with_none.flips, without.flips)
    assert without.flips["kind"].eq("edge").all()


def test_relabelling_nodes_and_features_relabels_flips() -> None:
    data = citation_graph()
    draw = torch.Generator().manual_seed(3)
    order, words = torch.randperm(14, generator=draw), torch.randperm(24, generator=draw)
    place, column = torch.argsort(order), torch.argsort(words)
    moved = Data(
        x=data.x[order][:, words],
        y=data.y[order],
        edge_index=place[data.edge_index],
        train_mask=data.train_mask[order],
    )
    here = of_features(task_of(data, objective="train"), gp.Training(steps=1), gp.Approximate())
    there = of_features(task_of(moved, objective="train"), gp.Training(steps=1), gp.Approximate())
    start = task_of(data).init(generator(0))
    moved_start = (start[0][words], start[1])
    gradient, other = (
        gp.Unrolled().at(task_of(graph, objective="train"), SHORT, task_of(graph).state, params)
        for graph, params in ((data, start), (moved, moved_start))
    )
    assert here.shape == there.shape
    values, moved_values = (g.features.dense().view(14, 24) for g in (gradient, other))
    torch.testing.assert_close(moved_values[place][:, column], values)


def test_random_flips_are_uniform_over_pairs_and_features() -> None:
    task = task_of()
    whole = task.state.num_pairs + task.state.features.num_pairs
    found = gp.RandomAttack(allow_removals=True)(task, whole)
    assert len(found) == whole == 91 + 14 * 24
    first = [gp.RandomAttack(allow_removals=True)(task, 40, seed=s).flips for s in range(50)]
    share = np.mean([(flips["kind"] == "feature").mean() for flips in first])
    assert share == pytest.approx(14 * 24 / whole, abs=0.03)
    leading = np.mean([flips["kind"].iloc[0] == "feature" for flips in first])
    assert leading == pytest.approx(14 * 24 / whole, abs=0.2)


def test_a_random_attack_finds_the_one_feature_that_is_admissible() -> None:
    mask = torch.zeros(14, 24, dtype=torch.bool)
    mask[3, 20] = mask[5, 7] = True
    task = task_of(candidates=None, feature_candidates=mask)
    found = gp.RandomAttack(allow_removals=True)(task, 2)
    assert {tuple(flip) for flip in found.feature_flips.t().tolist()} == {(3, 20), (5, 7)}


def test_node_budgets_count_flips_of_features() -> None:
    task = task_of()
    for attack in (gp.MetaAttack, gp.RandomAttack):
        options = {"training": SHORT, "flips_per_step": 5} if attack is gp.MetaAttack else {}
        found = attack(constraints=[gp.NodeBudget(2)], **options)(task, 20)
        ends = torch.cat([found.pairs.flatten(), found.feature_flips[0]])
        assert len(found) >= 10
        assert int(ends.bincount().max()) == 2


class NoWordTwice(gp.Constraint):
    """Of each feature, one node's at most is flipped."""

    def additions(self, state: PairState) -> None:
        return None

    def removals(self, state: PairState) -> None:
        return None

    def feature_flips(self, state: PairState):
        made = state.features.count_ends(state.features.index[:, state.features.flipped])[1]
        return lambda node, feature: (made[feature] == 0) & (node >= 0)

    def violation(self, clean: PairState, poisoned: PairState) -> None:
        return None


@pytest.mark.parametrize("attack", [gp.RandomAttack(constraints=[NoWordTwice()])])
def test_constraints_of_ones_own_may_be_about_features(attack: gp.Attack) -> None:
    meta = gp.MetaAttack(SHORT, flips_per_step=4, constraints=[NoWordTwice()])
    for chosen in (attack, meta):
        found = chosen(task_of(candidates=None), 24)
        assert len(found) == len(found.feature_flips[1].unique()) >= 20


def test_structural_constraints_leave_features_be() -> None:
    constraints = [gp.NoSingletons(), gp.DegreeDistribution(), gp.Connectivity()]
    task = task_of(candidates=None)
    free = gp.MetaAttack(SHORT, 2)(task, 8)
    bound = gp.MetaAttack(SHORT, 2, constraints=constraints)(task, 8)
    pd.testing.assert_frame_equal(free.flips, bound.flips)


def test_files_keep_both_kinds(tmp_path: Path) -> None:
    data = citation_graph()
    found = gp.MetaAttack(SHORT, 3)(task_of(data), 9)
    file = tmp_path / "new.npz"
    found.save(file)
    loaded = gp.Perturbation.load(file)
    pd.testing.assert_frame_equal(loaded.flips, found.flips)
    assert torch.equal(loaded.apply(data).x, found.apply(data).x)


def test_a_file_of_one_feature_flip_is_of_the_second_format(tmp_path: Path) -> None:
    task = task_of(candidates=None)
    for budget, version in ((0, 1), (1, 2)):
        gp.RandomAttack(allow_removals=True)(task, budget).save(tmp_path / "flips.npz")
        with np.load(tmp_path / "flips.npz") as arrays:
            assert json.loads(str(arrays["meta"]))["format"] == version


def test_resuming_ends_with_the_flips_of_an_uninterrupted_run(tmp_path: Path) -> None:
    for number, attack in enumerate(ATTACKS[:2]):
        file = tmp_path / f"{number}.npz"
        whole = attack(task_of(), 9)
        gp.Perturbation(whole.prefix(6).flips, whole.meta).save(file)
        resumed = attack(task_of(), 9, checkpoint=file)
        pd.testing.assert_frame_equal(resumed.flips, whole.flips)
    mask = torch.ones(14, 24, dtype=torch.bool)
    for other in (gp.NodeClassification(citation_graph()), task_of(feature_candidates=mask)):
        with pytest.raises(ValueError, match="is of another run"):
            attack(other, 9, checkpoint=file)


def test_a_checkpoint_before_features_is_still_of_its_run(tmp_path: Path) -> None:
    """The fingerprint of an attack on the structure is what it was before there was the option."""
    data = citation_graph()
    found = gp.MetaAttack(SHORT)(gp.NodeClassification(data), 0)
    labelled = data.train_mask.nonzero().squeeze(1)
    state = gp.NodeClassification(data).state
    assert found.meta["fingerprint"] == fingerprint(state, data.x, data.y, labelled)
    assert found.meta["task"] == "NodeClassification(LinearGCN(hidden=16), objective='self')"


class Cheat(gp.Attack):
    """Flips a feature that is no candidate, past what the state would let through."""

    constraints = ()
    flips_features = True

    def propose(self, task: gp.Task, state: PairState, *rest: object) -> Proposal:
        entries = task.state.features.index[:, :1]
        none = torch.zeros(1, dtype=torch.bool)
        return Proposal(gp.Flips(entries, none, torch.zeros(1), ~none))


def test_no_attack_can_cheat() -> None:
    mask = torch.zeros(14, 24, dtype=torch.bool)
    mask[0, 23] = True
    with pytest.raises(RuntimeError, match="no candidate was flipped"):
        Cheat()(task_of(feature_candidates=mask), 1)


def test_weighted_edges_and_features_go_together() -> None:
    data = citation_graph()
    data.edge_weight = torch.ones(data.edge_index.size(1), dtype=torch.float64)
    plain = gp.MetaAttack(SHORT)(task_of(), 6)
    pd.testing.assert_frame_equal(gp.MetaAttack(SHORT)(task_of(data), 6).flips, plain.flips)


@pytest.mark.parametrize("layout", [torch.strided, torch.sparse_coo, torch.sparse_csr])
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.bool])
def test_features_of_any_kind_are_flipped_in_kind(layout: torch.layout, dtype: torch.dtype) -> None:
    data = citation_graph(dtype=dtype)
    dense = data.x.clone()
    if layout != torch.strided:
        data.x = dense.to_sparse(layout=layout)
    entries = torch.tensor([[0, 1, 2], [23, 1, 5]])
    before = read_binary(data.x, entries)
    after = flip_binary(data.x, entries)
    assert (after.layout, after.dtype) == (layout, dtype)
    changed = after.to_dense() != dense
    assert int(changed.sum()) == 3
    assert bool(changed[tuple(entries)].all())
    assert torch.equal(read_binary(after, entries), ~before)


def test_victims_are_trained_on_the_flipped_features() -> None:
    data = gp.datasets.load("synthetic-citation", num_nodes=400, num_classes=3, num_words=300)
    task = gp.NodeClassification(data, candidates=None, feature_candidates="all")
    training = gp.Training(steps=30, lr=0.1, momentum=0.9)
    found = {
        "meta": gp.MetaAttack(training, flips_per_step=40)(task, 400),
        "random": gp.RandomAttack(allow_removals=True)(task, 400),
    }
    report = gp.evaluate(data, found, "gcn", seeds=[0, 1], budgets=[0, 400])
    drop = report.table.set_index(["attack", "flips"])["drop"]
    assert drop["meta", 0] == 0.0
    assert drop["meta", 400] > drop["random", 400] + 0.02


def test_the_search_goes_through_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = torch.rand(14, 24, generator=torch.Generator().manual_seed(1)) < 0.5
    whole = {}
    for surrogate in ("linear-gcn", "relu-gcn", "sgc"):
        task = task_of(surrogate=surrogate, feature_candidates=mask)
        whole[surrogate] = gp.MetaAttack(SHORT, 4)(task, 12)
    monkeypatch.setattr(factored, "TILE_ENTRIES", 50)
    for surrogate, expected in whole.items():
        task = task_of(surrogate=surrogate, feature_candidates=mask)
        assert_same_flips(gp.MetaAttack(SHORT, 4)(task, 12), expected)


def assert_same_flips(found: gp.Perturbation, expected: gp.Perturbation) -> None:
    pd.testing.assert_frame_equal(found.flips, expected.flips, rtol=1e-9)


def test_single_entries_are_those_of_the_whole() -> None:
    for surrogate in ("linear-gcn", "relu-gcn", "sgc", OwnGCN()):
        task = task_of(surrogate=surrogate)
        found: FactoredGradient = gp.Unrolled()(task, SHORT).features
        entries = torch.stack([torch.arange(14), torch.arange(14) + 5])
        whole = found.dense().view(found.shape)
        torch.testing.assert_close(found.at(entries), whole[tuple(entries)])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"feature_candidates": "al"}, ValueError, "Did you mean 'all'"),
        ({"feature_candidates": 5}, TypeError, "'all', None or a BoolTensor"),
        ({"feature_candidates": torch.ones(14, 24)}, ValueError, "found torch.float32"),
        ({"feature_candidates": torch.ones(3, 24).bool()}, ValueError, r"BoolTensor \(14, 24\)"),
        ({"feature_candidates": None, "candidates": None}, ValueError, "nothing to flip"),
    ],
)
def test_bad_options_are_named(
    options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        task_of(**options)


def test_features_that_are_not_binary_are_refused() -> None:
    data = citation_graph(density=0.4)
    normalised = NormalizeFeatures()(data.clone())
    with pytest.raises(ValueError, match=r"numbers, such as 0\.\d+\. Attack the binary features"):
        task_of(normalised)
    found = gp.MetaAttack(SHORT)(task_of(data, candidates=None), 4)
    with pytest.raises(ValueError, match="features can be flipped where they are 0 or 1"):
        found.apply(normalised)
    with pytest.raises(ValueError, match=r"beyond data\.x"):
        found.apply(Data(edge_index=data.edge_index, num_nodes=14))
    data.x = data.x.clone()
    data.x[tuple(found.feature_flips[:, :1])] = 1 - data.x[tuple(found.feature_flips[:, :1])]
    with pytest.raises(ValueError, match="1 of 4 flips do not fit this graph"):
        found.apply(data)


def test_cooccurrence_is_the_test_written_out() -> None:
    data = citation_graph(num_nodes=12, density=0.15)
    data.x[:, 23] = 0.0
    data.x[3] = 0.0
    data.x[3, 23] = 1.0  # a feature that never occurs with another
    expected = reference.cooccurrence_test(data.x)
    found = gp.cooccurring_features(data)
    assert torch.equal(found, expected)
    assert 0 < int((found & (data.x == 0)).sum()) < int((data.x == 0).sum())
    task = task_of(data, candidates=None, feature_candidates=found)
    flips = gp.MetaAttack(SHORT, 4, redraw=False)(task, 20).feature_flips
    assert flips.size(1) == 20
    assert bool(found[tuple(flips)].all())
    with pytest.raises(TypeError, match=r"data\.x"):
        gp.cooccurring_features(Data(edge_index=data.edge_index))


@pytest.mark.parametrize("attack", [gp.DICE(), gp.DegreeAttack(), gp.PGDAttack(SHORT), gp.PRBCD()])
def test_attacks_on_edges_alone_say_so(attack: gp.Attack) -> None:
    with pytest.raises(ValueError, match="flips only edges; leave feature_candidates out"):
        attack(task_of(), 3)


def test_budgets_are_of_edges() -> None:
    task = task_of()
    assert gp.Budget.fraction(0.5).resolve(task.state) == task.state.num_edges // 2
    with pytest.raises(ValueError, match="91 pairs of the graph and the 336 features"):
        gp.Budget(428).resolve(task.state)
