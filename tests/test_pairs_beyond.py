"""Recommenders' corner cases: pairs beyond the training pairs, kept-out edges, reverse types."""

import pandas as pd
import pytest
import torch
from conftest import Scores, interaction_graph
from torch import nn
from torch_geometric.data import HeteroData

import graphpoison as gp
from graphpoison._random import generator

KIND = ("user", "rates", "item")
BACK = ("item", "rev_rates", "user")
SHORT = gp.Training(steps=5, lr=0.3)
ADAM = gp.Training(steps=10, lr=0.05, optimizer="adam")


def both_ways(data: HeteroData) -> HeteroData:
    data[BACK].edge_index = data[KIND].edge_index.flip(0)
    data[BACK].neg_edge_index = data[KIND].neg_edge_index.flip(0)
    return data


@pytest.mark.parametrize("model", [gp.CF(dim=3), gp.NeuMF(3, (4,)), gp.LightGCN(dim=3)])
def test_self_training_has_a_gradient_at_the_clean_graph(model: gp.Recommender) -> None:
    task = gp.Recommendation(interaction_graph(), model, "self", dtype=torch.float64)
    assert float(gp.Unrolled()(task, ADAM).values.abs().max()) > 1e-6


def test_clean_labels_are_of_another_start_than_the_one_attacked() -> None:
    task = gp.Recommendation(interaction_graph(), gp.CF(dim=3), "self", dtype=torch.float64)
    bound = task.with_pseudo_labels(SHORT, seed=3)
    params = task.train(SHORT, task.state, task.init(generator(3, *task.clean_stream)))
    prepared = task.prepare(task.state)
    assert task.target_pairs is not None
    assert bound.target_labels is not None
    expected = task.surrogate.pair_scores(params, prepared, task.target_pairs).sigmoid()
    torch.testing.assert_close(bound.target_labels, expected.detach())


def test_edges_held_out_are_edges_of_the_graph_attacked(caplog: pytest.LogCaptureFixture) -> None:
    data = interaction_graph()
    task = gp.Recommendation(data, gp.CF(dim=2), "heldout")
    assert task.state.num_edges < 20
    flips = gp.MetaAttack(SHORT)(task, gp.Budget.fraction(0.2))
    assert len(flips) == 4
    assert flips.meta["num_edges"] == 20
    assert len(flips.prefix(0.1)) == 2
    poisoned = flips.apply(data)
    gp.evaluate(data, flips, seeds=[0])
    assert not caplog.records
    with pytest.raises(ValueError, match="are in this graph already"):
        gp.evaluate(poisoned, flips, seeds=[0])
    joined = gp.NewUsers(2, gp.MetaAttack(SHORT, allow_removals=False))(task, 3)
    joined.apply(data)
    assert not caplog.records


@pytest.mark.parametrize("candidates", ["all", "listed"])
@pytest.mark.parametrize("negatives", [True, False])
def test_figures_of_a_budget_do_not_depend_on_others(candidates: str, negatives: bool) -> None:
    data = interaction_graph()
    if not negatives:
        del data[KIND].neg_edge_index
    listed = torch.cartesian_prod(torch.arange(7), torch.arange(9)).t()
    task = gp.Recommendation(
        data, gp.CF(dim=3), candidates="all" if candidates == "all" else listed
    )
    flips = gp.MetaAttack(ADAM, flips_per_step=5)(task, 20)
    beside = {"meta": flips, "random": gp.RandomAttack()(gp.Recommendation(data), 20)}
    victims = [gp.CF(dim=3), gp.MLP(3, (4,)), gp.LightGCN(dim=3)]
    alone = gp.evaluate(data, flips, victims, seeds=[0], budgets=[5]).runs
    together = gp.evaluate(data, beside, victims, seeds=[0], budgets=[5, 20]).runs
    chosen = together[(together["attack"] == "meta") & (together["flips"] == 5)]
    pd.testing.assert_frame_equal(
        alone.drop(columns="attack").reset_index(drop=True),
        chosen.drop(columns="attack").reset_index(drop=True),
    )


def test_more_budgets_go_on_from_the_same_file(tmp_path: object) -> None:
    data, file = interaction_graph(), f"{tmp_path}/runs.csv"
    task = gp.Recommendation(data, gp.CF(dim=3), candidates="all")
    flips = gp.MetaAttack(ADAM, flips_per_step=5)(task, 20)
    gp.evaluate(data, flips, [gp.CF(dim=3)], [0], budgets=[5], checkpoint=file)
    more = gp.evaluate(data, flips, [gp.CF(dim=3)], [0], budgets=[5, 20], checkpoint=file)
    whole = gp.evaluate(data, flips, [gp.CF(dim=3)], [0], budgets=[5, 20])
    pd.testing.assert_frame_equal(more.runs, whole.runs)


@pytest.mark.parametrize("perturbed", [True, False])
def test_a_victim_of_poisoned_pairs_is_one_of_the_poisoned_data(perturbed: bool) -> None:
    data = interaction_graph()
    task = gp.Recommendation(data, gp.CF(dim=3), candidates="all")
    flips = gp.MetaAttack(ADAM, flips_per_step=5)(task, 12)
    victim = gp.RecommenderVictim(gp.CF(dim=3), "cf", ADAM, start=7)
    report = gp.evaluate(data, flips, [victim], [0], include_perturbed=perturbed)
    by_hand = gp.Recommendation(flips.apply(data), gp.CF(dim=3))
    params = by_hand.train(ADAM, by_hand.state, by_hand.init(generator(7)))
    pattern, labels = by_hand.state.pattern, by_hand.state.weight
    scores = by_hand.surrogate.pair_scores(params, by_hand.prepare(by_hand.state), pattern)
    flipped = torch.isin(pattern.codes, flips.pairs[0] * 9 + flips.pairs[1])
    kept = torch.ones_like(flipped) if perturbed else ~flipped
    losses = nn.functional.binary_cross_entropy_with_logits(scores[kept], labels[kept])
    runs = report.runs
    found = runs[(runs["metric"] == "log_loss") & (runs["split"] == "train")]["poisoned"].item()
    assert found == pytest.approx(float(losses), rel=1e-5)


def test_negatives_of_the_reverse_type_are_kept_in_step() -> None:
    data = both_ways(interaction_graph())
    flips = gp.RandomAttack(allow_removals=True)(
        gp.Recommendation(data, gp.CF(dim=2), edge_type=BACK), 8
    )
    poisoned = flips.apply(data)
    for key in ("edge_index", "neg_edge_index"):
        there = {tuple(pair) for pair in poisoned[BACK][key].flip(0).t().tolist()}
        assert {tuple(pair) for pair in poisoned[KIND][key].t().tolist()} == there
    gp.Recommendation(poisoned, gp.CF(dim=2), edge_type=KIND)
    joined = gp.NewUsers(2)(gp.Recommendation(data, gp.CF(dim=2), edge_type=KIND), 3).apply(data)
    forward, back = (joined[kind].neg_edge_index for kind in (KIND, BACK))
    assert set(map(tuple, forward.t().tolist())) == set(map(tuple, back.flip(0).t().tolist()))


def test_attributes_named_after_an_index_follow_their_edges() -> None:
    data = interaction_graph()
    data[KIND].session_index = torch.arange(20) + 1
    poisoned = gp.RandomAttack(allow_removals=True)(gp.Recommendation(data), 8).apply(data)
    before = dict(zip(map(tuple, data[KIND].edge_index.t().tolist()), range(1, 21), strict=True))
    pairs = map(tuple, poisoned[KIND].edge_index.t().tolist())
    expected = [before.get(pair, 0) for pair in pairs]
    assert poisoned[KIND].session_index.tolist() == expected


def test_a_reverse_type_without_edges_is_left_alone() -> None:
    data = interaction_graph()
    data["item", "similar", "user"].edge_attr = torch.zeros(3)
    poisoned = gp.RandomAttack()(gp.Recommendation(data, edge_type=KIND), 2).apply(data)
    assert torch.equal(poisoned["item", "similar", "user"].edge_attr, torch.zeros(3))


def test_fake_users_have_no_raw_id_of_somebody(tmp_path: object) -> None:
    data = interaction_graph()
    data["user"].raw_id = torch.arange(100, 107)
    data["user"].x = torch.ones(7, 2)
    joined = gp.NewUsers(2)(gp.Recommendation(data, gp.CF(dim=2)), 6).apply(data)
    assert joined["user"].x.shape == (9, 2)
    assert torch.equal(joined["user"].raw_id, data["user"].raw_id)
    gp.datasets.write_interactions(joined, f"{tmp_path}/out.csv")
    users = set(pd.read_csv(f"{tmp_path}/out.csv")["user"])
    assert users <= set(range(100, 109))
    assert users & {107, 108}


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_ranking_leaves_the_output_bias_where_it_was(decay: float) -> None:
    task = gp.Recommendation(interaction_graph(), gp.MLP(3, (4,)), "heldout", loss="bpr")
    training = gp.Training(steps=20, lr=0.1, optimizer="adam", weight_decay=decay)
    start = task.init(generator(0))
    assert torch.equal(task.train(training, task.state, start)[-1], start[-1])


def test_seeds_of_a_transfer_matrix_are_different_numbers() -> None:
    data = interaction_graph()
    attack = gp.MetaAttack(SHORT)
    with pytest.raises(ValueError, match="seeds must be one or more different"):
        gp.transfer_matrix(data, ["cf"], ["cf"], attack, 2, seeds=[0, 0])
    with pytest.raises(TypeError, match="seeds must be several numbers"):
        gp.transfer_matrix(data, ["cf"], ["cf"], attack, 2, seeds=3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ("edge_index", "1 unseen interactions are training interactions too"),
        ("unseen_neg_edge_index", "1 pairs of unseen_neg_edge_index are also in unseen_edge_index"),
    ],
)
def test_unseen_pairs_that_are_something_else_too_are_refused(others: str, said: str) -> None:
    data = interaction_graph()
    flips = gp.RandomAttack()(gp.Recommendation(data), 2)
    data[KIND].unseen_edge_index = torch.cat(
        [data[KIND].unseen_edge_index, data[KIND][others][:, :1]], dim=1
    )
    with pytest.raises(ValueError, match=said):
        gp.evaluate(data, flips, seeds=[0])


def test_where_every_pair_was_flipped_training_metrics_are_undefined() -> None:
    data = interaction_graph()
    flips = gp.RandomAttack(allow_removals=True)(gp.Recommendation(data, "cf"), 38)
    runs = gp.evaluate(data, flips, [gp.CF(dim=2)], seeds=[0]).runs
    assert runs[runs["split"] == "train"][["clean", "poisoned"]].isna().all(axis=None)
    assert runs[runs["split"] == "unseen"]["poisoned"].notna().all()


def test_a_module_of_too_few_users_is_named() -> None:
    data = interaction_graph()
    for build in (
        lambda: gp.MetaAttack(SHORT)(gp.Recommendation(data, Scores(5)), 2),
        lambda: gp.NewUsers(2)(gp.Recommendation(data, Scores(7)), 2),
    ):
        with pytest.raises(ValueError, match=r"failed on [79] users and 9 items.*build it"):
            build()


def test_narrow_indices_of_many_users_and_items() -> None:
    found = []
    for dtype in (torch.int64, torch.int32):
        data = HeteroData()
        data["user"].num_nodes, data["item"].num_nodes = 60_000, 50_000  # more pairs than 2^31
        store = data[KIND]
        store.edge_index = torch.tensor([[0, 7, 59_999], [3, 49_999, 49_998]], dtype=dtype)
        store.neg_edge_index = torch.tensor([[1, 59_998], [2, 49_997]], dtype=dtype)
        flips = gp.RandomAttack(allow_removals=True)(gp.Recommendation(data, gp.CF(dim=2)), 3)
        poisoned = flips.apply(data)[KIND]
        found.append((flips.pairs, poisoned.edge_index, poisoned.neg_edge_index))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
