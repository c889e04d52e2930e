"""Attacks on rankings: entries under budgets against loops, flips against every pair of flips,
conditions that hold, and damage beyond random flips."""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric.data import HeteroData

import graphpoison as gp
from graphpoison.attacks.allocation import best_entries
from graphpoison.attacks.interaction_game import InteractionGame
from graphpoison.models.closed_form import PreparedMatrix
from graphpoison.victims import EASE as TrainedEASE

Pair = tuple[int, int]
SEARCHES = ["relaxed", "greedy", "lookahead"]
QUICK = {"steps": 6}


# The best entries of a matrix under budgets


def slow_entries(
    scores: list[list[float]], rows: list[float], cols: list[float], count: int
) -> list[int]:
    """Codes of the entries taken one after the other, the largest score first."""
    width = len(scores[0])
    entries = [
        (-value, r * width + c) for r, row in enumerate(scores) for c, value in enumerate(row)
    ]
    taken: list[int] = []
    for negated, code in sorted(entries):
        row, col = divmod(code, width)
        if len(taken) == count or negated == math.inf:
            break
        used = [divmod(other, width) for other in taken]
        if (
            sum(r == row for r, _ in used) < rows[row]
            and sum(c == col for _, c in used) < cols[col]
        ):
            taken.append(code)
    return taken


@st.composite
def matrices(draw: st.DrawFn, tied: bool) -> tuple[Tensor, Tensor, Tensor, int]:
    """Scores, budgets of rows and of columns, and how many entries are wanted."""
    shape = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    size = shape[0] * shape[1]
    if tied:
        values = draw(
            st.lists(st.sampled_from([-math.inf, 0.0, 1.0, 2.0]), min_size=size, max_size=size)
        )
    else:
        order = draw(st.permutations(range(size)))
        barred = draw(st.sets(st.integers(0, size - 1)))
        values = [-math.inf if place in barred else float(order[place]) for place in range(size)]
    budget = st.sampled_from([0.0, 1.0, 2.0, math.inf])
    rows, cols = (
        torch.tensor(draw(st.lists(budget, min_size=n, max_size=n)), dtype=torch.float64)
        for n in shape
    )
    return torch.tensor(values).view(shape), rows, cols, draw(st.integers(0, size + 1))


@given(case=matrices(tied=False))
@settings(max_examples=200, deadline=None)
def test_best_entries_equal_a_loop(case: tuple[Tensor, Tensor, Tensor, int]) -> None:
    scores, rows, cols, count = case
    expected = slow_entries(scores.tolist(), rows.tolist(), cols.tolist(), count)
    assert best_entries(scores, rows, cols, count).tolist() == expected


@given(case=matrices(tied=True))
@settings(max_examples=200, deadline=None)
def test_equal_scores_are_taken_in_any_order(case: tuple[Tensor, Tensor, Tensor, int]) -> None:
    """With budgets of rows alone, the total is that of the loop; with both, no entry is left that
    still had room after the entries at least as good."""
    scores, rows, cols, count = case
    free = torch.full_like(cols, math.inf)
    by_rows = best_entries(scores, rows, free, count)
    expected = slow_entries(scores.tolist(), rows.tolist(), free.tolist(), count)
    assert by_rows.numel() == len(expected)
    flat = scores.flatten()
    assert float(flat[by_rows].sum()) == float(flat[expected].sum())

    taken = best_entries(scores, rows, cols, count).tolist()
    values = [float(flat[code]) for code in taken]
    assert len(set(taken)) == len(taken) <= count
    assert values == sorted(values, reverse=True)
    assert -math.inf not in values
    width = scores.size(1)
    for code in set(range(flat.numel())) - set(taken):
        value, (row, col) = float(flat[code]), divmod(code, width)
        if value == -math.inf or (len(taken) == count and (not values or value <= values[-1])):
            continue
        before = [divmod(other, width) for other in taken if float(flat[other]) >= value]
        in_row, in_col = sum(r == row for r, _ in before), sum(c == col for _, c in before)
        assert in_row >= rows[row] or in_col >= cols[col]


def test_best_entries_look_further_where_budgets_leave_too_few() -> None:
    """The first 4,000 entries are of one row, which may have two: the search goes beyond them."""
    scores = -torch.arange(8000.0).view(2, 4000)
    rows, cols = torch.tensor([2.0, math.inf]), torch.full((4000,), math.inf)
    assert best_entries(scores, rows, cols, 5).tolist() == [0, 1, 4000, 4001, 4002]


# The search against every pair of flips


def value_after(task: gp.Recommendation, flips: Iterable[Sequence[int]]) -> float:
    """The objective of the surrogate trained on the matrix with ``flips`` made, where no list holds
    an item that its user has by now."""
    matrix = dense(task)
    clean = matrix.clone()
    for user, item in flips:
        matrix[user, item] = 1 - matrix[user, item]
    prepared = PreparedMatrix(matrix, (matrix,), task.state.pattern)
    added = ((matrix > 0) & (clean == 0)).nonzero().t()
    return float(task.with_seen(added).attack_loss((), prepared))


def dense(task: gp.Recommendation) -> Tensor:
    matrix = torch.zeros(task.state.shape, dtype=task.dtype)
    matrix[tuple(task.clean_edges)] = 1
    return matrix


def tiny_task(seed: int) -> gp.Recommendation:
    data = gp.datasets.load(
        "synthetic-interactions",
        num_users=5,
        num_items=6,
        num_interactions=15,
        seed=seed,
        test_fraction=0.1,
    )
    objective = gp.Degrade(loss="ndcg", k=2, on="heldout", fraction=0.4, temperature=0.05)
    return gp.Recommendation(data, gp.EASE(10.0), objective, dtype=torch.float64, seed=seed)


@pytest.mark.parametrize("search", SEARCHES)
def test_the_search_comes_close_to_the_best_two_flips(search: Any) -> None:
    """Of an addition the gradient sees all but one effect: that its user has the item by now."""
    reached = []
    for seed in (0, 1, 3, 4, 5, 6):  # with seed 2 no two flips do any harm
        task = tiny_task(seed)
        unseen = pairs_of(task.graph.unseen)
        allowed = [pair for pair in itertools.product(range(5), range(6)) if pair not in unseen]
        clean = value_after(task, [])
        best = max(value_after(task, two) for two in itertools.combinations(allowed, 2))
        found = gp.RankingAttack(search, redraw=False)(task, 2)
        gain = value_after(task, found.pairs.t().tolist()) - clean
        reached.append(gain / (best - clean))
    assert min(reached) > 0.6
    assert sum(reached) / len(reached) > 0.85


@pytest.mark.parametrize("seed", range(4))
def test_the_first_step_of_the_look_ahead_is_never_worse_than_greedy(seed: int) -> None:
    task = small_task(seed=seed)
    drawn = task.redrawn(1)
    made = [gp.RankingAttack(search, steps=1)(task, 12) for search in ("lookahead", "greedy")]
    values = [value_after(drawn, flips.pairs.t().tolist()) for flips in made]
    assert values[0] >= values[1]


def test_the_first_gradient_is_that_of_the_clean_graph() -> None:
    task = small_task()
    found = gp.RankingAttack(start=None, steps=3, redraw=False)(task, 5)
    assert found.flips["attack_loss"].tolist() == pytest.approx([value_after(task, [])] * 5)


@pytest.mark.parametrize("search", ["greedy", "lookahead"])
def test_more_steps_than_flips_make_a_flip_each(search: Any) -> None:
    assert len(gp.RankingAttack(search, steps=9)(small_task(), 4)) == 4


def test_half_of_the_flips_serve_the_objective_before() -> None:
    task = gp.Recommendation(small_data(), "ease", gp.Degrade(k=3))
    assert isinstance(task.objective, gp.Degrade)
    before = task.objective.before
    assert before is not None
    found = gp.RankingAttack(steps=4)(task, 20)
    assert found.flips["step"].tolist() == [0] * 10 + [1] * 10
    first = gp.RankingAttack(start=None, steps=4)(task.with_objective(before), 10)
    assert torch.equal(found.prefix(10).pairs, first.pairs)
    assert task.with_objective(before).surrogate == gp.EASE(3000.0)
    assert len(gp.RankingAttack(steps=4)(task, 1)) == 1
    kept = gp.RankingAttack(steps=4, constraints=[gp.NoSingletons()])(task, 20)
    assert len(kept) == 20
    assert kept.flips["step"].eq(0).sum() <= 10
    added = gp.RankingAttack(steps=4, allow_removals=False)(task, 20)
    assert added.flips["step"].eq(0).all()


def test_users_off_limits_do_not_end_the_plan_for_others() -> None:
    group = gp.Recommendation(small_data(), "ease", gp.Degrade(users=[0, 1, 2, 3], k=3))
    for off_limits, planned in (([3, 9], True), ([0, 1, 2, 3], False)):
        attack = gp.ranking_attack(off_limits=off_limits, steps=1)
        found = attack(group, 12)
        assert not found.flips["source"].isin(off_limits).any()
        none = replace(attack, start=None)(group, 12)
        assert torch.equal(found.pairs, none.pairs) is not planned
    assert isinstance(group.objective, gp.Degrade)
    assert group.objective.before is None


@pytest.mark.parametrize("kept", [3, 10, 14])
def test_a_run_of_two_halves_resumes(kept: int, tmp_path: Path) -> None:
    task = gp.Recommendation(small_data(), "ease", gp.Degrade(k=3))
    attack = gp.ranking_attack(0.25, steps=4)
    whole = attack(task, 20)
    whole.prefix(kept).save(tmp_path / "run.npz")
    resumed = attack(task, 20, checkpoint=tmp_path / "run.npz")
    pd.testing.assert_frame_equal(resumed.flips, whole.flips, check_exact=True)


def test_the_search_starts_from_a_heuristic_where_it_may() -> None:
    task = gp.Recommendation(small_data(), "ease", gp.Degrade(k=3))
    named = gp.RankingAttack(start="rare items become popular", steps=1)(task, 20)
    empty = gp.RankingAttack(start=None, steps=1)(task, 20)
    assert named.flips["step"].eq(0).all()
    assert pairs_of(named.pairs) != pairs_of(empty.pairs)
    removals = gp.RankingAttack(steps=2, allow_additions=False)(task, 20)
    assert removals.added.size(1) == 0
    assert len(removals) == 20
    bystanders = gp.ranking_attack(off_limits=[0, 1, 2], steps=1)
    assert bystanders(task, 20).pairs.equal(replace(bystanders, start=None)(task, 20).pairs)


def test_a_record_tells_a_penalty_that_was_given_from_the_usual_one(tmp_path: Path) -> None:
    usual, given = (
        gp.Recommendation(small_data(), model, gp.Degrade(k=3))
        for model in ("ease", gp.EASE(300.0))
    )
    gp.RankingAttack(steps=2)(usual, 6, checkpoint=tmp_path / "run.npz")
    with pytest.raises(ValueError, match="l2"):
        gp.RankingAttack(steps=2)(given, 6, checkpoint=tmp_path / "run.npz")


def test_an_item_that_its_user_was_given_is_no_longer_wanted() -> None:
    """To add an item of a list to its own user is no harm: the item leaves the measure."""
    task = small_task().with_objective(gp.Degrade(k=3)).with_pseudo_labels(gp.Training(), 0)
    assert task.targets is not None
    of_first = task.targets.relevant[:, task.targets.relevant[0] == 0]
    scores = torch.zeros(20, 24)
    scores[0, of_first[1]] = torch.tensor([3.0, 2.0, 1.0])
    objective = gp.Degrade(k=3, loss="margin", temperature=0.01)
    given = task.with_seen(of_first[:, :1])
    assert given.targets is not None
    for targets in (task.targets, given.targets):
        own = replace(
            targets,
            users=targets.users[:1],
            relevant=targets.relevant[:, targets.relevant[0] == 0],
            seen=targets.seen[:, targets.seen[0] == 0],
        )
        assert float(objective.value(scores[:1], own)) == pytest.approx(-1.0, abs=1e-3)


def test_no_users_off_limits_is_no_limit() -> None:
    found, same = (
        gp.ranking_attack(off_limits=users, **QUICK)(small_task(), 6) for users in ([], None)
    )
    assert torch.equal(found.pairs, same.pairs)


def test_additions_are_drawn_with_their_share_and_not_ranked() -> None:
    task = small_task()
    game = InteractionGame.of(task, task.state, (), removals=True, additions=True)
    point = torch.full_like(game.matrix, 0.25)
    absent = int((game.matrix == 0).sum())
    drawn = [game.drawn_additions(point, seed=0, number=number) for number in range(40)]
    assert all(bool((game.matrix[tuple(pairs)] == 0).all()) for pairs in drawn)
    mean = sum(pairs.size(1) for pairs in drawn) / 40
    assert mean == pytest.approx(0.25 * absent, rel=0.1)
    assert torch.equal(drawn[0], game.drawn_additions(point, seed=0, number=0))
    seen = task.with_seen(drawn[0])
    assert seen.targets is not None
    rows = seen.targets.rows(seen.targets.seen, game.matrix.size(1))
    assert bool(rows[tuple(drawn[0])].all())
    assert task.targets is not None
    assert task.targets.seen.size(1) + drawn[0].size(1) == seen.targets.seen.size(1)


# Conditions


@pytest.mark.parametrize("search", SEARCHES)
def test_budgets_of_users_and_items_hold(search: Any) -> None:
    task = small_task()
    attack = gp.ranking_attack(0.25, max_item_share=0.4, search=search, **QUICK)
    found = attack(task, 25)
    assert 0 < len(found) <= 25
    for side, share in ((0, 0.25), (1, 0.4)):
        clean = Counter(task.clean_edges[side].tolist())
        made = Counter(found.pairs[side].tolist())
        assert all(count <= math.floor(share * clean[node]) for node, count in made.items())


def test_a_large_budget_is_spent_as_far_as_users_allow() -> None:
    task = small_task()
    found = gp.ranking_attack(0.2, **QUICK)(task, 80)
    degrees = torch.bincount(task.clean_edges[0], minlength=task.state.shape[0])
    room = (degrees * 0.2 + 1e-9).floor().sum()
    assert len(found) == min(80, int(room))


@pytest.mark.parametrize("search", SEARCHES)
def test_users_off_limits_are_left_alone_and_are_the_users_that_count(search: Any) -> None:
    data, users = small_data(), [0, 3, 8]
    task = gp.Recommendation(data, gp.EASE(20.0))
    found = gp.ranking_attack(off_limits=users, search=search, **QUICK)(task, 20)
    assert len(found) == 20
    assert not set(found.pairs[0].tolist()) & set(users)
    named = gp.Recommendation(data, gp.EASE(20.0), gp.Bystanders(users))
    same = gp.ranking_attack(search=search, **QUICK)(named, 20)
    assert torch.equal(found.pairs, same.pairs)
    others = gp.Recommendation(data, gp.EASE(20.0), gp.Degrade(users=[1, 2]))
    kept = gp.ranking_attack(off_limits=users, search=search, **QUICK)(others, 20)
    assert not set(kept.pairs[0].tolist()) & set(users)
    assert not torch.equal(kept.pairs, found.pairs)


def test_another_objective_keeps_its_losses_and_its_lists() -> None:
    """Losses are taken in turn, and lists come from the clean surrogate, also where an attack
    has replaced the objective of the task."""
    task = small_task()
    both = task.with_objective(gp.Degrade(users=[1, 2], loss=("softmax-mass", "margin")))
    turns = [both.redrawn(number).objective for number in (0, 1, 2)]
    assert [turn.loss for turn in turns] == ["softmax-mass", "margin", "softmax-mass"]
    lists = task.with_objective(gp.Degrade(on="lists", k=3)).with_pseudo_labels(gp.Training(), 0)
    assert lists.targets is not None
    assert torch.equal(lists.targets.relevant[0].bincount(), torch.full((20,), 3))
    assert lists.redrawn(4).targets is not None
    assert torch.equal(lists.redrawn(4).targets.relevant, lists.targets.relevant)


@pytest.mark.parametrize("rule", [gp.NoSingletons(), gp.DegreeDistribution(cutoff=0.05)])
@pytest.mark.parametrize("search", SEARCHES)
def test_conditions_on_the_graph_hold(rule: gp.Constraint, search: Any) -> None:
    task = small_task(interactions=120)
    found = gp.RankingAttack(search, steps=6, constraints=[rule])(task, 15)
    assert 0 < len(found) <= 15
    poisoned = task.state.flip(found.pairs) if found.removed.size(1) else None
    if poisoned is not None:
        assert rule.violation(task.state, poisoned) is None
    edges = pairs_of(task.clean_edges) - pairs_of(found.removed) | pairs_of(found.added)
    if isinstance(rule, gp.NoSingletons):
        for side in (0, 1):
            before = {pair[side] for pair in pairs_of(task.clean_edges)}
            assert before <= {pair[side] for pair in edges}


@pytest.mark.parametrize("search", SEARCHES)
def test_unseen_interactions_are_never_added(search: Any) -> None:
    task = small_task()
    free = task.state.num_pairs - task.state.num_edges - len(pairs_of(task.graph.unseen))
    attack = gp.RankingAttack(search, steps=4, allow_removals=False)
    found = attack(task, free)
    assert len(found) == free
    assert not pairs_of(found.added) & pairs_of(task.graph.unseen)


@pytest.mark.parametrize("search", SEARCHES)
def test_one_kind_of_flip_alone(search: Any) -> None:
    task = small_task()
    added = gp.ranking_attack(search=search, allow_removals=False, **QUICK)(task, 10)
    removed = gp.ranking_attack(search=search, allow_additions=False, **QUICK)(task, 10)
    assert (added.added.size(1), added.removed.size(1)) == (10, 0)
    assert (removed.added.size(1), removed.removed.size(1)) == (0, 10)
    assert pairs_of(removed.removed) <= pairs_of(task.clean_edges)


# Repeatability


@pytest.mark.parametrize("search", SEARCHES)
def test_the_same_seed_gives_the_same_flips(search: Any) -> None:
    attack = gp.RankingAttack(search, steps=6)
    first, again, other = (attack(small_task(), 30, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first.flips, again.flips, check_exact=True)
    assert pairs_of(first.pairs) != pairs_of(other.pairs)


def test_the_global_generator_is_not_used() -> None:
    before = torch.random.get_rng_state()
    gp.RankingAttack(steps=3)(small_task(), 5)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("kept", [3, 10])
def test_a_run_that_was_cut_ends_as_an_uninterrupted_one(kept: int, tmp_path: Path) -> None:
    attack = gp.ranking_attack(0.25, steps=4)
    whole = attack(small_task(), 20)
    file = tmp_path / "run.npz"
    whole.prefix(kept).save(file)
    resumed = attack(small_task(), 20, checkpoint=file)
    pd.testing.assert_frame_equal(resumed.flips, whole.flips, check_exact=True)
    again = attack(small_task(), 20, checkpoint=file)
    pd.testing.assert_frame_equal(again.flips, whole.flips, check_exact=True)


def test_a_checkpoint_of_another_objective_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "run.npz"
    gp.RankingAttack(steps=2)(small_task(), 5, checkpoint=file)
    other = gp.Recommendation(small_data(), gp.EASE(20.0), gp.Degrade(k=5))
    with pytest.raises(ValueError, match="is of another run"):
        gp.RankingAttack(steps=2)(other, 5, checkpoint=file)


def test_float64_is_kept_and_agrees() -> None:
    """The draws do not depend on the dtype, and neither do the flips of a graph without ties."""
    single, double = (
        gp.RankingAttack(steps=4)(small_task(dtype=dtype), 10)
        for dtype in (torch.float32, torch.float64)
    )
    assert double.meta["settings"]["task"]["dtype"] == "torch.float64"
    assert len(pairs_of(single.pairs) & pairs_of(double.pairs)) >= 9


def test_the_data_given_are_unchanged() -> None:
    data = small_data()
    before = {name: value.clone() for name, value in data["user", "rates", "item"].items()}
    found = gp.RankingAttack(steps=3)(gp.Recommendation(data, gp.EASE(20.0)), 10)
    after = data["user", "rates", "item"]
    assert set(after.keys()) == set(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())
    poisoned = found.apply(data)["user", "rates", "item"].edge_index
    expected = pairs_of(before["edge_index"]) - pairs_of(found.removed) | pairs_of(found.added)
    assert pairs_of(poisoned) == expected


# Damage


def larger_data(seed: int) -> HeteroData:
    return gp.datasets.load(
        "synthetic-interactions", num_users=200, num_items=300, num_interactions=5000, seed=seed
    )


@pytest.mark.parametrize("seed", range(3))
def test_rankings_suffer_more_than_from_random_flips(seed: int) -> None:
    data = larger_data(seed)
    objective = gp.Degrade(loss="ndcg", temperature=0.03)
    task = gp.Recommendation(data, gp.EASE(100.0), objective)
    beside = gp.heuristics(task, 250)
    found = {name: flips for name, flips in beside.items() if name.startswith("random")}
    assert len(found) == 3
    found["ranking"] = gp.RankingAttack()(task, 250)
    victim = TrainedEASE(l2=50.0)
    report = gp.evaluate(data, found, [victim], seeds=[0], metrics=["ndcg@10"])
    drop = report.table.query("users == 'all'").set_index("attack")["relative"]
    assert drop["ranking"] > 1.5 * drop.drop("ranking").max()
    assert drop["ranking"] > 0.05


@pytest.mark.parametrize("seed", range(3))
def test_bystanders_suffer_though_their_interactions_stay(seed: int) -> None:
    data, users = larger_data(seed), list(range(0, 200, 2))
    task = gp.Recommendation(data, gp.EASE(100.0), gp.Bystanders(users, temperature=0.03))
    beside = gp.heuristics(task, 250)
    found = {name: flips for name, flips in beside.items() if name.startswith("random")}
    found["ranking"] = gp.ranking_attack()(task, 250)
    assert all(not set(flips.pairs[0].tolist()) & set(users) for flips in found.values())
    report = gp.evaluate(
        data,
        found,
        [TrainedEASE(l2=50.0)],
        seeds=[0],
        metrics=["ndcg@10"],
        groups={"bystanders": users},
    )
    drop = report.table.query("users == 'bystanders'").set_index("attack")["relative"]
    assert drop["ranking"] > 1.5 * drop.drop("ranking").max()


# Mistakes


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: gp.RankingAttack("best"), ValueError, "search='best' is not known"),
        (lambda: gp.RankingAttack(steps=0), ValueError, "steps"),
        (lambda: gp.RankingAttack(start="best"), ValueError, "start='best' is not known"),
        (
            lambda: gp.RankingAttack("greedy", start="popular removals"),
            ValueError,
            "needs search='relaxed'",
        ),
        (
            lambda: gp.RankingAttack(start="popular removals", allow_removals=False),
            ValueError,
            "its kind of flip allowed",
        ),
        (lambda: gp.RankingAttack(momentum=1.0), ValueError, "momentum"),
        (lambda: gp.RankingAttack(constraints=[3]), TypeError, "constraints must be"),
        (
            lambda: gp.RankingAttack(allow_removals=False, allow_additions=False),
            ValueError,
            "both off",
        ),
        (lambda: gp.ranking_attack(-0.1), ValueError, "max_profile_share"),
        (lambda: gp.ranking_attack(max_item_share=-1.0), ValueError, "max_item_share"),
        (lambda: gp.ranking_attack(off_limits=[0.5]), TypeError, "sources"),
    ],
)
def test_settings_out_of_range_are_refused(make: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_a_surrogate_trained_in_steps_is_refused_with_a_way_out() -> None:
    task = gp.Recommendation(small_data(), "cf")
    with pytest.raises(ValueError, match=r"RankingAttack needs a surrogate in closed form.*'ease'"):
        gp.RankingAttack()(task, 5)


def test_an_unknown_user_off_limits_is_refused() -> None:
    with pytest.raises(ValueError, match="99"):
        gp.ranking_attack(off_limits=[99], **QUICK)(small_task(), 5)


def test_bystanders_without_users_are_refused() -> None:
    task = gp.Recommendation(small_data(), gp.EASE(20.0), gp.Bystanders())
    with pytest.raises(ValueError, match="Bystanders needs users"):
        gp.RankingAttack(steps=2)(task, 5)


def test_a_gradient_that_is_not_finite_is_named() -> None:
    def broken(scores: Tensor, relevant: Tensor) -> Tensor:
        return (scores * relevant).sum(dim=1).clamp(max=0).sqrt()

    task = gp.Recommendation(small_data(), gp.EASE(20.0), gp.Degrade(loss=broken, on="heldout"))
    with pytest.raises(FloatingPointError, match="step 0 is not finite"):
        gp.RankingAttack(steps=2)(task, 5)


# Graphs that the tests share


def small_data(seed: int = 0, interactions: int = 240) -> HeteroData:
    return gp.datasets.load(
        "synthetic-interactions",
        num_users=20,
        num_items=24,
        num_interactions=interactions,
        seed=seed,
    )


def small_task(
    seed: int = 0, interactions: int = 240, dtype: torch.dtype = torch.float32
) -> gp.Recommendation:
    data = small_data(seed, interactions)
    objective = gp.Degrade(k=5, on="heldout", temperature=0.1)
    return gp.Recommendation(data, gp.EASE(20.0), objective, dtype=dtype)


def pairs_of(index: Tensor | None) -> set[Pair]:
    assert index is not None
    return {(int(user), int(item)) for user, item in index.t().tolist()}
