"""Attacks and graphs from names."""

import dataclasses
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import citation_graph, interaction_graph
from torch_geometric.data import Data

import graphpoison as gp
from graphpoison.attacks.budget_check import check_budget
from graphpoison.datasets.source import Reading, open_graph
from graphpoison.parsing import parse_budget
from graphpoison.ranking_presets import promote, ranking_attack
from graphpoison.registry import ATTACKS, AttackSettings, build_attack, build_task, random_beside


def chosen(attack: str | None = None, **values: Any) -> AttackSettings:
    """Fields of the settings, and options."""
    return AttackSettings.of({"attack": attack, **values})


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("graph", [citation_graph, interaction_graph])
def test_every_name_attacks_either_graph(name: str, graph: object) -> None:
    assert callable(graph)
    data = graph()
    known = gp.read_graph(data)
    ranking = name == "ranking"
    objective = None if ranking else "train"
    if name == "strongest" and isinstance(known, gp.Interactions):
        with pytest.raises(ValueError, match="is for graphs of nodes"):
            build_task(known, chosen(name))
        return
    settings = chosen(
        name, objective=objective, steps=3, epochs=2, block_size=1000, weight_decay=0.01
    )
    if ranking and not isinstance(known, gp.Interactions):
        with pytest.raises(ValueError, match="is for graphs of interactions"):
            build_task(known, settings)
        return
    attack = build_attack(known, settings)
    if name == "dice" and isinstance(known, gp.Interactions):
        with pytest.raises(TypeError, match="classes"):
            attack(build_task(known, settings), 3)
        return
    found = attack(build_task(known, settings), 3)
    assert 0 < len(found) <= 3
    found.apply(data)


def test_settings_are_the_papers_own() -> None:
    nodes, interactions = gp.read_graph(citation_graph()), gp.read_graph(interaction_graph())
    assert build_attack(nodes, chosen("meta")) == gp.metattack()
    assert build_attack(nodes, chosen()) == gp.strongest_attack()
    strongest = build_task(nodes, chosen()).settings()
    assert strongest["surrogate"] == gp.SGC()
    assert strongest["attack_loss"] == gp.TanhMargin(0.5)
    assert build_attack(interactions, chosen()) == ranking_attack(0.25)
    assert build_attack(interactions, chosen("meta")) == gp.meta_attack()
    assert build_attack(interactions, chosen("random")) == gp.RandomAttack()
    assert build_attack(interactions, chosen("meta-approx")) == gp.meta_approx()


@pytest.mark.parametrize(
    ("options", "interactions", "nodes"),
    [
        ({}, "ranking", "strongest"),
        ({"surrogate": "wmf", "k": 5, "epochs": 3, "removals": False}, "ranking", "strongest"),
        ({"constraints": ("node-budget=2",), "off_limits": (1,)}, "ranking", "strongest"),
        ({"surrogate": "gmf"}, "meta", "strongest"),
        ({"objective": "train"}, "meta", "meta"),
        ({"candidates": "sampled"}, "meta", "strongest"),
        ({"loss": "bpr"}, "meta", "strongest"),
        ({"lr": 0.1}, "meta", "meta"),
        ({"redraw": False}, "meta", "meta"),
        ({"features": True}, "ranking", "meta"),
        ({"new_users": 2}, "meta", "strongest"),
        ({"similar_users": 2}, "meta", "strongest"),
        ({"new_users": 2, "promote": (3,), "profile_length": 4}, "ranking", None),
    ],
)
def test_the_default_attack_follows_the_graph_and_the_settings(
    options: dict[str, Any], interactions: str, nodes: str | None
) -> None:
    settings = chosen(**options)
    assert settings.resolved(interactions=True).attack == interactions
    if nodes is not None:
        assert settings.resolved(interactions=False).attack == nodes


def test_limits_of_users_hold_for_every_attack() -> None:
    graph = gp.read_graph(interaction_graph())
    settings = chosen("random", max_profile_share=0.5, off_limits=(0, 2))
    rules = gp.NodeBudget.fraction(0.5, side="source"), gp.OffLimits((0, 2))
    assert build_attack(graph, settings).constraints == rules
    assert build_attack(graph, replace(settings, attack="ranking")).constraints == rules
    free = chosen("ranking", max_profile_share=math.inf)
    assert build_attack(graph, free).constraints == ()
    found = build_attack(graph, settings)(build_task(graph, settings), 6)
    beside = random_beside(graph, found, settings)
    assert not {0, 2} & set(beside.pairs[0].tolist())
    record = json.loads(json.dumps(dataclasses.asdict(free)))
    assert AttackSettings.of(record) == free


def test_a_promotion_is_the_preset_and_has_random_profiles_beside() -> None:
    graph = gp.read_graph(interaction_graph())
    settings = chosen(new_users=2, promote=(3,), profile_length=4)
    found = build_attack(graph, settings)(build_task(graph, settings), 8)
    expected = promote(graph, [3], 2, 4, k=9)
    assert found.flips.equals(expected.flips)
    assert found.meta["settings"] == expected.meta["settings"]
    beside = random_beside(graph, found, settings)
    assert len(beside) == 8
    assert bool((beside.pairs[0] >= 7).all())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_profile_share": -0.1}, "max_profile_share must lie in"),
        ({"k": 0}, "k must be at least 1"),
        ({"profile_length": 3}, "profile_length needs promote"),
        ({"promote": (1,), "new_users": 2}, "promote needs new_users and profile_length"),
        ({"attack": "ranking", "new_users": 2}, "fake users to promote items"),
        ({"new_users": 2, "off_limits": (1,)}, "limit flips of real users"),
        (
            {"attack": "meta", "promote": (1,), "new_users": 2, "profile_length": 3},
            "promote needs attack='ranking', found attack='meta'",
        ),
    ],
)
def test_settings_of_rankings_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        chosen(**options)


def test_removals_and_constraints_follow_the_graph_unless_given() -> None:
    graph = gp.read_graph(citation_graph())
    found = [build_attack(graph, chosen(name)) for name in ("meta", "random")]
    assert [attack.allow_removals for attack in found] == [True, False]
    without = build_attack(graph, chosen("dice", removals=False))
    assert without.removal_share == 0.0
    several = chosen(constraints=("connectivity", "node-budget=50%", "node-budget=2"))
    assert build_attack(graph, several).constraints == (
        gp.Connectivity(),
        gp.NodeBudget.fraction(0.5),
        gp.NodeBudget(2),
    )
    assert build_attack(graph, chosen(constraints=("none",))).constraints == ()


def test_fake_users_join_interactions_only() -> None:
    graph = gp.read_graph(interaction_graph())
    new = build_attack(graph, chosen(surrogate="cf", new_users=2, steps=3))
    assert new(build_task(graph, chosen(surrogate="cf")), 4).fake_users.count == 2
    similar = build_attack(graph, chosen("random", similar_users=2, method="kmeans"))
    assert similar.training == gp.Training(50, 0.05, optimizer="adam")
    with pytest.raises(ValueError, match="need interactions"):
        build_attack(gp.read_graph(citation_graph()), chosen(new_users=2))
    with pytest.raises(ValueError, match="exclude each other"):
        chosen(new_users=2, similar_users=2)


def test_settings_survive_json() -> None:
    settings = chosen(edge_type=("a", "b", "c"), constraints=("none",), lr=0.5)
    record = json.loads(json.dumps(dataclasses.asdict(settings)))
    assert AttackSettings.of(record) == settings
    assert AttackSettings.of({"of another version": 1}) == chosen()


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("500", gp.Budget(500)),
        ("5%", gp.Budget.fraction(0.05)),
        ("0.05", gp.Budget.fraction(0.05)),
        ("1", gp.Budget(1)),
        ("1.0", gp.Budget.fraction(1.0)),
        ("0.7%", gp.Budget.fraction(0.007)),
    ],
)
def test_budgets(text: str, budget: gp.Budget) -> None:
    assert parse_budget(text) == budget


@pytest.mark.parametrize("text", ["", "many", "-3", "0", "0%", "5 %%", "nan", "inf"])
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(ValueError, match="budget="):
        parse_budget(text)


@pytest.mark.parametrize(("flips", "removals"), [(18, False), (38, True)])
def test_a_budget_is_checked_against_what_may_be_flipped(flips: int, removals: bool) -> None:
    graph = gp.read_graph(interaction_graph(positives=20, negatives=18))
    settings = chosen("meta", removals=removals)
    task, attack = build_task(graph, settings), build_attack(graph, settings)
    check_budget(gp.Budget(flips), task, attack)
    with pytest.raises(ValueError, match=f"give a number from 1 to {flips}"):
        check_budget(gp.Budget(flips + 1), task, attack)
    with pytest.raises(ValueError, match="a budget of 0 flips"):
        check_budget(gp.Budget.fraction(0.01), task, attack)


def binary_graph() -> gp.NodeGraph:
    data = citation_graph()
    data.x = (data.x > 0).to(data.x.dtype)
    return gp.read_graph(data)


@pytest.mark.parametrize("removals", [False, True])
def test_features_that_may_be_flipped_count(removals: bool) -> None:
    graph = binary_graph()
    settings = chosen(features=True, removals=removals)
    task, attack = build_task(graph, settings), build_attack(graph, settings)
    if removals:
        most = 14 * 13 // 2 + graph.x.numel()
    else:
        most = 14 * 13 // 2 - graph.pairs.size(1) + int((graph.x == 0).sum())
    check_budget(gp.Budget(most), task, attack)
    with pytest.raises(ValueError, match=f"{most:,} pairs and features"):
        check_budget(gp.Budget(most + 1), task, attack)


@pytest.mark.parametrize("method", ["sample", "kmeans"])
def test_shares_are_of_the_grown_graph_where_users_join(method: str) -> None:
    graph = gp.read_graph(interaction_graph())
    settings = chosen(similar_users=3, method=method, steps=2)
    task, attack = build_task(graph, settings), build_attack(graph, settings)
    joined = attack.fake_users(task, seed=5).edges.size(1)
    assert (joined > 0) == (method == "sample")
    free = 3 * 9 - joined
    check_budget(gp.Budget(free), task, attack, seed=5)
    with pytest.raises(ValueError, match=f"of {20 + joined} edges.*from 1 to {free}"):
        check_budget(gp.Budget.fraction(2.0), task, attack, seed=5)
    share = gp.Budget.fraction(0.5)
    assert len(attack(task, share, seed=5)) == min((20 + joined) // 2, free)


@pytest.mark.parametrize("name", ["dice", "degree", "pgd", "min-max", "prbcd", "grbcd"])
def test_attacks_on_edges_refuse_features(name: str) -> None:
    with pytest.raises(ValueError, match=f"features: '{name}' flips only edges"):
        build_attack(binary_graph(), chosen(name, features=True))


def test_settings_of_other_attacks_are_named() -> None:
    assert chosen("meta", steps=3).without_effect(interactions=True) == []
    ranking = chosen("ranking", epochs=3, k=5, steps=2, lr=0.1, block_size=5)
    assert ranking.without_effect(interactions=True) == ["steps", "lr", "block_size"]
    meta = chosen("meta", epochs=3, method="kmeans", k=4)
    assert meta.without_effect(interactions=True) == ["epochs", "method", "k"]
    assert chosen("pgd", epochs=3, redraw=False).without_effect(interactions=False) == ["redraw"]
    similar = chosen("meta", similar_users=2, method="kmeans")
    assert similar.without_effect(interactions=True) == []
    graph, wrong = gp.read_graph(interaction_graph()), replace(similar, options={"method": "best"})
    with pytest.raises(ValueError, match="method='best' is not known"):
        build_attack(graph, wrong)


def test_the_random_attack_beside_has_the_same_fake_users_and_as_many_flips() -> None:
    graph = gp.read_graph(interaction_graph())
    settings = chosen(similar_users=2, steps=3)
    found = build_attack(graph, settings)(build_task(graph, settings), 4)
    beside = random_beside(graph, found, settings, seed=1)
    assert len(beside) == len(found) == 4
    assert torch.equal(beside.fake_users.edges, found.fake_users.edges)
    assert bool((beside.pairs[0] >= 7).all())


def test_the_random_attack_beside_flips_what_the_attack_flips() -> None:
    graph, settings = binary_graph(), chosen(steps=3, features=True)
    task = gp.NodeClassification(graph, candidates=None, feature_candidates="all")
    found = gp.MetaAttack(gp.Training(steps=3), flips_per_step=20)(task, 20)
    assert found.feature_flips.size(1) == 20
    for known in (settings, chosen()):  # as of a command, and of somebody's own script
        beside = random_beside(graph, found, known)
        assert len(beside) == 20
        assert beside.feature_flips.size(1) > 0
    removing = gp.RandomAttack(allow_removals=True, allow_additions=False)
    gone = removing(gp.NodeClassification(graph), 5)
    beside = random_beside(graph, gone, chosen("random", removals=None))
    assert beside.meta["settings"]["attack"]["allow_removals"] is True


# Graphs


def table(path: Path) -> Path:
    lines = [f"u{u},{i},{1 + (u + i) % 5}" for u in range(6) for i in range(u % 3, 12, 3)]
    path.write_text("\n".join(["customer,article,stars", *lines]))
    return path


def test_a_table_is_read_as_told(tmp_path: Path) -> None:
    path = table(tmp_path / "shop.csv")
    data = open_graph(path, Reading("article", "customer", test_fraction=0.0))
    assert data["user"].num_nodes == 12
    assert data["user", "rates", "item"].num_edges == 24
    rated = open_graph(path, Reading(rating="stars", min_rating=4, test_fraction=0.5))
    assert rated["user", "rates", "item"].num_edges < 12
    with pytest.raises(ValueError, match="none of the 24 rows"):
        open_graph(path, Reading(rating="stars", min_rating=6))
    with pytest.raises(ValueError, match="belong together"):
        Reading(min_rating=6)


def test_a_table_without_header_has_columns_by_place(tmp_path: Path) -> None:
    path = tmp_path / "plain.tsv"
    path.write_text("1\t7\t5\n2\t8\t3\n1\t8\t2\n")
    with pytest.raises(ValueError, match="no header"):
        open_graph(path)
    data = open_graph(path, Reading(header=False, rating="2", min_rating=3, test_fraction=0.0))
    assert data["user"].raw_id == [1, 2]
    assert data["item"].raw_id == [7, 8]


def test_saved_graphs_come_back_and_pickles_do_not(tmp_path: Path) -> None:
    path = tmp_path / "graph.pt"
    gp.datasets.save_graph(citation_graph(), path)
    found = open_graph(path)
    assert isinstance(found, Data)
    assert torch.equal(found.edge_index, citation_graph().edge_index)
    with pytest.raises(ValueError, match="no table"):
        open_graph(path, Reading(user="a"))
    with pytest.raises(ValueError, match="has its split already"):
        open_graph(path, Reading(seed=1))
    torch.save(citation_graph(), path)
    with pytest.raises(ValueError, match="needs pickle"):
        open_graph(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match=r"no graph written by|needs pickle"):
        open_graph(path)


def test_names_are_known_and_others_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Did you mean 'movielens-100k'"):
        open_graph("movielens-10k")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        open_graph(tmp_path / "absent.csv")
    (tmp_path / "notes.md").write_text("x")
    with pytest.raises(ValueError, match=r"a table must end in \.csv"):
        open_graph(tmp_path / "notes.md")
    with pytest.raises(ValueError, match="no table"):
        open_graph("synthetic-citation", Reading(user="a"))


def test_every_option_of_a_task_has_a_name() -> None:
    settings = chosen(objective="both", attack_loss="tanh-margin", labels="oracle", mix=0.2)
    task = build_task(gp.read_graph(citation_graph()), settings)
    loss = gp.TanhMargin()
    expected = {"objective": "both", "attack_loss": loss, "labels": "oracle", "mix": 0.2}
    assert expected.items() <= task.settings().items()
    ranked = build_task(gp.read_graph(interaction_graph()), chosen(loss="bpr"))
    assert ranked.loss == "bpr"
    words = build_task(binary_graph(), chosen(features=True))
    assert words.settings()["feature_candidates"] == "some"


@pytest.mark.parametrize(
    ("graph", "options", "named"),
    [
        (citation_graph, {"loss": "bpr"}, "loss is for graphs of interactions"),
        (citation_graph, {"edge_type": ("a", "b", "c")}, "edge_type is for graphs of interactions"),
        (interaction_graph, {"labels": "oracle"}, "labels is for graphs of nodes"),
        (interaction_graph, {"features": True}, "features is for graphs of nodes"),
    ],
)
def test_options_of_the_other_kind_of_graph_are_named(
    graph: object, options: dict[str, object], named: str
) -> None:
    assert callable(graph)
    with pytest.raises(ValueError, match=named):
        build_task(gp.read_graph(graph()), chosen(**options))
