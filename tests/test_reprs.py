"""The texts and the HTML that Python and notebooks show."""

import pandas as pd
from conftest import citation_graph, interaction_graph

import graphpoison as gp


def test_a_task_shows_its_surrogate_its_objective_and_its_sizes() -> None:
    task = gp.Recommendation(interaction_graph(), "cf")
    assert "CF(" in repr(task)
    assert "7 users, 9 items, 20 edges" in repr(task)
    nodes = gp.NodeClassification(citation_graph())
    assert "14 nodes" in repr(nodes)
    assert "<th" in nodes._repr_html_()
    assert "14" in nodes._repr_html_()


def test_a_perturbation_shows_its_flips() -> None:
    found = gp.NewUsers(2)(gp.Recommendation(interaction_graph(), "cf"), 6)
    assert "6 edges added" in repr(found)
    assert "2 fake users" in repr(found)
    page = found._repr_html_()
    assert page.count("<tr") > 5
    assert "attack_loss" in page
    nothing = found.prefix(0)
    assert "fake users" in repr(nothing)


def test_texts_are_escaped() -> None:
    table = pd.DataFrame({"source": [0], "target": [1], "added": [True], "step": 0, "score": 0.0})
    named = gp.Perturbation(table.assign(attack_loss=0.0), {"attack": "<b>mine</b>"})
    assert "<b>" not in named._repr_html_()
    assert "&lt;b&gt;mine" in named._repr_html_()


def test_a_report_shows_its_table() -> None:
    found = gp.RandomAttack()(gp.Recommendation(interaction_graph(), "cf"), 4)
    report = gp.evaluate(interaction_graph(), found, ["popularity"], metrics=["ndcg@3"])
    assert repr(report) == "<Report: 1 attack, 1 victim, 1 seed, 1 metric>"
    assert "popularity" in report._repr_html_()
