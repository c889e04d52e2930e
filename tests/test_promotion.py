"""Fake users whose profiles are optimised for an objective of rankings."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

import graphpoison as gp
from graphpoison.apply import poisoned
from graphpoison.attacks.templates import TEMPLATES
from graphpoison.victims import EASE as TrainedEASE

ITEMS = [5, 11]
USERS, LENGTH = 6, 8


def profiles(found: gp.Perturbation, data: HeteroData) -> list[set[int]]:
    """The items of each fake user in the poisoned graph."""
    assert found.fake_users is not None
    graph = poisoned(found, gp.read_graph(data))
    edges = graph.edge_index.t().tolist()
    first = graph.num_real_users
    return [
        {item for user, item in edges if user == first + number}
        for number in range(found.fake_users.count)
    ]


def value(found: gp.Perturbation, data: HeteroData, objective: Any, model: gp.EASE) -> float:
    """The objective of the surrogate trained on the poisoned graph, without the task's code."""
    clean = gp.read_graph(data)
    graph = poisoned(found, clean)
    matrix = torch.zeros(graph.shape, dtype=torch.float64)
    matrix[tuple(graph.edge_index)] = 1
    targets = objective.targets(clean, torch.Generator())
    return float(objective.value(model.trained_scores(matrix, (), targets.users), targets))


# Profiles


def test_every_profile_holds_the_items_and_has_its_length(data: HeteroData) -> None:
    found = gp.promote(data, ITEMS, USERS, LENGTH, k=3)
    assert len(found) == USERS * LENGTH
    assert found.fake_users is not None
    assert found.fake_users.count == USERS
    assert not found.removed.size(1)
    for profile in profiles(found, data):
        assert len(profile) == LENGTH
        assert set(ITEMS) <= profile


def test_targets_and_fake_users_are_kept_on_file(data: HeteroData, tmp_path: Path) -> None:
    found = gp.promote(data, torch.tensor(ITEMS), USERS, LENGTH)
    assert found.meta["targets"] == ITEMS
    found.save(tmp_path / "flips.npz")
    again = gp.Perturbation.load(tmp_path / "flips.npz")
    assert again.meta["targets"] == ITEMS
    assert profiles(again, data) == profiles(found, data)


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_prefix_holds_the_first_users(count: int, data: HeteroData) -> None:
    found = gp.promote(data, ITEMS, USERS, LENGTH)
    whole, part = profiles(found, data), profiles(found.prefix(count * LENGTH), data)
    assert part[:count] == whole[:count]
    assert part[count:] == [set()] * (USERS - count)


def test_a_smaller_budget_fills_the_first_profiles(data: HeteroData) -> None:
    task = gp.Recommendation(data, gp.EASE(20.0), gp.Promote(ITEMS))
    found = gp.NewUsers(USERS, profile_length=LENGTH)(task, 2 * LENGTH + 3)
    assert [len(profile) for profile in profiles(found, data)] == [LENGTH, LENGTH, 3, 0, 0, 0]


def test_profiles_differ_from_each_other(data: HeteroData) -> None:
    found = profiles(gp.promote(data, ITEMS, USERS, LENGTH), data)
    assert len({frozenset(profile) for profile in found}) > 1


def test_the_same_seed_gives_the_same_profiles(data: HeteroData) -> None:
    first, again, other = (gp.promote(data, ITEMS, USERS, LENGTH, seed=seed) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first.flips, again.flips, check_exact=True)
    assert profiles(first, data) != profiles(other, data)


def test_a_checkpoint_is_read_back_and_gone_on_from(data: HeteroData, tmp_path: Path) -> None:
    task = gp.Recommendation(data, gp.EASE(20.0), gp.Promote(ITEMS))
    attack, budget, file = gp.NewUsers(USERS, profile_length=LENGTH), USERS * LENGTH, tmp_path / "f"
    whole = attack(task, budget, checkpoint=file)
    again = attack(task, budget, checkpoint=file)
    pd.testing.assert_frame_equal(again.flips, whole.flips, check_exact=True)
    whole.prefix(11).save(file)
    resumed = attack(task, budget, checkpoint=file)
    pd.testing.assert_frame_equal(resumed.flips, whole.flips, check_exact=True)


def test_the_data_given_are_unchanged(data: HeteroData) -> None:
    before = data["user", "rates", "item"].edge_index.clone()
    found = gp.promote(data, ITEMS, USERS, LENGTH)
    assert torch.equal(data["user", "rates", "item"].edge_index, before)
    assert data["user"].num_nodes == 60
    assert found.apply(data)["user"].num_nodes == 60 + USERS


def test_interactions_in_float64_are_promoted_too(data: HeteroData) -> None:
    task = gp.Recommendation(data, gp.EASE(20.0), gp.Promote(ITEMS), dtype=torch.float64)
    found = gp.NewUsers(USERS, profile_length=LENGTH)(task, USERS * LENGTH)
    assert all(set(ITEMS) <= profile for profile in profiles(found, data))


# Objectives


@pytest.mark.parametrize("seed", range(3))
def test_the_objective_is_higher_than_with_any_template(seed: int) -> None:
    data = gp.datasets.load(
        "synthetic-interactions", num_users=120, num_items=90, num_interactions=2500, seed=seed
    )
    popularity = torch.bincount(gp.read_graph(data).edge_index[1], minlength=90)
    item = int(popularity.argsort(stable=True)[20])
    objective, model = gp.Promote([item], k=5), gp.EASE(100.0)
    found = gp.promote(data, [item], 8, 15, k=5, surrogate=model)
    beside = gp.promotion_templates(data, [item], 8, 15)
    assert list(beside) == list(TEMPLATES)
    reached = value(found, data, objective, model)
    assert reached > 2 * max(value(other, data, objective, model) for other in beside.values())


def test_users_of_choice_are_promoted_to(data: HeteroData) -> None:
    """Promotion to a group reaches a higher objective of the group than promotion to all."""
    group, model = list(range(0, 60, 6)), gp.EASE(100.0)
    aimed = gp.promote(data, ITEMS, USERS, LENGTH, k=3, users=group)
    wide = gp.promote(data, ITEMS, USERS, LENGTH, k=3)
    objective = gp.Promote(ITEMS, k=3, users=group)
    assert value(aimed, data, objective, model) > value(wide, data, objective, model)


def most_popular(data: HeteroData, count: int) -> list[int]:
    popularity = torch.bincount(gp.read_graph(data).edge_index[1], minlength=40)
    return popularity.argsort(descending=True)[:count].tolist()


def test_demotion_pins_no_items_and_lowers_their_scores(data: HeteroData) -> None:
    popular = most_popular(data, 2)
    objective, model = gp.Demote(popular, k=3), gp.EASE(20.0)
    task = gp.Recommendation(data, model, objective)
    attack = gp.NewUsers(USERS, profile_length=LENGTH)
    found, nothing = attack(task, USERS * LENGTH), attack(task, 0)
    assert all(not set(popular) <= profile for profile in profiles(found, data))
    assert value(found, data, objective, model) > value(nothing, data, objective, model)


def test_demotion_by_flips_of_real_users(data: HeteroData) -> None:
    popular = most_popular(data, 1)
    objective, model = gp.Demote(popular, k=3), gp.EASE(20.0)
    task = gp.Recommendation(data, model, objective)
    found = gp.RankingAttack(steps=10)(task, 40)
    random = gp.RandomAttack()(task, 40)
    assert value(found, data, objective, model) > value(random, data, objective, model)


def test_fake_users_can_degrade_a_group(data: HeteroData) -> None:
    """``NewUsers`` puts an objective of its own in the place of the task's."""
    objective = gp.Degrade(users=list(range(10)), k=3, temperature=0.1)
    task, model = gp.Recommendation(data, gp.EASE(20.0)), gp.EASE(20.0)
    attack = gp.NewUsers(USERS, objective=objective, profile_length=LENGTH)
    found = attack(task, USERS * LENGTH)
    assert [len(profile) for profile in profiles(found, data)] == [LENGTH] * USERS
    random = gp.promotion_templates(data, [0], USERS, LENGTH)["random"]

    def hidden(made: gp.Perturbation) -> float:
        """The objective with the interactions hidden that the attack has hidden."""
        bound = task.with_objective(objective).with_pseudo_labels(gp.Training(), 0)
        graph = poisoned(made, bound.graph)
        matrix = torch.zeros(graph.shape, dtype=torch.float64)
        matrix[tuple(graph.edge_index)] = 1
        assert bound.targets is not None
        matrix[tuple(bound.targets.hidden)] = 0
        scores = model.trained_scores(matrix, (), bound.targets.users)
        return float(objective.value(scores, bound.targets))

    assert hidden(found) > hidden(random)


# Evaluation


def test_evaluate_measures_the_targets_on_record(data: HeteroData) -> None:
    found = gp.promote(data, ITEMS, USERS, LENGTH, k=5)
    victim = TrainedEASE(l2=20.0)
    report = gp.evaluate(data, found, [victim], seeds=[0], metrics=["t-hr@5"])
    row = report.table.query("users == 'all' and metric == 't-hr@5'").iloc[0]
    rate = gp.promotion_hit_rate(data, victim, ITEMS, k=5)
    assert row["poisoned"] == pytest.approx(rate(found))
    assert row["poisoned"] == pytest.approx(slow_hit_rate(found, data, victim, 5))
    assert row["poisoned"] > row["clean"]


def slow_hit_rate(found: gp.Perturbation, data: HeteroData, victim: Any, k: int) -> float:
    """The share of users who lack an item to whom it is shown, the mean over items."""
    clean = gp.read_graph(data)
    graph = poisoned(found, clean)
    scores: Tensor = victim.fit(graph, 0).scores(torch.arange(clean.num_users))
    known = {
        (user, item)
        for edges in (clean.edge_index, graph.edge_index)
        for user, item in edges.t().tolist()
    }
    owned = set(map(tuple, clean.edge_index.t().tolist()))
    rates = []
    for target in ITEMS:
        hits = []
        for user in range(clean.num_users):
            if (user, target) in owned:
                continue
            free = [item for item in range(clean.num_items) if (user, item) not in known]
            ranked = sorted(free, key=lambda item: (-float(scores[user, item]), item))
            hits.append(target in ranked[:k])
        rates.append(sum(hits) / len(hits))
    return sum(rates) / len(rates)


def test_promotion_reaches_more_users_than_templates_do(data: HeteroData) -> None:
    victim = TrainedEASE(l2=50.0)
    found = {"optimised": gp.promote(data, ITEMS, USERS, LENGTH, k=5)}
    found |= gp.promotion_templates(data, ITEMS, USERS, LENGTH)
    rate = gp.promotion_hit_rate(data, victim, ITEMS, k=5)
    rates = {name: rate(flips) for name, flips in found.items()}
    optimised = rates.pop("optimised")
    assert optimised > max(rates.values())


def test_accounts_needed_are_counted(data: HeteroData) -> None:
    rate = gp.promotion_hit_rate(data, TrainedEASE(l2=50.0), ITEMS, k=5)
    answer = gp.users_needed(
        make=lambda number: gp.promote(data, ITEMS, number, LENGTH, k=5),
        hit_rate=rate,
        share=0.1,
        most=64,
    )
    assert answer.number is not None
    assert rate(gp.promote(data, ITEMS, answer.number, LENGTH, k=5)) >= 0.1


# Mistakes


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"items": []}, ValueError, "items must name one index or more"),
        ({"items": [40]}, ValueError, "40"),
        ({"items": list(range(9))}, ValueError, "profile_length=8 must lie between the 9 promoted"),
        ({"profile_length": 41}, ValueError, "profile_length=41 must lie between"),
        ({"num_users": 0}, ValueError, "num_users"),
        ({"k": 0}, ValueError, "k must be at least 1"),
        ({"surrogate": "cf"}, ValueError, "needs a surrogate in closed form"),
        ({"loss": "hinge"}, ValueError, "loss='hinge' is not known"),
    ],
)
def test_what_cannot_be_promoted_is_refused(
    options: dict[str, Any], error: Any, message: str, data: HeteroData
) -> None:
    usual: dict[str, Any] = {"items": ITEMS, "num_users": USERS, "profile_length": LENGTH}
    with pytest.raises(error, match=message):
        gp.promote(data, **{**usual, **options})


def test_profiles_need_fake_users(data: HeteroData) -> None:
    task = gp.Recommendation(data, gp.EASE(20.0), gp.Promote(ITEMS))
    with pytest.raises(ValueError, match="ProfileAttack chooses items of fake users"):
        gp.ProfileAttack(LENGTH)(task, 10)


def test_a_length_belongs_to_the_attack_on_profiles() -> None:
    with pytest.raises(ValueError, match="profile_length=8 belongs to ProfileAttack"):
        gp.NewUsers(3, gp.RandomAttack(), profile_length=8)
    with pytest.raises(ValueError, match="profile_length=8 belongs to ProfileAttack"):
        gp.NewUsers(3, gp.ProfileAttack(5), profile_length=8)
    assert replace(gp.NewUsers(3, profile_length=8), num_users=4).attack == gp.ProfileAttack(8)


@pytest.fixture(scope="module")
def data() -> HeteroData:
    return gp.datasets.load(
        "synthetic-interactions", num_users=60, num_items=40, num_interactions=700
    )


@pytest.mark.parametrize("model", [gp.EASE(l2=3.0), gp.WMF(dim=3, l2=2.0)], ids=repr)
def test_scores_with_more_rows_are_scores_of_the_whole_matrix(model: Any) -> None:
    """EASE updates its inverse; the scores of real users and their gradient stay the same."""
    draw = torch.Generator().manual_seed(0)
    real, rows = (
        (torch.rand(count, 7, generator=draw, dtype=torch.float64) < 0.4).double()
        for count in (12, 4)
    )
    params, users = model.init((16, 7), draw, torch.float64), torch.tensor([3, 0, 11])
    weight = torch.rand(3, 7, generator=draw, dtype=torch.float64)
    found, expected = rows.clone().requires_grad_(), rows.clone().requires_grad_()
    updated = model.with_rows(real, params)(found, users)
    whole = model.trained_scores(torch.cat([real, expected]), params, users)
    torch.testing.assert_close(updated, whole)
    (updated * weight).sum().backward()
    (whole * weight).sum().backward()
    torch.testing.assert_close(found.grad, expected.grad)
