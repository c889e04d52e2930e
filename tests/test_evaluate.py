"""Victims, reports and metrics."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import citation_graph, interaction_graph
from scipy import stats
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from torch import Tensor, nn
from torch_geometric.data import HeteroData
from torch_geometric.nn import GCNConv, SAGEConv

import graphpoison as gp
from graphpoison._random import generator
from graphpoison.metrics import confidence_halfwidth, drop, link_metrics
from graphpoison.models.extra_users import ExtraUsers
from graphpoison.report import Report
from graphpoison.victims import node_victim
from graphpoison.victims.base import VICTIM_STREAM

Pair = tuple[int, int]
KIND = ("user", "rates", "item")
QUICK = gp.RecommenderVictim(gp.CF(dim=2), "cf", gp.Training(steps=5, lr=0.1, optimizer="adam"))


def random_flips(data: HeteroData, count: int = 8, seed: int = 0) -> gp.Perturbation:
    return gp.RandomAttack()(gp.Recommendation(data, gp.CF(dim=2)), count, seed=seed)


def test_node_reports_pair_clean_and_poisoned_by_seed() -> None:
    data = citation_graph(num_nodes=30, dtype=torch.float32)
    attack = gp.RandomAttack()(gp.NodeClassification(data), 10)
    report = gp.evaluate(data, attack, ["gcn"], seeds=[0, 1, 2], budgets=[0, 5, 10])
    assert set(report.runs["flips"]) == {0, 5, 10}
    unharmed = report.runs[report.runs["flips"] == 0]
    assert unharmed["clean"].tolist() == unharmed["poisoned"].tolist()
    assert report.runs.groupby("seed")["clean"].nunique().eq(1).all()
    table = report.table
    runs = report.runs[report.runs["flips"] == 10]
    lost = runs["clean"] - runs["poisoned"]
    row = table[table["flips"] == 10].iloc[0]
    assert row["drop"] == pytest.approx(lost.mean())
    assert row["ci95"] == pytest.approx(stats.t.ppf(0.975, 2) * lost.sem())
    again = gp.evaluate(data, attack, ["gcn"], seeds=[0, 1, 2], budgets=[0, 5, 10])
    pd.testing.assert_frame_equal(again.runs, report.runs)


def test_victims_keep_the_epoch_of_best_validation_accuracy() -> None:
    data = citation_graph(num_nodes=30, dtype=torch.float32)

    class Fixed(nn.Module):
        """Answers by the number of training steps so far; right at the third for validation."""

        def __init__(self) -> None:
            super().__init__()
            self.shift = nn.Parameter(torch.zeros(1))
            self.steps = 0

        def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
            self.steps += self.training
            right = nn.functional.one_hot(data.y, 3).float()
            logits = right if self.steps == 3 else right.roll(1, dims=1)
            return logits * (1 + self.steps) + self.shift

    victim = gp.ModuleVictim(lambda features, classes: Fixed(), "fixed", epochs=6)
    assert torch.equal(victim.fit(gp.read_graph(data), seed=0).logits().argmax(dim=1), data.y)


def test_a_module_factory_is_a_victim_and_cached_ones_are_refused() -> None:
    data = citation_graph(num_nodes=30, dtype=torch.float32)
    flips = gp.RandomAttack()(gp.NodeClassification(data), 4)

    class OneLayer(nn.Module):
        def __init__(self, features: int, classes: int) -> None:
            super().__init__()
            self.layer = SAGEConv(features, classes)

        def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
            return self.layer(x, edge_index)

    table = gp.evaluate(data, flips, [OneLayer], seeds=[0]).table
    assert table["victim"].tolist() == ["OneLayer"]
    with pytest.raises(ValueError, match="cached=True"):
        gp.evaluate(data, flips, [lambda i, o: GCNConv(i, o, cached=True)], seeds=[0])
    with pytest.raises(ValueError, match=r"victims='gnc' is not known.*'gcn'"):
        node_victim("gnc")


class ErringVictim(gp.Victim):
    """A victim that knows the label of every pair of the graph it is fitted to, but for one pair.

    A pair is in a metric exactly if the accuracy of the victim that errs there is below 1.
    """

    def __init__(self, pair: Pair) -> None:
        self.name = str(pair)
        self.pair = pair

    def fit(self, graph: gp.Interactions, seed: int) -> "ScoreTable":
        known = torch.cat([graph.edge_index, graph.unseen], dim=1)
        table = -torch.ones(graph.num_users, graph.num_items)
        table[known[0], known[1]] = 1.0
        table[self.pair] *= -1.0
        return ScoreTable(table)


class ScoreTable:
    """The scores of all pairs, as a fitted recommender without a base class."""

    def __init__(self, table: Tensor) -> None:
        self.table = table

    def scores(self, users: Tensor) -> Tensor:
        return self.table[users]

    def pairs(self, index: Tensor) -> Tensor:
        return self.table[index[0], index[1]]


def pair_set(*indices: Tensor) -> set[Pair]:
    return {(user, item) for index in indices for user, item in index.t().tolist()}


def pairs_in_metric(runs: pd.DataFrame, split: str, column: str) -> set[str]:
    """The names of victims with an accuracy below 1."""
    rows = runs.query(f"metric == 'accuracy' and split == '{split}'")
    return set(rows.loc[rows[column] < 1, "victim"])


@pytest.mark.parametrize(
    ("candidates", "include"), [("sampled", False), ("sampled", True), ("all", False)]
)
def test_perturbed_pairs_are_left_out_unless_asked_for(candidates: str, include: bool) -> None:
    data = interaction_graph()
    graph = gp.read_graph(data)
    task = gp.Recommendation(data, gp.CF(dim=2), candidates=candidates)
    attack = gp.RandomAttack(allow_removals=True)(task, 12)
    assert attack.flips["added"].nunique() == 2
    train = pair_set(graph.edge_index, graph.negatives)
    unseen = pair_set(graph.unseen, graph.unseen_negatives)
    flipped = pair_set(attack.pairs)
    assert flipped & train
    assert bool(flipped & unseen) == (candidates == "all")
    victims = [ErringVictim(pair) for pair in itertools.product(range(7), range(9))]
    runs = gp.evaluate(data, attack, victims, [0], include_perturbed=include).runs
    left_out = set() if include else flipped
    for column in ("clean", "poisoned"):
        for split, pairs in (("train", train), ("unseen", unseen)):
            expected = {str(pair) for pair in pairs - left_out}
            assert pairs_in_metric(runs, split, column) == expected
    assert runs.query("victim == '(0, 0)'")["split"].value_counts().to_dict() == {
        "train": 3,
        "unseen": 3,
    }


def metrics_by_hand(
    victim: gp.RecommenderVictim, data: HeteroData, pairs: Tensor, labels: Tensor, seed: int
) -> dict[str, float]:
    """The metrics of ``pairs`` [2, K] of a victim of CF that is trained on ``data``."""
    task = gp.Recommendation(data, victim.model)
    start = task.init(generator(seed, VICTIM_STREAM))
    users, items = task.train(victim.training, task.state, start)
    scores = (users[pairs[0]] * items[pairs[1]]).sum(dim=1)
    return {
        "log_loss": log_loss(labels, scores.sigmoid().double()),
        "accuracy": accuracy_score(labels, scores > 0),
        "auroc": roc_auc_score(labels, scores),
    }


def test_recommender_metrics_are_those_of_a_victim_trained_by_hand() -> None:
    data = interaction_graph()
    graph, attack = gp.read_graph(data), random_flips(data)
    runs = gp.evaluate(data, attack, [QUICK], seeds=[3]).runs
    unseen = torch.cat([graph.unseen, graph.unseen_negatives], dim=1)
    unseen_labels = torch.arange(unseen.size(1)) < graph.unseen.size(1)
    flipped = pair_set(attack.pairs)
    kept = torch.tensor(sorted(pair_set(graph.edge_index, graph.negatives) - flipped)).t()
    positive = pair_set(graph.edge_index)
    kept_labels = torch.tensor([tuple(pair) in positive for pair in kept.t().tolist()])
    for column, trained_on in (("clean", data), ("poisoned", attack.apply(data))):
        for split, pairs, labels in (
            ("unseen", unseen, unseen_labels),
            ("train", kept, kept_labels),
        ):
            found = runs[runs["split"] == split].set_index("metric")[column]
            expected = metrics_by_hand(QUICK, trained_on, pairs, labels, 3)
            assert found.to_dict() == pytest.approx(expected, rel=1e-5)
    assert not np.allclose(runs["clean"], runs["poisoned"])


@pytest.mark.parametrize("joining", [False, True])
def test_a_victim_trained_to_rank_is_one_trained_by_hand(joining: bool) -> None:
    """Its loss is that of the couples of the training pairs, fake users' among them."""
    data = interaction_graph()
    attack = gp.RandomAttack(allow_removals=True)
    task = gp.Recommendation(data, gp.CF(dim=2), loss="bpr")
    found = (gp.NewUsers(2, attack) if joining else attack)(task, 8)
    ranking = gp.RecommenderVictim(gp.CF(dim=2), "ranking", QUICK.training, loss="bpr")
    names = ["log_loss", "accuracy", "auroc"]
    report = gp.evaluate(data, found, [QUICK, ranking], seeds=[3], metrics=names)
    model = ExtraUsers(ranking.model, 2) if joining else ranking.model
    poisoned = gp.Recommendation(found.apply(data), model, loss="bpr")
    start = poisoned.init(generator(3, VICTIM_STREAM))
    users, items = poisoned.train(ranking.training, poisoned.state, start)
    pairs = gp.read_graph(data)
    positive, negative = pairs.unseen, pairs.unseen_negatives
    labels = np.repeat([1, 0], [positive.size(1), negative.size(1)])
    both = torch.cat([positive, negative], dim=1)
    scores = (users[both[0]] * items[both[1]]).sum(dim=1)
    rows = report.runs.query("split == 'unseen' and victim == 'ranking'").set_index("metric")
    assert rows.loc["auroc", "poisoned"] == pytest.approx(roc_auc_score(labels, scores))
    expected = log_loss(labels, scores.sigmoid().double())
    assert rows.loc["log_loss", "poisoned"] == pytest.approx(expected, rel=1e-5)
    other = report.runs.query("split == 'unseen' and victim == 'cf'").set_index("metric")
    assert rows.loc["log_loss", "clean"] != other.loc["log_loss", "clean"]
    with pytest.raises(ValueError, match="Did you mean 'bpr'"):
        gp.RecommenderVictim(gp.CF(), "cf", loss="bp")


def test_the_surrogate_of_a_ranking_task_ranks_as_a_victim() -> None:
    data = interaction_graph()
    task = gp.Recommendation(data, gp.CF(dim=2), loss="bpr")
    attack = gp.MetaAttack(gp.Training(steps=5, lr=1.0))
    found = attack(task, 4, seed=7)
    victim = gp.surrogate_victim(task, attack, seed=7)
    assert victim.loss == "bpr"
    options = {"include_perturbed": True, "metrics": ["log_loss", "accuracy", "auroc"]}
    runs = gp.evaluate(data, found, [victim], [0], budgets=[2], **options).runs
    state = task.state.flip(found.prefix(2).pairs)
    users, items = task.train(attack.training, state, task.init(generator(7)))
    expected = link_metrics((users[state.index[0]] * items[state.index[1]]).sum(1), state.weight)
    rows = runs[runs["split"] == "train"].set_index("metric")["poisoned"]
    assert rows.to_dict() == pytest.approx(expected, rel=1e-5)


def test_two_attacks_and_a_gmf_side_by_side() -> None:
    data = interaction_graph()
    attacks = {"one": random_flips(data), "other": random_flips(data, seed=1)}
    report = gp.evaluate(data, attacks, [QUICK, gp.GMF(dim=2)], seeds=[0, 1], budgets=[4, 8])
    assert len(report.table) == 2 * 2 * 2 * 3 * 2
    assert set(report.table["victim"]) == {"cf", repr(gp.GMF(dim=2))}


def test_no_unseen_pairs_no_unseen_metrics_and_negatives_are_drawn() -> None:
    data = interaction_graph()
    store = data[KIND]
    for key in ("unseen_edge_index", "unseen_neg_edge_index", "neg_edge_index"):
        del store[key]
    attack = random_flips(data)
    report = gp.evaluate(data, attack, [QUICK], seeds=[0])
    assert set(report.table["split"]) == {"train"}
    store.unseen_edge_index = interaction_graph()[KIND].unseen_edge_index
    attack = random_flips(data)
    report = gp.evaluate(data, attack, [QUICK], seeds=[0])
    assert set(report.table["split"]) == {"train", "unseen"}


def test_mismatched_arguments_are_named() -> None:
    data, graph = interaction_graph(), citation_graph()
    nodes = gp.RandomAttack()(gp.NodeClassification(graph), 3)
    with pytest.raises(TypeError, match="must be Data, the kind attacked; found HeteroData"):
        gp.evaluate(data, nodes)
    with pytest.raises(TypeError, match="must be HeteroData"):
        gp.evaluate(graph, random_flips(data))
    with pytest.raises(ValueError, match="seeds must be one or more different"):
        gp.evaluate(graph, nodes, seeds=[])
    with pytest.raises(ValueError, match="but 3 were made"):
        gp.evaluate(graph, nodes, budgets=[5])
    del graph.test_mask
    with pytest.raises(ValueError, match="test_mask is missing"):
        gp.evaluate(graph, nodes)


def test_link_metrics_are_scikit_learns() -> None:
    scores, labels = torch.randn(50), (torch.rand(50) < 0.5).float()
    found = link_metrics(scores, labels)
    assert found["auroc"] == pytest.approx(roc_auc_score(labels, scores))
    assert found["accuracy"] == pytest.approx(((scores > 0) == (labels > 0)).float().mean().item())
    assert np.isnan(link_metrics(scores, torch.ones(50))["auroc"])
    nothing = link_metrics(scores[:0], labels[:0])
    assert set(nothing) == set(found)
    assert all(map(np.isnan, nothing.values()))


def test_a_drop_is_positive_where_the_attack_hurt() -> None:
    assert drop("accuracy", [0.9], [0.7]) == pytest.approx(0.2)
    assert drop("log_loss", [0.3], [0.5]) == pytest.approx(0.2)
    assert np.isnan(confidence_halfwidth([1.0]))


def test_plots_show_a_line_for_each_attack(tmp_path: Path) -> None:
    data = interaction_graph()
    attacks = {"one": random_flips(data), "other": random_flips(data, seed=1)}
    report = gp.evaluate(data, attacks, [QUICK], seeds=[0, 1], budgets=[4, 8])
    for suffix in ("png", "svg"):
        figure = report.plot("auroc", path=tmp_path / f"plot.{suffix}")
        assert (tmp_path / f"plot.{suffix}").stat().st_size > 1000
    assert [len(axis.lines) for axis in figure.axes] == [2, 2]
    line = figure.axes[0].lines[0]
    assert line.get_xdata().tolist() == [0, 4, 8]
    assert line.get_label() == "one (cf)"
    with pytest.raises(ValueError, match="'auroc'"):
        report.plot("aurok")
    with pytest.raises(ValueError, match="'unseen'"):
        report.plot("auroc", split="unsen")
    assert isinstance(report, Report)


def test_victims_have_names_and_seeds_of_their_own() -> None:
    data = citation_graph()
    flips = gp.RandomAttack()(gp.NodeClassification(data), 3)
    twice = [gp.ModuleVictim(lambda f, c: torch.nn.Linear(f, c), "m")] * 2
    for arguments, named in [
        ({"victims": twice}, "victims has 2 of the name 'm'"),
        ({"seeds": [0, 1, 0]}, "seeds must be one or more different"),
        ({"budgets": []}, "budgets must be one or more"),
    ]:
        with pytest.raises(ValueError, match=named):
            gp.evaluate(data, flips, **arguments)


@pytest.mark.parametrize("seeds", ["012", [1.5], [True], [-1], ["1"]])
def test_seeds_are_integers(seeds: object) -> None:
    data = interaction_graph()
    found = gp.RandomAttack()(gp.Recommendation(data, gp.CF(dim=2)), 2)
    with pytest.raises((TypeError, ValueError), match="seeds must be"):
        gp.evaluate(data, found, ["cf"], seeds=seeds)


def test_budgets_are_numbers_of_flips_or_shares_of_the_edges() -> None:
    data = interaction_graph()
    found = gp.RandomAttack()(gp.Recommendation(data, gp.CF(dim=2)), 4)
    for budgets in ([2, 4], [0.1, 0.2], [gp.Budget(2), gp.Budget.fraction(0.2)]):
        runs = gp.evaluate(data, found, ["cf"], seeds=[0], budgets=budgets).runs
        assert sorted(runs["flips"].unique()) == [2, 4]
    with pytest.raises(ValueError, match=r"10 flips of 'attack' \(0.5 is a share"):
        gp.evaluate(data, found, ["cf"], seeds=[0], budgets=[0.5])
    for wrong in (True, "2", gp.Budget.fraction(0.5, of="candidates")):
        with pytest.raises(TypeError, match="budget must be a number of flips"):
            gp.evaluate(data, found, ["cf"], seeds=[0], budgets=[wrong])


def test_a_number_of_seeds_is_no_list_of_them() -> None:
    data = citation_graph()
    flips = gp.RandomAttack()(gp.NodeClassification(data), 3)
    with pytest.raises(TypeError, match=r"such as range\(2\)"):
        gp.evaluate(data, flips, seeds=2)


# Victims of one's own


class VotingVictim(gp.Victim):
    """A node victim of one's own: labelled neighbours vote for their class, and the seed draws a
    bias."""

    name = "votes"

    def __init__(self) -> None:
        self.fitted: list[tuple[gp.NodeGraph, int]] = []

    def fit(self, graph: gp.NodeGraph, seed: int) -> "VotedNodes":
        self.fitted.append((graph, seed))
        known = nn.functional.one_hot(graph.y, graph.num_classes).to(graph.x)
        votes = known * graph.train_mask.unsqueeze(1)
        sums = torch.zeros_like(votes).index_add_(
            0, graph.edge_index[1], votes[graph.edge_index[0]]
        )
        return VotedNodes(sums + 0.1 * torch.rand(graph.num_classes, generator=generator(seed)))


class VotedNodes:
    """The logits of a node victim, without a base class."""

    def __init__(self, values: Tensor) -> None:
        self.values = values

    def logits(self) -> Tensor:
        return self.values


class PopularityVictim(gp.Victim):
    """A recommender victim of one's own: a user likes the items that many users have."""

    name = "popularity"

    def __init__(self) -> None:
        self.fitted: list[tuple[gp.Interactions, int]] = []

    def fit(self, graph: gp.Interactions, seed: int) -> ScoreTable:
        self.fitted.append((graph, seed))
        popular = torch.bincount(graph.edge_index[1], minlength=graph.num_items).double()
        draw = torch.Generator().manual_seed(seed)
        noise = torch.rand(graph.num_users, graph.num_items, generator=draw)
        return ScoreTable(popular - 2.5 + noise)


def test_a_node_victim_of_ones_own() -> None:
    data = citation_graph(num_nodes=30)
    attack = gp.RandomAttack()(gp.NodeClassification(data), 10)
    victim = VotingVictim()
    report = gp.evaluate(data, attack, [victim, "sgc"], seeds=[0, 1], budgets=[0, 10])
    assert set(report.runs["victim"]) == {"votes", "sgc"}
    assert [seed for _, seed in victim.fitted] == [0, 0, 1, 1]  # clean, and poisoned by 10 flips
    poisoned = gp.read_graph(attack.apply(data))
    expected = [gp.read_graph(data), poisoned] * 2
    for (found, _), graph in zip(victim.fitted, expected, strict=True):
        assert torch.equal(found.edge_index, graph.edge_index)
    runs = report.runs.query("victim == 'votes' and flips == 10")
    for seed, row in zip([0, 1], runs.to_dict("records"), strict=True):
        for column, graph in (("clean", gp.read_graph(data)), ("poisoned", poisoned)):
            logits = VotingVictim().fit(graph, seed).logits()
            right = logits.argmax(dim=1)[data.test_mask] == data.y[data.test_mask]
            assert row[column] == pytest.approx(right.double().mean().item())


def test_a_recommender_victim_of_ones_own() -> None:
    data = interaction_graph()
    attack, victim = random_flips(data), PopularityVictim()
    runs = gp.evaluate(data, attack, [victim, QUICK], seeds=[0, 1], budgets=[8]).runs
    assert set(runs["victim"]) == {"popularity", "cf"}
    assert [seed for _, seed in victim.fitted] == [0, 0, 1, 1]
    poisoned = gp.read_graph(attack.apply(data))
    graph = gp.read_graph(data)
    unseen = torch.cat([graph.unseen, graph.unseen_negatives], dim=1)
    labels = (torch.arange(unseen.size(1)) < graph.unseen.size(1)).float()
    for seed in (0, 1):
        rows = runs.query(f"victim == 'popularity' and split == 'unseen' and seed == {seed}")
        for column, fitted_to in (("clean", graph), ("poisoned", poisoned)):
            scores = PopularityVictim().fit(fitted_to, seed).pairs(unseen)
            expected = link_metrics(scores, labels)
            assert rows.set_index("metric")[column].to_dict() == pytest.approx(expected)


@pytest.mark.parametrize("include", [False, True])
def test_fake_users_are_in_the_graph_of_a_victim_and_in_no_metric(include: bool) -> None:
    data = interaction_graph()
    graph, task = gp.read_graph(data), gp.Recommendation(data, gp.CF(dim=2))
    attack = gp.SimilarUsers(2, attack=gp.RandomAttack(allow_removals=True))(task, 6)
    watching = PopularityVictim()
    erring = [ErringVictim(pair) for pair in itertools.product(range(7), range(9))]
    runs = gp.evaluate(
        data, attack, [watching, *erring], [0], budgets=[0, 6], include_perturbed=include
    ).runs
    (clean, _), (joined, _), (flipped, _) = watching.fitted
    assert [each.num_users for each in (clean, joined, flipped)] == [7, 9, 9]
    assert [each.num_real_users for each in (clean, joined, flipped)] == [7, 7, 7]
    assert clean.fake_users is None
    assert joined.fake_users is attack.fake_users
    starts = attack.fake_users.edges + torch.tensor([[7], [0]])
    first = pair_set(graph.edge_index) | pair_set(starts)
    assert pair_set(joined.edge_index) == first
    assert pair_set(flipped.edge_index) == first ^ pair_set(attack.pairs)
    assert {user for user, _ in pair_set(attack.pairs)} <= {7, 8}
    splits = {
        "train": pair_set(graph.edge_index, graph.negatives),
        "unseen": pair_set(graph.unseen, graph.unseen_negatives),
    }
    for (flips, split), rows in runs.groupby(["flips", "split"]):
        assert flips in (0, 6)
        for column in ("clean", "poisoned"):
            expected = {str(pair) for pair in splits[split]}
            assert pairs_in_metric(rows, split, column) - {"popularity"} == expected
    accuracies = runs.query("metric == 'accuracy' and victim != 'popularity' and split == 'train'")
    shares = set(accuracies["poisoned"].round(12))
    assert shares == {1.0, round(1 - 1 / len(splits["train"]), 12)}  # of these pairs and no others


def test_a_deterministic_victim_is_evaluated_with_the_first_seed_alone() -> None:
    class Constant(PopularityVictim):
        name = "constant"
        deterministic = True

    data, victim = interaction_graph(), Constant()
    report = gp.evaluate(data, random_flips(data), [victim, QUICK], seeds=[5, 6], budgets=[4, 8])
    assert [seed for _, seed in victim.fitted] == [5, 5, 5]  # clean once, and two budgets
    assert report.runs.groupby("victim")["seed"].unique().map(list).to_dict() == {
        "cf": [5, 6],
        "constant": [5],
    }
    assert report.table.groupby("victim")["seeds"].unique().map(list).to_dict() == {
        "cf": [2],
        "constant": [1],
    }

    class Voter(VotingVictim):
        deterministic = True

    nodes, voter = citation_graph(), Voter()
    flips = gp.RandomAttack()(gp.NodeClassification(nodes), 3)
    assert gp.evaluate(nodes, flips, [voter], seeds=[4, 5, 6]).runs["seed"].tolist() == [4]
    assert [seed for _, seed in voter.fitted] == [4, 4]


def test_a_victim_without_a_name_is_refused() -> None:
    class Nameless(gp.Victim):
        def fit(self, graph: gp.Interactions, seed: int) -> ScoreTable:
            raise AssertionError("a victim without a name was fitted")

    data = interaction_graph()
    with pytest.raises(TypeError, match="has no name; set its attribute name"):
        gp.evaluate(data, random_flips(data), [Nameless()], [0])
    with pytest.raises(TypeError, match="abstract"):
        gp.Victim()


# Prefixes, records and kinds of interactions


def test_prefixes_by_number_share_and_budget() -> None:
    found = gp.RandomAttack()(gp.Recommendation(interaction_graph(), gp.CF(dim=2)), 6)
    assert found.meta["num_edges"] == 20
    for budget, count in ((4, 4), (0.2, 4), (gp.Budget(5), 5), (gp.Budget.fraction(0.25), 5)):
        assert len(found.prefix(budget)) == count
    with pytest.raises(TypeError, match="budget must be a number of flips"):
        found.prefix(gp.Budget.fraction(0.1, of="candidates"))


def test_an_attack_that_ended_early_is_evaluated_where_it_ended(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data, task = interaction_graph(), gp.Recommendation(interaction_graph(), gp.CF(dim=2))
    found = gp.RandomAttack([gp.NodeBudget(1)])(task, 12)
    assert 0 < len(found) < 12
    report = gp.evaluate(data, found, [QUICK], [0], [2, 12])
    assert sorted(set(report.runs["flips"])) == [2, len(found)]
    assert f"ended after {len(found)} flips: evaluated there, not at 12" in caplog.text
    assert report.meta["budgets"] == [2, 12]
    with pytest.raises(ValueError, match=f"budgets has 13 flips of .*, but {len(found)} were made"):
        gp.evaluate(data, found, [QUICK], [0], [13])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_precision_of_victims_is_on_record(dtype: torch.dtype) -> None:
    data = interaction_graph()
    found = gp.RandomAttack()(gp.Recommendation(data, gp.CF(dim=2)), 2)
    victim = gp.RecommenderVictim(gp.CF(dim=2), "cf", QUICK.training, dtype=dtype)
    report = gp.evaluate(data, found, [victim], [0])
    assert f"torch.{report.meta['provenance']['dtype']}" == str(dtype)


def test_the_interactions_that_were_attacked_are_evaluated() -> None:
    data, other = interaction_graph(), ("user", "buys", "item")
    data[other].update(dict(interaction_graph(seed=1)[KIND]))
    attack = gp.RandomAttack()
    bought, rated = (
        attack(gp.Recommendation(data, gp.CF(dim=2), edge_type=kind), 3) for kind in (other, KIND)
    )
    alone = interaction_graph(seed=1)
    found, expected = (
        gp.evaluate(graph, flips, [QUICK], [0]).runs.query("split == 'unseen'")["clean"]
        for graph, flips in ((data, bought), (alone, attack(gp.Recommendation(alone), 0)))
    )
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(TypeError, match="perturbations must be of one edge type of data, found"):
        gp.evaluate(data, {"bought": bought, "rated": rated}, [QUICK], [0])


def test_other_candidates_are_another_problem() -> None:
    data = interaction_graph()
    every, some = (
        gp.Recommendation(data, gp.CF(dim=2), candidates=candidates)
        for candidates in (data[KIND].neg_edge_index, data[KIND].neg_edge_index[:, :9])
    )
    marks = [gp.RandomAttack()(task, 1).meta["fingerprint"] for task in (every, some)]
    assert marks[0] != marks[1]


def test_scores_that_are_no_log_odds_have_auroc_only_by_default() -> None:
    data = interaction_graph()
    flips = gp.RandomAttack()(gp.Recommendation(data, gp.CF(dim=2)), 2)
    victims = [
        gp.RecommenderVictim(gp.CF(dim=2), loss, QUICK.training, loss=loss)
        for loss in ("log", "bpr", "softmax")
    ]
    runs = gp.evaluate(data, flips, victims, seeds=[0]).runs
    found = {name: set(group["metric"]) for name, group in runs.groupby("victim")}
    every = {"log_loss", "accuracy", "auroc"}
    assert found == {"log": every, "bpr": {"auroc"}, "softmax": {"auroc"}}
    named = gp.evaluate(data, flips, victims[1], seeds=[0], metrics=["log_loss"]).runs
    assert set(named["metric"]) == {"log_loss"}
