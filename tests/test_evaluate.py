"""Victims, reports and metrics."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import citation_graph, interaction_graph
from scipy import stats
from sklearn.metrics import log_loss, roc_auc_score
from torch import nn
from torch_geometric.data import HeteroData
from torch_geometric.nn import GCNConv, SAGEConv

import graphpoison as gp
from graphpoison._random import generator
from graphpoison.graph.bipartite import read_interactions
from graphpoison.metrics import confidence_halfwidth, drop, link_metrics
from graphpoison.models.extra_users import ExtraUsers
from graphpoison.report import Report
from graphpoison.victims import node_victim

KIND = ("user", "rates", "item")
QUICK = gp.RecommenderVictim(gp.CF(dim=2), "cf", gp.Unrolled(steps=5, lr=0.1, optimizer="adam"))


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
    assert torch.equal(victim.train(data, seed=0).argmax(dim=1), data.y)


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


def test_perturbed_pairs_are_left_out_unless_asked_for() -> None:
    data = interaction_graph()
    attack = random_flips(data)
    state = gp.Recommendation(data).state
    for include, count in ((False, 30), (True, 38)):
        report = gp.evaluate(data, attack, [QUICK], seeds=[0], include_perturbed=include)
        accuracy = report.runs.query("metric == 'accuracy' and split == 'train'")["poisoned"].item()
        assert accuracy * count == pytest.approx(round(accuracy * count))
        positives = int(state.weight.sum()) + (8 if include else 0)
        assert accuracy in {n / count for n in range(count + 1)}
        assert 0 < positives < 38


def test_recommender_metrics_are_those_of_a_victim_trained_by_hand() -> None:
    from graphpoison.evaluate import _VICTIM_STREAM
    from graphpoison.graph import Pattern

    data = interaction_graph()
    attack = random_flips(data)
    report = gp.evaluate(data, attack, [QUICK], seeds=[3])
    poisoned = attack.apply(data)
    task = gp.Recommendation(poisoned, QUICK.model)
    start = task.init(generator(3, _VICTIM_STREAM))
    users, items = QUICK.training.train(task, task.state, start)
    found = read_interactions(data)
    pairs = torch.cat([found.unseen, found.unseen_negative], dim=1)
    labels = np.repeat([1, 0], [found.unseen.size(1), found.unseen_negative.size(1)])
    scores = (users[pairs[0]] * items[pairs[1]]).sum(dim=1)
    rows = report.runs[report.runs["split"] == "unseen"].set_index("metric")["poisoned"]
    assert rows["auroc"] == pytest.approx(roc_auc_score(labels, scores))
    assert rows["log_loss"] == pytest.approx(log_loss(labels, scores.sigmoid().double()), rel=1e-5)
    assert isinstance(task.state.pattern, Pattern)


@pytest.mark.parametrize("joining", [False, True])
def test_a_victim_trained_to_rank_is_one_trained_by_hand(joining: bool) -> None:
    """Its loss is that of the couples of the training pairs, fake users' among them."""
    from graphpoison.evaluate import _VICTIM_STREAM

    data = interaction_graph()
    attack = gp.RandomAttack(allow_removals=True)
    task = gp.Recommendation(data, gp.CF(dim=2), loss="bpr")
    found = (gp.NewUsers(2, attack) if joining else attack)(task, 8)
    ranking = gp.RecommenderVictim(gp.CF(dim=2), "ranking", QUICK.training, loss="bpr")
    report = gp.evaluate(data, found, [QUICK, ranking], seeds=[3])
    model = ExtraUsers(ranking.model, 2) if joining else ranking.model
    poisoned = gp.Recommendation(found.apply(data), model, loss="bpr")
    start = poisoned.init(generator(3, _VICTIM_STREAM))
    users, items = ranking.training.train(poisoned, poisoned.state, start)
    pairs = read_interactions(data)
    positive, negative = pairs.unseen, pairs.unseen_negative
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
    attack = gp.MetaAttack(gp.Unrolled(steps=5, lr=1.0))
    found = attack(task, 4, seed=7)
    victim = gp.surrogate_victim(task, attack, seed=7)
    assert victim.loss == "bpr"
    runs = gp.evaluate(data, found, [victim], [0], budgets=[2], include_perturbed=True).runs
    state = task.state.flip(found.prefix(2).pairs)
    users, items = attack.gradient.train(task, state, task.init(generator(7)))
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


def test_a_number_of_seeds_is_no_list_of_them() -> None:
    data = citation_graph()
    flips = gp.RandomAttack()(gp.NodeClassification(data), 3)
    with pytest.raises(TypeError, match=r"such as range\(2\)"):
        gp.evaluate(data, flips, seeds=2)
