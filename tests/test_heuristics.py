"""Heuristic baselines and fake profiles: against slow rules, counts by hypothesis, errors."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import citation_graph, interaction_graph
from hypothesis import given, settings
from hypothesis import strategies as st

import graphpoison as gp
from graphpoison._random import numpy_generator
from graphpoison.attacks.heuristics import HeuristicAttack, heuristics
from graphpoison.attacks.rules import RULES
from graphpoison.attacks.templates import (
    TEMPLATES,
    TemplateUsers,
    fake_profiles,
    promotion_templates,
)
from graphpoison.attacks.weighted_pairs import weighted_additions, within
from graphpoison.budget import part_of
from graphpoison.graphs import PairState
from graphpoison.tasks import Bystanders

REMOVALS = [name for name, rule in RULES.items() if rule.removals and not rule.additions]
ADDITIONS = [name for name, rule in RULES.items() if rule.additions and not rule.removals]


def link_task(seed: int = 0, candidates: object = "sampled") -> gp.Recommendation:
    model = gp.CF(dim=2)
    return gp.Recommendation(interaction_graph(seed=seed), model, "train", candidates=candidates)


def masked_task(seed: int = 0) -> gp.Recommendation:
    """All pairs are candidates, unlisted, but the unseen interactions."""
    data = interaction_graph(seed=seed)
    task = gp.Recommendation(data, gp.CF(dim=2), "train", candidates="all")
    mask = torch.ones(task.state.shape, dtype=torch.bool)
    mask[tuple(data["user", "rates", "item"].unseen_edge_index)] = False
    task.state = replace(task.state, candidate_mask=mask)
    return task


def all_listed(seed: int = 0) -> gp.Recommendation:
    """All pairs are candidates, and listed."""
    model = gp.MLP(dim=2)
    return gp.Recommendation(interaction_graph(seed=seed), model, "train", candidates="all")


MAKERS = [link_task, masked_task, all_listed, lambda seed: link_task(seed, "all")]


def edges(task: gp.Recommendation) -> list[tuple[int, int]]:
    return [(u, i) for u, i in task.clean_edges.t().tolist()]


def counts(task: gp.Recommendation) -> tuple[list[int], list[int]]:
    """Lengths of profiles and popularity of items."""
    pairs = edges(task)
    users, items = task.state.shape
    lengths = [sum(user == u for u, _ in pairs) for user in range(users)]
    return lengths, [sum(item == i for _, i in pairs) for item in range(items)]


def may_be_flipped(task: gp.Recommendation, pair: tuple[int, int]) -> bool:
    state = task.state
    listed = state.index.t().tolist()
    if list(pair) in listed:
        return bool(state.candidate[listed.index(list(pair))])
    inside = state.candidate_mask is None or bool(state.candidate_mask[pair])
    return state.implicit_candidates and inside


@settings(max_examples=25, deadline=None)
@given(
    which=st.sampled_from(range(len(MAKERS))),
    seed=st.integers(0, 30),
    budget=st.integers(0, 30),
    share=st.one_of(st.none(), st.sampled_from([0.0, 0.1, 0.34, 0.5, 2.0])),
    barred=st.sets(st.integers(0, 6), max_size=7),
)
def test_caps_candidates_and_untouched_users(
    which: int, seed: int, budget: int, share: float | None, barred: set[int]
) -> None:
    task = MAKERS[which](seed)
    off_limits = torch.tensor(sorted(barred), dtype=torch.long)
    found = heuristics(task, budget, seed, share, off_limits)
    assert list(found) == list(RULES)
    lengths, _ = counts(task)
    before = set(edges(task))
    users = [u for u in range(7) if u not in barred]
    room = {u: 10**9 if share is None else part_of(share, lengths[u]) for u in users}
    for name, perturbation in found.items():
        flips = perturbation.flips
        pairs = list(zip(flips["source"], flips["target"], strict=True))
        assert perturbation.meta["heuristic"] is True
        assert len(pairs) <= budget
        for user, count in flips["source"].value_counts().items():
            assert user not in barred
            assert count <= room[user]
        for pair, added in zip(pairs, flips["added"], strict=True):
            assert added == (pair not in before)
            assert may_be_flipped(task, pair)
        if name in REMOVALS:
            assert not flips["added"].any()
            candidates = [u for u, _ in before if u not in barred]
            assert len(pairs) == min(
                budget, sum(min(room[u], candidates.count(u)) for u in set(candidates))
            )
        if name in ADDITIONS:
            assert flips["added"].all()
        if name in ("random additions", "rare items become popular", "random flips"):
            free = [
                sum(
                    may_be_flipped(task, (u, i))
                    for i in range(9)
                    if name == "random flips" or (u, i) not in before
                )
                for u in users
            ]
            most = sum(min(room[u], count) for u, count in zip(users, free, strict=True))
            assert len(pairs) == min(budget, most)


def slow_order(name: str, task: gp.Recommendation) -> list[tuple[float, ...]]:
    """The keys of all interactions in the order in which a rule removes them."""
    lengths, popularity = counts(task)
    key = {
        "popular removals": lambda u, i: (-popularity[i],),
        "unpopular removals": lambda u, i: (popularity[i],),
        "short profiles lose popular items": lambda u, i: (lengths[u], u, -popularity[i]),
        "long profiles lose popular items": lambda u, i: (-lengths[u], u, -popularity[i]),
        "popular items leave short profiles": lambda u, i: (-popularity[i] / lengths[u],),
    }[name]
    return [key(u, i) for u, i in edges(task)]


@pytest.mark.parametrize("name", [name for name in REMOVALS if name != "random removals"])
@pytest.mark.parametrize("share", [None, 0.5])
def test_removals_follow_a_slow_rule(name: str, share: float | None) -> None:
    for seed in range(5):
        task = link_task(seed)
        found = HeuristicAttack(name, share)(task, 12, seed)
        pairs, keys, lengths = edges(task), slow_order(name, task), counts(task)[0]
        key_of = dict(zip(pairs, keys, strict=True))
        made = list(zip(found.flips["source"], found.flips["target"], strict=True))
        assert [key_of[pair] for pair in made] == sorted(key_of[pair] for pair in made)
        left = {u: len(pairs) if share is None else lengths[u] // 2 for u in range(7)}
        expected = []
        for key, (user, _) in sorted(zip(keys, pairs, strict=True), key=lambda both: both[0]):
            if left[user] and len(expected) < 12:
                left[user] -= 1
                expected.append(key)
        if share is None or "profiles lose" in name:
            assert [key_of[pair] for pair in made] == expected
        else:  # of equal keys of several users any may come first, which changes who has room
            assert len(made) == len(expected)


def test_popular_removals_take_whole_items() -> None:
    task = link_task(3)
    found = HeuristicAttack("popular removals")(task, 15)
    targets = found.flips["target"].tolist()
    runs = [item for n, item in enumerate(targets) if n == 0 or targets[n - 1] != item]
    assert len(runs) == len(set(runs))


def test_random_flips_are_half_of_each_kind() -> None:
    for budget in (1, 8, 11):
        found = HeuristicAttack("random flips")(link_task(), budget)
        assert int((~found.flips["added"]).sum()) == budget // 2
        assert len(found) == budget


def test_the_seed_decides() -> None:
    for name in RULES:
        first, again = (HeuristicAttack(name)(link_task(), 8, seed=1) for _ in range(2))
        assert first.flips.equals(again.flips)
    other = [HeuristicAttack("random additions")(link_task(), 8, seed=s).flips for s in (1, 2)]
    assert not other[0].equals(other[1])


def test_a_cut_run_goes_on(tmp_path: Path) -> None:
    """Flips made before a proposal count against the limit of each user."""
    task, attack = link_task(1), HeuristicAttack("random flips", 0.5)
    state = task.state.flip(attack.propose(task, task.state, 4, 0, 0).flips.pairs)
    more = attack.propose(task, state, 10, 0, 1).flips
    lengths, _ = counts(task)
    flipped = torch.cat([state.index[0, state.flipped], more.pairs[0]])
    for user in range(7):
        assert int((flipped == user).sum()) <= lengths[user] // 2
    file = tmp_path / "kept.npz"
    whole = attack(task, 6, checkpoint=file)
    assert attack(task, 6, checkpoint=file).flips.equals(whole.flips)


def test_rare_items_become_popular() -> None:
    task = link_task(0, "all")
    _, popularity = counts(task)
    number = max(popularity)
    found = HeuristicAttack("rare items become popular")(task, number)
    assert found.flips["target"].nunique() == 1
    rarest = found.flips["target"].iloc[0]
    assert popularity[rarest] == min(popularity)
    everything = HeuristicAttack("rare items become popular")(task, 43)
    assert len(everything) == 43  # the other items serve where no pair of the rare ones is left


@pytest.mark.parametrize("implicit", [True, False])
def test_draws_follow_the_weights(implicit: bool) -> None:
    """The first pair, and the first two, against probabilities computed one by one."""
    user_weight, item_weight = np.array([1.0, 2.0]), np.array([1.0, 3.0, 0.0, 2.0])
    taken = torch.tensor([[0, 1], [0, 3]])
    codes = [code for code in range(8) if code not in (0, 7)]
    absent = torch.tensor([[c // 4 for c in codes], [c % 4 for c in codes]])
    state = PairState.build(
        taken, absent[:, :0] if implicit else absent, (2, 4), bipartite=True,
        implicit_candidates=implicit,
    )  # fmt: skip
    weight = {c: float(user_weight[c // 4] * item_weight[c % 4]) for c in codes}
    total = sum(weight.values())
    expected: dict[tuple[int, ...], float] = {}
    for first in codes:
        rest = {c: w for c, w in weight.items() if c != first and c // 4 != first // 4}
        for second, w in rest.items():  # a user who has had one flip has no room left
            if weight[first] * w:
                expected[first, second] = weight[first] / total * w / sum(rest.values())
    room = np.array([1, 1])
    drawn: dict[tuple[int, ...], int] = {}
    rounds = 4000
    for number in range(rounds):
        rng = numpy_generator(0, number)
        pairs = weighted_additions(state, user_weight, item_weight, room, 2, rng)
        key = tuple((pairs[0] * 4 + pairs[1]).tolist())
        drawn[key] = drawn.get(key, 0) + 1
    assert set(drawn) == set(expected)
    for key, share in expected.items():
        assert drawn[key] / rounds == pytest.approx(share, abs=4 * (share / rounds) ** 0.5)


@given(st.lists(st.integers(0, 4), max_size=20), st.lists(st.integers(0, 3), min_size=5))
def test_within_against_a_loop(users: list[int], room: list[int]) -> None:
    left, expected = list(room), []
    for user in users:
        expected.append(left[user] > 0)
        left[user] -= 1
    found = within(np.array(users, dtype=np.int64), np.array(room))
    assert found.tolist() == expected


def test_errors_name_the_argument() -> None:
    task = link_task()
    with pytest.raises(ValueError, match=r"rule='popular'.*Did you mean"):
        HeuristicAttack("popular")
    with pytest.raises(ValueError, match="max_profile_share"):
        heuristics(task, 3, max_profile_share=-0.1)
    with pytest.raises(TypeError, match="off_limits must be a LongTensor"):
        heuristics(task, 3, off_limits=[1])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="off_limits has users from 1 to 7"):
        heuristics(task, 3, off_limits=torch.tensor([1, 7]))
    with pytest.raises(ValueError, match="off_limits has users from -1"):
        heuristics(task, 3, off_limits=torch.tensor([-1]))
    with pytest.raises(ValueError, match="both off"):
        heuristics(task, 3, allow_additions=False, allow_removals=False)
    with pytest.raises(TypeError, match="task must be a Recommendation, found NodeClass"):
        heuristics(gp.NodeClassification(citation_graph()), 3)  # type: ignore[arg-type]


def test_kinds_that_are_not_allowed_are_left_out() -> None:
    assert list(heuristics(link_task(), 3, allow_additions=False)) == REMOVALS
    assert list(heuristics(link_task(), 3, allow_removals=False)) == ADDITIONS


def profiles(users: gp.FakeUsers) -> list[set[int]]:
    return [set(users.edges[1, users.edges[0] == user].tolist()) for user in range(users.count)]


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(list(TEMPLATES)),
    count=st.integers(1, 12),
    length=st.integers(1, 9),
    targets=st.lists(st.integers(0, 8), min_size=1, max_size=3, unique=True),
    seed=st.integers(0, 9),
)
def test_profiles_have_their_length_and_the_targets(
    kind: str, count: int, length: int, targets: list[int], seed: int
) -> None:
    graph = gp.read_graph(interaction_graph(seed=seed))
    length = max(length, len(targets))
    users = fake_profiles(kind, graph, count, length, targets, seed)
    assert users.edges.size(1) == count * length
    for profile in profiles(users):
        assert len(profile) == length
        assert set(targets) <= profile
    again = fake_profiles(kind, interaction_graph(seed=seed), count, length, targets, seed)
    assert torch.equal(users.edges, again.edges)


def popular_first(graph: gp.Interactions, target: int) -> list[int]:
    popularity = torch.bincount(graph.edge_index[1], minlength=graph.num_items).tolist()
    others = [item for item in range(graph.num_items) if item != target]
    return sorted(others, key=lambda item: (-popularity[item], item))


@pytest.fixture(scope="module")
def graph() -> gp.Interactions:
    return gp.read_graph(interaction_graph(40, 30, positives=300, negatives=100))


def test_popular_and_bandwagon_profiles(graph: gp.Interactions) -> None:
    ranked = popular_first(graph, 7)
    for profile in profiles(fake_profiles("popular", graph, 20, 6, [7])):
        assert profile - {7} <= set(ranked[:10])
    for profile in profiles(fake_profiles("bandwagon", graph, 20, 8, [7])):
        assert set(ranked[:3]) <= profile
    rest = [
        p - {7} - set(ranked[:3]) for p in profiles(fake_profiles("bandwagon", graph, 200, 8, [7]))
    ]
    drawn = np.bincount([item for profile in rest for item in profile], minlength=30)
    assert all(drawn[item] == pytest.approx(200 * 4 / 26, rel=0.5) for item in ranked[3:])


def test_average_profiles_are_drawn_by_popularity(graph: gp.Interactions) -> None:
    """One filler item: its probability is the share of the popularity."""
    popularity = torch.bincount(graph.edge_index[1], minlength=30).double()
    popularity[7] = 0.0
    users = fake_profiles("average", graph, 5000, 2, [7])
    drawn = torch.bincount(users.edges[1], minlength=30).double()
    drawn[7] = 0.0
    share = popularity / popularity.sum()
    assert bool(((drawn / 5000 - share).abs() <= 4 * (share / 5000).sqrt()).all())


def test_segment_profiles_are_drawn_by_similarity(graph: gp.Interactions) -> None:
    dense = torch.zeros(graph.shape, dtype=torch.float64)
    dense[tuple(graph.edge_index)] = 1.0
    unit = dense / dense.norm(dim=0)
    weight = unit.t() @ unit[:, [7, 3]]
    weight[[7, 3]] = 0.0
    share = weight.sum(dim=1) / weight.sum()
    users = fake_profiles("segment", graph, 5000, 3, [7, 3])
    drawn = torch.bincount(users.edges[1], minlength=30).double()
    drawn[[7, 3]] = 0.0
    assert bool(((drawn / 5000 - share).abs() < 4 * (share / 5000).sqrt() + 1e-9).all())


def test_a_segment_of_nobody_is_filled_at_random() -> None:
    lonely = gp.Interactions(torch.tensor([[0, 1], [1, 2]]), 2, 5)
    assert all(len(p) == 4 for p in profiles(fake_profiles("segment", lonely, 3, 4, [4])))


def test_copied_profiles_are_those_of_different_users(graph: gp.Interactions) -> None:
    owned = [set(graph.edge_index[1, graph.edge_index[0] == user].tolist()) for user in range(40)]
    found = profiles(fake_profiles("copied", graph, 40, 4, [7]))
    assert all(any(profile - {7} <= real for real in owned) for profile in found)
    long = profiles(fake_profiles("copied", graph, 40, 28, [7]))
    for real in owned:  # each real user is copied once, whole, and the copy is filled
        assert any(real <= profile for profile in long)


def test_templates_are_perturbations(tmp_path: Path) -> None:
    data = interaction_graph()
    found = promotion_templates(data, torch.tensor([2, 5]), 3, 4, seed=1)
    assert list(found) == list(TEMPLATES)
    clean = gp.read_graph(data)
    for kind, made in found.items():
        assert len(made) == 0
        assert made.meta["targets"] == [2, 5]
        assert made.meta["heuristic"] is True
        expected = fake_profiles(kind, clean, 3, 4, [2, 5], seed=1)
        assert made.fake_users is not None
        assert torch.equal(made.fake_users.edges, expected.edges)
        file = tmp_path / "made.npz"
        made.save(file)
        loaded = gp.Perturbation.load(file)
        assert loaded.meta == made.meta
        for graph in (loaded.apply(clean), gp.read_graph(loaded.apply(data))):
            assert graph.num_users == 10
            new = graph.edge_index[:, graph.edge_index[0] >= 7] - torch.tensor([[7], [0]])
            assert torch.equal(new, expected.edges)
            assert torch.equal(graph.edge_index[:, graph.edge_index[0] < 7], clean.edge_index)
    report = gp.evaluate(data, found, [gp.CF(dim=2)], seeds=[0], budgets=[0])
    assert set(report.runs["attack"]) >= set(TEMPLATES)


def test_template_users_can_be_flipped_further() -> None:
    attack = TemplateUsers(2, "popular", 4, (1,))
    found = attack(link_task(), 3)
    assert len(found) == 3
    assert found.flips["source"].between(7, 8).all()


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"kind": "averag"}, ValueError, "Did you mean 'average'"),
        ({"targets": [9]}, ValueError, "targets has item 9, but the graph has 9"),
        ({"targets": []}, ValueError, "one or more distinct items"),
        ({"targets": [1, 1]}, ValueError, "one or more distinct items"),
        ({"targets": 3}, TypeError, "targets must be a list"),
        ({"profile_length": 1, "targets": [1, 2]}, ValueError, "from 2, the number of targets"),
        ({"profile_length": 10}, ValueError, "to 9, the number of items"),
        ({"num_users": 0}, ValueError, "num_users must be at least 1"),
        (
            {"graph": gp.Interactions(torch.empty(2, 0, dtype=torch.long), 7, 9)},
            ValueError,
            "no int",
        ),
    ],
)
def test_profiles_that_cannot_be(change: dict[str, object], error: type, match: str) -> None:
    arguments = {
        "kind": "random",
        "graph": interaction_graph(),
        "num_users": 3,
        "profile_length": 4,
        "targets": [1],
    }
    with pytest.raises(error, match=match):
        fake_profiles(**{**arguments, **change})


def test_the_usual_task_has_no_unseen_pair_added() -> None:
    """Where all pairs but the unseen ones are candidates, a long run adds all the others."""
    data = interaction_graph()
    task = gp.Recommendation(data)
    assert task.state.implicit_candidates
    added = HeuristicAttack("random additions")(task, 57).added
    assert added.size(1) == 7 * 9 - 20 - 6
    unseen = data["user", "rates", "item"].unseen_edge_index
    assert not set(map(tuple, added.t().tolist())) & set(map(tuple, unseen.t().tolist()))


def test_users_off_limits_to_the_objective_are_in_no_flip() -> None:
    task = gp.Recommendation(interaction_graph(), objective=Bystanders(users=[0, 3], fraction=0.5))
    for found in heuristics(task, 15, off_limits=torch.tensor([5])).values():
        assert len(found)
        assert not found.flips["source"].isin([0, 3, 5]).any()


def test_fifty_thousand_flips_take_seconds(real_data: Path) -> None:
    """As many flips as 5% of MovieLens-1M; a rule that works flip by flip takes minutes."""
    import time

    data = gp.datasets.load("movielens-1m", real_data)
    task = gp.Recommendation(data, gp.CF(dim=2), "train", candidates="all")
    start = time.process_time()
    for name in ("short profiles lose popular items", "popular additions", "random flips"):
        assert len(HeuristicAttack(name, 0.2)(task, 50_000)) == 50_000
    assert time.process_time() - start < 30
