"""The strongest attack on node classifiers, part by part: SGC, stops, lookahead, swaps."""

import logging
from dataclasses import replace
from typing import Any

import pytest
import reference
import torch
from conftest import citation_graph, interaction_graph
from torch import Tensor
from torch_geometric.utils import to_dense_adj

import graphpoison as gp
from graphpoison._random import generator
from graphpoison.hypergradient import MetaGradient
from graphpoison.training import gram

SETTINGS: dict[str, Any] = {"steps": 9, "lr": 0.3, "momentum": 0.9}
TRAINING = gp.Training(**SETTINGS)
HALF = gp.TanhMargin(scale=0.5)


def node_task(surrogate: Any = "sgc", **options: Any) -> gp.NodeClassification:
    return gp.NodeClassification(citation_graph(18, 2), surrogate, attack_loss=HALF, **options)


# --- SGC --------------------------------------------------------------------------------------


@pytest.mark.parametrize("hops", [1, 2, 3])
@pytest.mark.parametrize("num_features", [2, 24])
@pytest.mark.parametrize("optimizer", [{"momentum": 0.9, "weight_decay": 0.01}, {"clip": 0.1}])
def test_sgc_of_any_number_of_hops(
    hops: int, num_features: int, optimizer: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few features or many, in Gram coordinates or by autograd: the dense meta-gradient."""
    data = citation_graph(num_features=num_features, density=0.4)
    task = gp.NodeClassification(data, gp.SGC(hops), "self")
    settings = {"steps": 6, "lr": 0.4, **optimizer}
    used: list[object] = []
    inner = gram.LogisticGramField.linearise

    def linearise(field: gram.LogisticGramField, coordinates: Any) -> Any:
        used.append(field)
        return inner(field, coordinates)

    monkeypatch.setattr(gram.LogisticGramField, "linearise", linearise)
    theta = task.init(generator(0))
    adjacency = to_dense_adj(data.edge_index, max_num_nodes=14)[0].double()
    problem = (f"sgc{hops}", adjacency, data.x, data.y, data.train_mask)
    labels = reference.pseudo_labels_of(*problem, theta, **settings)
    _, expected = reference.node_meta_gradient(*problem, theta, "self", labels, **settings)
    found = gp.Unrolled()(task, gp.Training(**settings)).values
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-12)
    assert bool(used) == (num_features == 24 and "clip" not in optimizer)


def test_sgc_starts_at_zero_whatever_the_seed() -> None:
    task = node_task()
    (weight,) = task.init(generator(5))
    assert weight.shape == (24, 3)
    assert not bool(weight.any())
    attack = gp.MetaAttack(TRAINING)
    assert torch.equal(attack(task, 4, seed=1).pairs, attack(task, 4, seed=2).pairs)
    with pytest.raises(ValueError, match="hops must be at least 1"):
        gp.SGC(0)


def test_sgc_from_another_start_is_left_to_autograd() -> None:
    task = gp.NodeClassification(citation_graph(18, 2), "sgc", "train")
    start = (torch.randn(24, 3, dtype=torch.float64, generator=generator(0)),)
    field = task.training_field(task.prepare(task.state), start, linear=True)
    assert not isinstance(field, gram.LogisticGramField)


# --- Several stops ----------------------------------------------------------------------------


@pytest.mark.parametrize("surrogate", ["sgc", "linear-gcn", "relu-gcn"])
def test_stops_are_a_mean_over_lengths_of_training(surrogate: str) -> None:
    task = node_task(surrogate).with_pseudo_labels(TRAINING, 0)

    def at(steps: int, *stops: int) -> MetaGradient:
        return gp.Unrolled(stops)(task, replace(TRAINING, steps=steps))

    found, parts = at(9, 3, 6, 9), [at(3), at(6), at(9)]
    torch.testing.assert_close(found.values, sum(part.values for part in parts) / 3)
    assert found.loss == pytest.approx(sum(part.loss for part in parts) / 3)
    assert torch.equal(at(9, 9).values, at(9).values)


@pytest.mark.parametrize("stops", [(), (4, 9)])
def test_the_loss_alone_is_the_loss_of_the_gradient(stops: tuple[int, ...]) -> None:
    task = node_task("linear-gcn").with_pseudo_labels(TRAINING, 0)
    start, unrolled = task.init(generator(0)), gp.Unrolled(stops)
    loss = unrolled.loss(task, TRAINING, task.state, start)
    assert loss == pytest.approx(unrolled.at(task, TRAINING, task.state, start).loss, rel=1e-12)
    ranked = gp.Recommendation(interaction_graph(), "ease", gp.Degrade(k=3))
    start = ranked.init(generator(0))
    loss = unrolled.loss(ranked, TRAINING, ranked.state, start)
    assert loss == pytest.approx(unrolled.at(ranked, TRAINING, ranked.state, start).loss)


@pytest.mark.parametrize(
    ("stops", "error", "message"),
    [
        ((3, 3, 9), ValueError, "must increase"),
        ((0, 9), ValueError, "stops must be at least 1"),
        ((1.5, 9), TypeError, "stops must be an integer"),
        ((3, 6), ValueError, "must be the number of training steps, found steps=9"),
    ],
)
def test_stops_are_checked(stops: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        gp.MetaAttack(TRAINING, hypergradient=gp.Unrolled(stops))


# --- Lookahead --------------------------------------------------------------------------------


def trained_loss(task: gp.NodeClassification, pairs: Tensor) -> float:
    state = task.state.flip(pairs) if pairs.size(1) else task.state
    params = task.train(TRAINING, state, task.init(generator(0)))
    with torch.no_grad():
        return float(task.attack_loss(params, task.prepare(state)))


def test_lookahead_takes_the_best_flip_after_retraining() -> None:
    places = []
    for seed in range(6):
        data = citation_graph(18, seed)
        task = gp.NodeClassification(data, "sgc", attack_loss=HALF).with_pseudo_labels(TRAINING, 0)
        first = gp.Unrolled()(task, TRAINING).topk(6)
        losses = [trained_loss(task, first.pairs[:, [place]]) for place in range(6)]
        places.append(max(range(6), key=losses.__getitem__))
        found = gp.MetaAttack(TRAINING, lookahead=6)(task, 1)
        assert torch.equal(found.pairs, first.pairs[:, [places[-1]]])
    assert any(places)  # the derivative alone would have taken another flip
    with pytest.raises(ValueError, match="chooses one flip a step"):
        gp.MetaAttack(TRAINING, 2, lookahead=3)


# --- Swaps ------------------------------------------------------------------------------------


def test_swaps_never_lose_attack_loss_and_mostly_win() -> None:
    won = 0
    for seed in range(6):
        data = citation_graph(24, seed)
        task = gp.NodeClassification(data, "sgc", attack_loss=HALF)
        task = task.with_pseudo_labels(TRAINING, 0)
        greedy = gp.MetaAttack(TRAINING)
        before = trained_loss(task, greedy(task, 8).pairs)
        after = trained_loss(task, gp.SwapSearch(greedy, rounds=6, share=0.5)(task, 8).pairs)
        assert after >= before - 1e-12
        won += after > before + 1e-9
    assert won >= 3


def test_no_rounds_are_the_greedy_attack() -> None:
    task, greedy = node_task(), gp.MetaAttack(TRAINING, constraints=(gp.NoSingletons(),))
    found, expected = gp.SwapSearch(greedy, rounds=0)(task, 6), greedy(task, 6)
    assert torch.equal(found.pairs, expected.pairs)
    assert found.flips["step"].tolist() == [0] * 6
    assert found.flips["attack_loss"].iloc[0] == pytest.approx(
        expected.flips["attack_loss"].iloc[0]
    )
    assert len(gp.SwapSearch(greedy)(task, 0)) == 0


def test_swaps_keep_the_constraints_and_their_kinds() -> None:
    task = node_task()
    rules = (gp.NodeBudget(2), gp.NoSingletons())
    greedy = gp.MetaAttack(TRAINING, constraints=rules, allow_removals=False)
    search = gp.SwapSearch(greedy, rounds=4, share=0.5)
    found = search(task, 8)
    assert found.flips["added"].all()
    assert gp.random_like(search) == gp.RandomAttack(rules)
    counts = found.pairs.flatten().bincount()
    assert int(counts.max()) <= 2


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"attack": gp.DICE()}, TypeError),
        ({"rounds": -1}, ValueError),
        ({"share": 0.0}, ValueError),
    ],
)
def test_settings_of_swaps_are_checked(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        gp.SwapSearch(**options)


# --- The preset -------------------------------------------------------------------------------


def test_the_preset_is_its_parts() -> None:
    data = gp.datasets.load("synthetic-citation", num_nodes=150, num_words=80)
    found = gp.strongest_metattack(data, 6)
    task = gp.NodeClassification(
        data, surrogate="sgc", objective="self", attack_loss=gp.TanhMargin(scale=0.5)
    )
    expected = gp.strongest_attack()(task, 6)
    assert found.meta == expected.meta
    assert torch.equal(found.pairs, expected.pairs)
    share = gp.strongest_metattack(data, 0.01, constraints=(), attack_loss="cross-entropy")
    assert len(share) == round(0.01 * data.num_edges / 2)


def test_several_flips_of_a_gradient_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    data = gp.datasets.load("synthetic-citation", num_nodes=150, num_words=80)
    task = gp.NodeClassification(data, "sgc")
    with caplog.at_level(logging.WARNING):
        gp.MetaAttack(TRAINING)(task, 4)
        gp.MetaAttack(TRAINING, 10)(task, 30)
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        gp.MetaAttack(TRAINING, 2)(task, 6)
    assert [record.getMessage()[:17] for record in caplog.records] == ["flips_per_step=2:"]


def test_a_graph_without_features_has_the_identity() -> None:
    data = citation_graph(18, 2)
    data.x = None
    data.num_nodes = 18
    graph = gp.read_graph(data)
    assert torch.equal(graph.x, torch.eye(18))
    assert len(gp.MetaAttack(TRAINING)(gp.NodeClassification(data, "sgc"), 2)) == 2
    data.num_nodes = 20_001
    with pytest.raises(ValueError, match="20,001 nodes; the identity as features"):
        gp.read_graph(data)


@pytest.mark.parametrize("seed", range(4))
def test_the_flips_made_are_the_flips_searched_for(seed: int) -> None:
    """All of one step, so that no flip was dropped, and at least as strong as greedy flips."""
    data = gp.datasets.load("synthetic-citation", num_nodes=150, num_words=80, seed=seed)
    task = gp.NodeClassification(data, "sgc", attack_loss=HALF).with_pseudo_labels(TRAINING, 0)
    rules = (gp.NoSingletons(), gp.DegreeDistribution())
    greedy = gp.MetaAttack(TRAINING, constraints=rules)
    found = gp.SwapSearch(greedy, rounds=6, share=0.3)(task, 20)
    assert found.flips["step"].tolist() == [0] * 20
    assert trained_loss(task, found.pairs) >= trained_loss(task, greedy(task, 20).pairs) - 1e-6


@pytest.mark.parametrize("attack", [gp.SwapSearch(), gp.MetaAttack(TRAINING, lookahead=2)])
def test_losses_that_do_not_compare_are_refused(attack: gp.Attack) -> None:
    for loss in ("masked-cross-entropy", gp.CostAware(5.0)):
        task = gp.NodeClassification(citation_graph(18, 2), "sgc", attack_loss=loss)
        with pytest.raises(ValueError, match="decreases when a node becomes misclassified"):
            attack(task, 2)


def test_no_flips_of_a_gradient() -> None:
    found = gp.Unrolled()(node_task(), TRAINING)
    assert len(found.topk(0, constraints=(gp.NoSingletons(),))) == 0
    with pytest.raises(ValueError, match="must be the number of training steps"):
        gp.Unrolled((3, 20))(node_task(), TRAINING)


def test_prefixes_of_a_search_are_named_in_the_report() -> None:
    data = gp.datasets.load("synthetic-citation", num_nodes=150, num_words=80)
    flips = gp.strongest_metattack(data, 4)
    whole = gp.evaluate(data, flips, "mlp", [0])
    assert whole.meta["warnings"] == []
    cut = gp.evaluate(data, flips, "mlp", [0], budgets=[0, 2, 4])
    assert "attack each budget by itself" in cut.meta["warnings"][0]
