"""Surrogates as victims, attacks carried over to other models, and the papers' own names."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import citation_graph, interaction_graph

import graphpoison as gp
from graphpoison._random import generator
from graphpoison.metrics import accuracy, link_metrics
from graphpoison.report import Report

SHORT = gp.Training(steps=5, lr=0.5)
ATTACK = gp.MetaAttack(SHORT, 2, allow_removals=False, redraw=False)
OTHER = gp.RecommenderVictim(gp.GMF(dim=2), "other", SHORT)
VICTIM = gp.RecommenderVictim(gp.CF(dim=2), "small", gp.Training(steps=5, lr=0.1))


def test_the_surrogate_is_a_victim_with_its_own_parameters() -> None:
    """P^S is the performance of the very run that the next meta-gradient is taken of."""
    data = interaction_graph()
    task = gp.Recommendation(data, gp.CF(dim=3))
    found = ATTACK(task, 6, seed=7)
    surrogate = gp.surrogate_victim(task, ATTACK, seed=7)
    report = gp.evaluate(
        data, found, [surrogate, VICTIM], range(3), budgets=[0, 2, 4], include_perturbed=True
    )
    runs = report.runs.query("victim == 'surrogate' and split == 'train'")
    assert len(runs) == 3 * 3
    assert report.table.query("victim == 'surrogate'")["seeds"].eq(1).all()
    assert report.table.query("victim == 'small'")["seeds"].eq(3).all()
    for flips in (0, 2, 4):
        state = task.state.flip(found.prefix(flips).pairs)
        gradient = ATTACK.hypergradient.at(task, SHORT, state, task.init(generator(7)))
        users, items = gradient.params
        expected = link_metrics(
            (users[state.index[0]] * items[state.index[1]]).sum(1), state.weight
        )
        rows = runs[runs["flips"] == flips].set_index("metric")["poisoned"]
        assert rows.to_dict() == pytest.approx(expected, rel=1e-5)
        assert rows["log_loss"] == pytest.approx(found.flips["attack_loss"][flips], rel=1e-5)


def test_a_fresh_start_is_another_than_the_surrogates() -> None:
    data = interaction_graph()
    task = gp.Recommendation(data, gp.CF(dim=3))
    found = ATTACK(task, 4)
    fresh = gp.RecommenderVictim(gp.CF(dim=3), "fresh", SHORT)
    table = gp.evaluate(data, found, [gp.surrogate_victim(task, ATTACK), fresh], [0]).table
    first, second = (table[table["victim"] == name]["clean"] for name in ("surrogate", "fresh"))
    assert not np.allclose(first, second)


@pytest.mark.parametrize("surrogate", ["linear-gcn", "relu-gcn", "sgc"])
def test_surrogates_of_node_classification(surrogate: str) -> None:
    data = citation_graph(num_nodes=30)
    task = gp.NodeClassification(data, surrogate, "train")
    attack = gp.MetaAttack(gp.Training(steps=8, lr=0.3))
    found = attack(task, 5, seed=3)
    victim = gp.surrogate_victim(task, attack, seed=3, name="own")
    runs = gp.evaluate(data, found, [victim], [0, 1], budgets=[0, 5]).runs
    assert len(runs) == 2
    for flips, value in zip(runs["flips"], runs["poisoned"], strict=True):
        state = task.state.flip(found.prefix(flips).pairs)
        params = task.train(attack.training, state, task.init(generator(3)))
        logits = task.surrogate.logits(params, task.prepare(state))
        assert value == accuracy(logits[data.test_mask], data.y[data.test_mask])


def test_an_attack_without_a_surrogate_has_none_to_look_at() -> None:
    task = gp.Recommendation(interaction_graph())
    for attack in (gp.RandomAttack(), gp.NewUsers(2, gp.RandomAttack())):
        with pytest.raises(TypeError, match="must train a surrogate"):
            gp.surrogate_victim(task, attack)
    assert gp.surrogate_victim(task, gp.NewUsers(2, ATTACK)).training == SHORT


def test_the_matrix_is_that_of_the_attacks_one_by_one(tmp_path: Path) -> None:
    data = interaction_graph()
    surrogates = {"cf": gp.CF(dim=3), "gmf": gp.GMF(dim=2)}
    frame = gp.transfer_matrix(
        data, surrogates, [VICTIM, OTHER], ATTACK, 6, range(3), checkpoints=tmp_path
    )
    assert frame.shape == (4, 7)
    assert frame[["flips", "random_flips"]].eq(6).all(axis=None)
    assert np.isfinite(frame.to_numpy()).all()
    assert frame["drop"].unstack().shape == (2, 2)
    assert frame["random"].groupby("victim").nunique().eq(1).all()
    runs = []
    for seed in range(3):
        task = gp.Recommendation(data, gp.GMF(dim=2))
        found = {"gmf": ATTACK(task, 6, seed), "random": gp.RandomAttack()(task, 6, seed)}
        runs.append(gp.evaluate(data, found, [VICTIM], [seed]).runs)
    table = Report(pd.concat(runs)).table.query("metric == 'auroc' and split == 'unseen'")
    row = frame.loc["gmf", "small"]
    assert row[["drop", "random"]].tolist() == pytest.approx(table["drop"].tolist())
    assert row[["ci95", "random_ci95"]].tolist() == pytest.approx(table["ci95"].tolist())
    assert len(list(tmp_path.glob("*.npz"))) == 6 + 3
    assert len(frame.attrs["provenance"]) == 3
    assert all("provenance" in meta for meta in frame.attrs["provenance"])
    assert len(list(tmp_path.glob("runs-*.sqlite"))) == 3

    def refuse(*args: object) -> None:
        raise AssertionError("what is finished was made again")

    with pytest.MonkeyPatch.context() as resumed:
        resumed.setattr(gp.MetaAttack, "propose", refuse)
        resumed.setattr(gp.RandomAttack, "propose", refuse)
        resumed.setattr(gp.RecommenderVictim, "fit", refuse)
        again = gp.transfer_matrix(
            data, surrogates, [VICTIM, OTHER], ATTACK, 6, range(3), checkpoints=tmp_path
        )
    pd.testing.assert_frame_equal(again, frame)


def test_a_matrix_of_node_classifiers_and_of_settings_of_their_own() -> None:
    data = citation_graph(num_nodes=30, dtype=torch.float32)
    attacks = {"linear-gcn": gp.MetaAttack(SHORT), "relu-gcn": gp.MetaAttack(SHORT, 5)}
    frame = gp.transfer_matrix(
        data, ["linear-gcn", "relu-gcn"], [gp.ModuleVictim(_gcn, "gcn", epochs=3)], attacks, 5,
        seeds=[0, 1], objective="train",
    )  # fmt: skip
    assert list(frame.index) == [("linear-gcn", "gcn"), ("relu-gcn", "gcn")]


def _gcn(features: int, classes: int) -> torch.nn.Module:
    from torch_geometric.nn import GCN

    return GCN(features, 4, 2, classes)


def test_matrices_of_injections_compare_with_random_flips_of_new_users() -> None:
    graph, attack = interaction_graph(), gp.NewUsers(2, ATTACK)
    found = gp.transfer_matrix(graph, ["cf"], [VICTIM], attack, 4, [0, 1])
    frame = gp.transfer_matrix(
        graph, ["cf"], [VICTIM], attack, 4, [0, 1], baseline=gp.NewUsers(2, gp.RandomAttack())
    )
    assert np.isfinite(frame.to_numpy()).all()
    pd.testing.assert_frame_equal(found, frame)


def test_the_flips_of_a_baseline_that_ends_early_are_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data, few = citation_graph(dtype=torch.float32), gp.RandomAttack([gp.NodeBudget(1)])
    frame = gp.transfer_matrix(
        data, ["linear-gcn"], [gp.ModuleVictim(_gcn, "gcn", epochs=2)], gp.MetaAttack(SHORT), 12,
        [0, 1], baseline=few, objective="train",
    )  # fmt: skip
    task = gp.NodeClassification(data, objective="train")
    made = np.mean([len(few(task, 12, seed)) for seed in (0, 1)])
    assert made < 12
    assert frame[["flips", "random_flips"]].to_numpy().tolist() == [[12, made]]
    assert f"of {12}" in caplog.text


def test_without_unseen_pairs_those_of_training_are_compared() -> None:
    data = interaction_graph()
    del data["user", "rates", "item"].unseen_edge_index
    del data["user", "rates", "item"].unseen_neg_edge_index
    both = [
        gp.transfer_matrix(data, ["cf"], [VICTIM], gp.RandomAttack(), 4, [0], **options)
        for options in ({}, {"metric": "auroc", "split": "train"})
    ]
    pd.testing.assert_frame_equal(*both)


def test_mistakes_are_named_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("work was done first")

    monkeypatch.setattr(gp.MetaAttack, "propose", refuse)
    data = interaction_graph()
    for name in ("baseline", "random"):
        with pytest.raises(ValueError, match=f"other than .*'{name}'"):
            gp.transfer_matrix(data, {name: "cf"}, [VICTIM], ATTACK, 2)
    with pytest.raises(ValueError, match="models of different names"):
        gp.transfer_matrix(data, ["cf", "cf"], [VICTIM], ATTACK, 2)
    with pytest.raises(ValueError, match="surrogates='cf' is not known"):
        gp.transfer_matrix(data, ["cf"], [VICTIM], {"gmf": ATTACK}, 2)
    with pytest.raises(ValueError, match="Did you mean 'auroc'"):
        gp.transfer_matrix(data, ["cf"], [VICTIM], ATTACK, 2, [0], metric="auc")
    with pytest.raises(ValueError, match="choose one of \\['accuracy'\\]"):
        gp.transfer_matrix(citation_graph(), ["linear-gcn"], ["gcn"], ATTACK, 2, metric="auroc")
    with pytest.raises(ValueError, match="Did you mean 'unseen'"):
        gp.transfer_matrix(data, ["cf"], [VICTIM], ATTACK, 2, [0], split="unsen")


def test_presets_are_the_papers_attacks() -> None:
    assert gp.metattack().training == gp.Training(steps=100, lr=0.1, momentum=0.9)
    assert gp.metattack().hypergradient == gp.Unrolled()
    assert len(gp.metattack()(gp.NodeClassification(citation_graph()), 2)) == 2
    short = gp.metattack(gp.Training(steps=5), hypergradient=gp.Approximate())
    assert len(short(gp.NodeClassification(citation_graph()), 2)) == 2
    task = gp.Recommendation(interaction_graph(), gp.CF(dim=2))
    for attack in (
        gp.meta_attack(flips_per_step=2),
        gp.meta_approx(),
        gp.baseline_attack(),
        gp.new_users_attack(3),
        gp.similar_users_attack(3),
        gp.similar_users_attack(3, "kmeans"),
    ):
        assert attack(task, 3).flips["added"].all()
    assert gp.meta_approx().hypergradient == gp.Approximate()
    assert gp.meta_approx().training == gp.meta_attack().training


def test_algorithm_4_reports_surrogate_and_target() -> None:
    report = gp.surrogate_meta_attack(
        interaction_graph(), gp.CF(dim=2), gp.GMF(dim=2), [2, 4], attack=ATTACK, seeds=[0, 1]
    )
    assert set(report.runs["attack"]) == {"meta", "random"}
    assert set(report.runs["victim"]) == {"surrogate", repr(gp.GMF(dim=2))}
    assert set(report.runs["split"]) == {"train", "unseen"}
    assert set(report.runs["flips"]) == {2, 4}
