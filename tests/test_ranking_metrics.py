"""Metrics of the ranking of all items, beside slow references and numbers computed by hand."""

import itertools
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import citation_graph, interaction_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import ndcg_score
from torch import Tensor
from torch_geometric.metrics import LinkPredAveragePopularity, LinkPredCoverage

import graphpoison as gp
from graphpoison.evaluation.fitted import fitted
from graphpoison.evaluation.lists import Rows, first_items
from graphpoison.graphs import FakeUsers
from graphpoison.metrics import drop, parse_metric
from graphpoison.report.summary import excesses

KIND = ("user", "rates", "item")
RELEVANCE = ["ndcg", "recall", "hr", "precision", "mrr", "map"]
LISTS = ["coverage", "popularity", "overlap"]
TARGETS = ["t-hr", "t-ndcg", "any-t-hr"]
Pair = tuple[int, int]


class Scored:
    """Scores of all pairs, which count how often a user is asked for."""

    def __init__(self, table: Tensor) -> None:
        self.table = table
        self.asked = torch.zeros(len(table), dtype=torch.long)

    def scores(self, users: Tensor) -> Tensor:
        self.asked[users] += 1
        return self.table[users]


class TableVictim(gp.Victim):
    """Scores from a function of the graph and the seed."""

    deterministic = True

    def __init__(
        self, table: Callable[[gp.Interactions, int], Tensor], name: str = "table"
    ) -> None:
        self.table, self.name = table, name
        self.fitted: list[Scored] = []

    def __repr__(self) -> str:  # a checkpoint knows the victim by it, whatever was fitted
        return f"TableVictim({self.name!r})"

    def fit(self, graph: gp.Interactions, seed: int) -> Scored:
        self.fitted.append(Scored(self.table(graph, seed)))
        return self.fitted[-1]


def noisy(graph: gp.Interactions, seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Popularity with noise that the edges draw, so that the poisoned graph has other scores."""
    draw = torch.Generator().manual_seed(1000 * seed + int(graph.edge_index.sum()))
    noise = torch.rand(graph.num_users, graph.num_items, generator=draw, dtype=dtype)
    return noise + 0.1 * torch.bincount(graph.edge_index[1], minlength=graph.num_items)


def graph_of(
    users: int, items: int, training: Sequence[Pair], unseen: Sequence[Pair] = ()
) -> gp.Interactions:
    def index(pairs: Sequence[Pair]) -> Tensor:
        return torch.tensor(sorted(pairs), dtype=torch.long).reshape(-1, 2).t()

    return gp.Interactions(index(training), users, items, unseen=index(unseen) if unseen else None)


def flips_of(
    graph: gp.Interactions,
    added: Sequence[Pair] = (),
    removed: Sequence[Pair] = (),
    fake: FakeUsers | None = None,
    **meta: object,
) -> gp.Perturbation:
    rows = [(*pair, True) for pair in added] + [(*pair, False) for pair in removed]
    frame = pd.DataFrame(rows, columns=["source", "target", "added"])
    frame = frame.assign(step=range(len(rows)), score=math.nan, attack_loss=math.nan)
    shape = [graph.num_users + (0 if fake is None else fake.count), graph.num_items]
    known = {"edge_type": KIND, "num_edges": graph.edge_index.size(1), "shape": shape, **meta}
    return gp.Perturbation(frame, known, fake)


def values(report: gp.Report, users: str = "all") -> dict[str, tuple[float, float]]:
    """Clean and poisoned by metric."""
    rows = report.runs[report.runs["users"] == users]
    return {row.metric: (row.clean, row.poisoned) for row in rows.itertuples()}


# --- A slow reference ---------------------------------------------------------------------------


class Reference:
    """Each metric, user by user and item by item."""

    def __init__(
        self,
        graph: gp.Interactions,
        poisoned: gp.Interactions,
        tables: tuple[Tensor, Tensor],
        targets: Sequence[int],
    ) -> None:
        pairs = [set(map(tuple, one.edge_index.t().tolist())) for one in (graph, poisoned)]
        self.graph, self.clean = graph, pairs[0]
        self.targets = targets
        unseen = [] if graph.unseen is None else graph.unseen.t().tolist()
        self.relevant = {
            user: {item for owner, item in unseen if owner == user}
            for user in range(graph.num_users)
        }
        hidden = pairs[0] | pairs[1]
        self.ranked = [
            {user: self._order(user, table[user].tolist(), hidden) for user in self.relevant}
            for table in tables
        ]

    def _order(self, user: int, scores: list[float], hidden: set[Pair]) -> list[int]:
        shown = [item for item in range(self.graph.num_items) if (user, item) not in hidden]
        return sorted(shown, key=lambda item: (-scores[item], item))

    def __call__(self, metric: str, side: int, users: Sequence[int]) -> float | None:
        kind, k = metric.split("@")
        lists = {user: self.ranked[side][user][: int(k)] for user in users}
        clean = {user: self.ranked[0][user][: int(k)] for user in users}
        if kind == "coverage":
            return len(set().union(*lists.values())) / self.graph.num_items if users else None
        if kind in ("t-hr", "t-ndcg"):
            means = [self._target(kind, lists, target) for target in self.targets]
            kept = [mean for mean in means if mean is not None]
            return float(np.mean(kept)) if kept else None
        one = {
            "popularity": lambda user: self._popularity(lists[user]),
            "overlap": lambda user: self._overlap(clean[user], lists[user]),
            "any-t-hr": lambda user: float(bool(set(lists[user]) & set(self.targets))),
        }.get(kind, lambda user: self._relevance(kind, int(k), lists[user], self.relevant[user]))
        found = [value for value in map(one, users) if value is not None]
        return float(np.mean(found)) if found else None

    def _target(self, kind: str, lists: dict[int, list[int]], target: int) -> float | None:
        lacking = [user for user in lists if (user, target) not in self.clean]
        worth = [
            (1.0 if kind == "t-hr" else 1 / math.log2(lists[user].index(target) + 2))
            if target in lists[user]
            else 0.0
            for user in lacking
        ]
        return float(np.mean(worth)) if lacking else None

    def _popularity(self, shown: list[int]) -> float | None:
        counts = [sum(item == one for _, item in self.clean) for one in shown]
        return float(np.mean(counts)) if shown else None

    def _overlap(self, clean: list[int], shown: list[int]) -> float | None:
        return len(set(clean) & set(shown)) / len(clean) if clean else None

    def _relevance(self, kind: str, k: int, shown: list[int], relevant: set[int]) -> float | None:
        if not relevant:
            return None
        hits = [float(item in relevant) for item in shown]
        places = [place for place, hit in enumerate(hits, 1) if hit]
        if kind == "hr":
            return float(bool(places))
        if kind == "recall":
            return len(places) / len(relevant)
        if kind == "precision":
            return len(places) / k
        if kind == "mrr":
            return 1 / places[0] if places else 0.0
        if kind == "map":
            precisions = [sum(hits[:place]) / place for place in places]
            return sum(precisions) / min(len(relevant), k)
        ideal = sum(1 / math.log2(place + 1) for place in range(1, min(len(relevant), k) + 1))
        return sum(1 / math.log2(place + 1) for place in places) / ideal


@st.composite
def problems(draw: st.DrawFn) -> tuple[gp.Interactions, gp.Perturbation, list[str], list[int]]:
    """A graph, flips of real and fake users, metrics and targets."""
    users, items = draw(st.integers(1, 6)), draw(st.integers(2, 8))
    kinds = draw(st.lists(st.sampled_from("-tur"), min_size=users * items, max_size=users * items))
    pairs = dict(zip(itertools.product(range(users), range(items)), kinds, strict=True))
    training = [pair for pair, kind in pairs.items() if kind in "tr"]
    unseen = [pair for pair, kind in pairs.items() if kind == "u"]
    absent = [pair for pair, kind in pairs.items() if kind == "-"]
    graph = replace(
        graph_of(users, items, training, unseen),
        negatives=graph_of(users, items, absent).edge_index,
    )
    added = draw(st.lists(st.sampled_from(absent), unique=True)) if absent else []
    removed = [pair for pair, kind in pairs.items() if kind == "r"]
    fake = None
    if draw(st.booleans()):
        fake = FakeUsers(2, torch.tensor([[0, 1], [0, items - 1]]))
        added += [(users, 1)] if items > 2 else []
    kinds = RELEVANCE * bool(unseen) + LISTS + TARGETS
    lengths = st.integers(1, items)
    metrics = [f"{kind}@{draw(lengths)}" for kind in kinds]
    targets = sorted(draw(st.sets(st.integers(0, items - 1), min_size=1)))
    return graph, flips_of(graph, added, removed, fake), metrics, targets


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
        (torch.int64, torch.float64),
    ],
)
def test_scores_keep_their_precision(kind: torch.dtype, seen: torch.dtype) -> None:
    graph = gp.read_graph(interaction_graph())
    victim = TableVictim(lambda fitted_to, seed: (9 * noisy(fitted_to, seed)).to(kind))
    found = fitted(victim, graph, 0)
    users = torch.arange(5)
    blocks = list(found.blocks(users, 2))
    assert [block.dtype for _, block in blocks] == [seen] * 3
    assert torch.equal(torch.cat([block for _, block in blocks]), found.scores(users).to(seen))


def test_groups_of_users_are_part_of_an_evaluation(tmp_path: Path) -> None:
    graph = gp.read_graph(interaction_graph())
    asked = {
        "data": graph,
        "perturbation": flips_of(graph),
        "victims": ["popularity"],
        "seeds": [0],
        "metrics": ["ndcg@3"],
        "checkpoint": tmp_path / "runs.sqlite",
    }
    gp.evaluate(**asked, groups={"some": [0, 1]})
    with pytest.raises(ValueError, match=r"groups\.some is 2 users \w+ there and 3 users \w+ here"):
        gp.evaluate(**asked, groups={"some": [0, 1, 2]})


@settings(deadline=None, max_examples=60)
@given(problem=problems(), ties=st.booleans())
def test_every_metric_is_that_of_a_slow_reference(
    problem: tuple[gp.Interactions, gp.Perturbation, list[str], list[int]], ties: bool
) -> None:
    graph, attack, metrics, targets = problem

    def table(fitted_to: gp.Interactions, seed: int) -> Tensor:
        scores = noisy(fitted_to, seed)
        return (3 * scores).round() if ties else scores

    victim = TableVictim(table)
    groups = {"first": [0], "odd": range(graph.num_users)[1::2]}
    groups = {name: list(users) for name, users in groups.items() if len(users)}
    report = gp.evaluate(
        graph, attack, [victim], [0], metrics=metrics, targets=targets, groups=groups
    )
    poisoned = attack.apply(graph)
    expected = Reference(graph, poisoned, (table(graph, 0), table(poisoned, 0)), targets)
    real = range(graph.num_users)
    hit = set(attack.pairs[0].tolist())
    groups |= {"all": list(real), "touched": [user for user in real if user in hit]}
    groups["untouched"] = [user for user in real if user not in hit]
    found = {}
    for name, users in groups.items():
        there = values(report, name)
        for metric in metrics:
            wanted = [expected(metric, side, users) for side in (0, 1)]
            assert (metric in there) == (wanted[0] is not None)
            if metric in there:
                assert there[metric] == pytest.approx(wanted, abs=1e-6)
            found[name, metric] = there.get(metric)
    assert set(report.runs["users"]) <= set(groups)


@settings(deadline=None, max_examples=40)
@given(problem=problems())
def test_touched_and_untouched_users_weighted_are_all(
    problem: tuple[gp.Interactions, gp.Perturbation, list[str], list[int]],
) -> None:
    graph, attack, metrics, targets = problem
    metrics = [name for name in metrics if name.split("@")[0] not in ("coverage", "t-hr", "t-ndcg")]
    runs = gp.evaluate(
        graph, attack, [TableVictim(noisy)], [0], metrics=metrics, targets=targets
    ).runs
    for _, rows in runs.groupby("metric"):
        whole = rows[rows["users"] == "all"].iloc[0]
        parts = rows[rows["users"] != "all"]
        assert parts["num_users"].sum() == whole["num_users"]
        for column in ("clean", "poisoned"):
            mean = np.average(parts[column], weights=parts["num_users"])
            assert mean == pytest.approx(whole[column], abs=1e-9)


@pytest.mark.parametrize("k", [1, 5, 12])
def test_ndcg_is_scikit_learns(k: int) -> None:
    draw = np.random.default_rng(k)
    kinds = draw.choice(3, (30, 12), p=[0.6, 0.1, 0.3])
    kinds[:, 0] = 2
    training = list(zip(*map(np.ndarray.tolist, (kinds == 1).nonzero()), strict=True))
    unseen = list(zip(*map(np.ndarray.tolist, (kinds == 2).nonzero()), strict=True))
    graph = graph_of(30, 12, training, unseen)
    report = gp.evaluate(graph, flips_of(graph), [TableVictim(noisy)], [0], metrics=f"ndcg@{k}")
    scores = noisy(graph, 0).numpy().copy()
    scores[kinds == 1] = -1.0  # below all others
    expected = ndcg_score(kinds == 2, scores, k=k)
    assert values(report)[f"ndcg@{k}"] == pytest.approx((expected, expected), rel=1e-6)


# --- By hand -----------------------------------------------------------------------------------


def by_hand() -> tuple[gp.Interactions, gp.Perturbation, TableVictim]:
    """Two users with five items; user 0 loses item 4 and gains item 3, so that the list of user 0
    is 0, 1, 2 on the clean graph and 2, 1, 0 on the poisoned one; user 1 has 4, 3, 2, 1 on both."""
    graph = graph_of(2, 5, [(0, 4), (1, 0)], [(0, 0), (1, 3), (1, 2)])
    attack = flips_of(graph, [(0, 3)], [(0, 4)], targets=[1, 0])

    def table(fitted_to: gp.Interactions, seed: int) -> Tensor:
        clean = [5.0, 4, 3, 9, 9]
        poisoned = [3.0, 4, 5, 9, 9]
        there = bool((fitted_to.edge_index == torch.tensor([[0], [4]])).all(dim=0).any())
        return torch.tensor([clean if there else poisoned, [9.0, 1, 2, 3, 4]])

    return graph, attack, TableVictim(table)


def test_every_metric_by_hand() -> None:
    graph, attack, victim = by_hand()
    log3 = math.log2(3)
    expected = {
        # user 0: the relevant item 0 is first, then third; user 1: items 3 and 2 are second, third
        "ndcg@2": ((1 + (1 / log3) / (1 + 1 / log3)) / 2, (0 + (1 / log3) / (1 + 1 / log3)) / 2),
        "recall@2": ((1 + 0.5) / 2, (0 + 0.5) / 2),
        "hr@2": (1.0, 0.5),
        "precision@2": (0.5, 0.25),
        "mrr@3": ((1 + 0.5) / 2, (1 / 3 + 0.5) / 2),
        "map@3": ((1 + (1 / 2 + 2 / 3) / 2) / 2, (1 / 3 + (1 / 2 + 2 / 3) / 2) / 2),
        # lists of two items: {0, 1} and {4, 3}; then {2, 1} and {4, 3}
        "coverage@2": (4 / 5, 4 / 5),
        # clean counts of the items: 1, 0, 0, 0, 1
        "popularity@2": ((1 / 2 + 1 / 2) / 2, (0 + 1 / 2) / 2),
        "overlap@2": (1.0, (1 / 2 + 1) / 2),
        # target 1 is lacked by both users, target 0 by user 0 alone
        "t-hr@2": ((1 / 2 + 1) / 2, (1 / 2 + 0) / 2),
        "t-ndcg@2": (((1 / log3) / 2 + 1) / 2, ((1 / log3) / 2 + 0) / 2),
        "any-t-hr@1": (1 / 2, 0.0),
    }
    report = gp.evaluate(graph, attack, [victim], range(3), metrics=list(expected))
    found = values(report)
    assert list(found) == list(expected)
    for metric, wanted in expected.items():
        assert found[metric] == pytest.approx(wanted), metric
    table = report.table[report.table["users"] == "all"].set_index("metric")
    raised = {"popularity@2", "t-hr@2", "t-ndcg@2", "any-t-hr@1"}
    for metric, (clean, poisoned) in expected.items():
        gained = poisoned - clean if metric in raised else clean - poisoned
        assert table.loc[metric, "drop"] == pytest.approx(gained), metric
        assert table.loc[metric, "relative"] == pytest.approx(gained / clean)
    touched = values(report, "touched")
    assert touched["ndcg@2"] == pytest.approx((1.0, 0.0))
    assert values(report, "untouched")["overlap@2"] == (1.0, 1.0)
    assert set(report.runs["split"]) == {"unseen"}


def test_lists_are_as_pyg_covers_and_counts_them() -> None:
    data = interaction_graph(users=30, items=12, positives=90, negatives=90)
    graph = gp.read_graph(data)
    report = gp.evaluate(
        data, flips_of(graph), [TableVictim(noisy)], [0], metrics=["coverage@3", "popularity@3"]
    )
    scores = noisy(graph, 0)
    scores[graph.edge_index[0], graph.edge_index[1]] = -torch.inf
    lists = scores.topk(3).indices
    counts = torch.bincount(graph.edge_index[1], minlength=12)
    coverage, popularity = LinkPredCoverage(3, 12), LinkPredAveragePopularity(3, counts)
    for metric in (coverage, popularity):
        metric.update(lists, graph.unseen)
    found = values(report)
    assert found["coverage@3"][0] == pytest.approx(float(coverage.compute()))
    assert found["popularity@3"][0] == pytest.approx(float(popularity.compute()))


def test_an_added_and_a_removed_item_are_in_no_list() -> None:
    """Each user has one item that any victim would rank first, were it not left out."""
    graph = graph_of(2, 4, [(0, 0), (1, 1)], [(0, 1), (1, 0)])
    attack = flips_of(graph, [(0, 2)], [(1, 1)])

    def table(fitted_to: gp.Interactions, seed: int) -> Tensor:
        return torch.tensor([[8.0, 1, 9, 0], [1.0, 9, 0, -1]])

    report = gp.evaluate(graph, attack, [TableVictim(table)], [0], metrics=["hr@1", "overlap@1"])
    assert values(report) == {"hr@1": (1.0, 1.0), "overlap@1": (1.0, 1.0)}


@settings(deadline=None)
@given(
    scores=st.lists(st.lists(st.integers(0, 3), min_size=6, max_size=6), min_size=1, max_size=4),
    k=st.integers(1, 6),
    hidden=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5))),
)
def test_equal_scores_are_ranked_by_number(
    scores: list[list[int]], k: int, hidden: list[Pair]
) -> None:
    table = torch.tensor(scores, dtype=torch.float64)
    for user, item in hidden:
        if user < len(scores):
            table[user, item] = -torch.inf
    for row, found in zip(table.tolist(), first_items(table, k).tolist(), strict=True):
        ranked = sorted((-score, item) for item, score in enumerate(row) if score > -math.inf)
        expected = [item for _, item in ranked][:k]
        assert found == expected + [6] * (k - len(expected))


def test_long_lists_of_equal_scores_are_ranked_by_number() -> None:
    scores = torch.arange(2000).remainder(3).repeat(4, 1).double()
    expected = sorted(range(2000), key=lambda item: (-(item % 3), item))[:900]
    assert first_items(scores, 900).tolist() == [expected] * 4


@given(
    pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9))),
    users=st.lists(st.integers(0, 3), unique=True),
)
def test_rows_hold_the_items_of_each_user(pairs: list[Pair], users: list[int]) -> None:
    index = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).t()
    found = Rows.of(index, 4).select(torch.tensor(users, dtype=torch.long))
    expected = [
        (place, item) for place, user in enumerate(users) for one, item in pairs if one == user
    ]
    assert sorted(map(tuple, found.t().tolist())) == sorted(expected)


# --- Users, seeds and intervals ----------------------------------------------------------------


def test_the_interval_of_one_run_is_over_users() -> None:
    graph, attack, metrics = random_problem()
    report = gp.evaluate(graph, attack, [TableVictim(noisy)], range(4), metrics=metrics)
    poisoned = attack.apply(graph)
    reference = Reference(graph, poisoned, (noisy(graph, 0), noisy(poisoned, 0)), [])
    users = [user for user in range(graph.num_users) if reference.relevant[user]]
    lost = [reference("ndcg@5", 0, [user]) - reference("ndcg@5", 1, [user]) for user in users]
    expected = stats.t.ppf(0.975, len(lost) - 1) * stats.sem(lost)
    row = report.table.query("metric == 'ndcg@5' and users == 'all'").iloc[0]
    assert row["ci95"] == pytest.approx(expected, rel=1e-5)
    assert row["seeds"] == 1
    coverage = report.table.query("metric == 'coverage@5'")
    assert coverage["ci95"].isna().all()


def test_the_interval_of_a_target_metric_is_over_users() -> None:
    graph, attack, _ = random_problem()
    targets = [0, 3]
    report = gp.evaluate(
        graph, attack, [TableVictim(noisy)], [0], metrics=["t-hr@4"], targets=targets
    )
    poisoned = attack.apply(graph)
    tables = noisy(graph, 0), noisy(poisoned, 0)
    reference = Reference(graph, poisoned, tables, targets)
    users = range(graph.num_users)
    clean = set(map(tuple, graph.edge_index.t().tolist()))
    lacking = {target: [u for u in users if (u, target) not in clean] for target in targets}
    users = [user for user in users if any(user in lacking[target] for target in targets)]
    lost = []
    for user in users:
        hits = [
            [target in reference.ranked[side][user][:4] for target in targets] for side in (0, 1)
        ]
        lost.append(
            sum(
                (hits[1][place] - hits[0][place]) * len(users) / len(lacking[target]) / 2
                for place, target in enumerate(targets)
                if user in lacking[target]
            )
        )
    row = report.table.query("users == 'all'").iloc[0]
    assert row["drop"] == pytest.approx(np.mean(lost))
    assert row["ci95"] == pytest.approx(stats.t.ppf(0.975, len(lost) - 1) * stats.sem(lost))


def random_problem(
    users: int = 40, items: int = 15
) -> tuple[gp.Interactions, gp.Perturbation, list[str]]:
    data = interaction_graph(users=users, items=items, positives=200, negatives=180)
    store = data[KIND]
    store.unseen_edge_index = torch.cat(
        [store.unseen_edge_index, store.neg_edge_index[:, 60:160]], dim=1
    )
    store.neg_edge_index = store.neg_edge_index[:, :60]
    graph = gp.read_graph(data)
    attack = gp.RandomAttack(allow_removals=True)(gp.Recommendation(data, gp.CF(dim=2)), 20)
    return graph, attack, ["ndcg@5", "recall@10", "coverage@5", "auroc"]


def test_seeds_give_the_interval_where_there_are_two() -> None:
    graph, attack, metrics = random_problem()
    victim = TableVictim(noisy)
    victim.deterministic = False
    report = gp.evaluate(graph, attack, [victim], range(3), metrics=metrics)
    runs = report.runs.query("metric == 'ndcg@5' and users == 'touched'")
    assert runs["user_ci95"].notna().all()
    lost = runs["clean"] - runs["poisoned"]
    row = report.table.query("metric == 'ndcg@5' and users == 'touched'").iloc[0]
    assert row["ci95"] == pytest.approx(stats.t.ppf(0.975, 2) * lost.sem())
    assert row["relative"] == pytest.approx(lost.mean() / runs["clean"].mean())


def test_the_excess_of_one_run_has_the_interval_of_both_drops() -> None:
    graph, attack, metrics = random_problem()
    other = gp.RandomAttack()(gp.Recommendation(graph, gp.CF(dim=2)), 20, seed=1)
    report = gp.evaluate(
        graph, {"a": attack, "random": other}, [TableVictim(noisy)], [0], metrics=metrics
    )
    query = "metric == 'ndcg@5' and users == 'all'"
    halves = report.table.query(query).set_index("attack")["ci95"]
    row = excesses(report.runs, "random").query(query).iloc[0]
    assert row["excess_ci95"] == pytest.approx(math.hypot(*halves))


def test_fake_users_are_in_no_list() -> None:
    graph, _, metrics = random_problem()
    fake = FakeUsers(3, torch.tensor([[0, 1, 2], [0, 1, 2]]))
    attack = flips_of(graph, [(graph.num_users, 5), (graph.num_users + 2, 7)], fake=fake)
    victim = TableVictim(noisy)
    report = gp.evaluate(
        graph, attack, [victim], [0], metrics=[*metrics, "t-hr@3", "overlap@3"], targets=[5]
    )
    assert set(report.runs["users"]) == {"all", "untouched"}
    counts = report.runs[report.runs["users"] == "all"].set_index("metric")["num_users"]
    assert counts["overlap@3"] == graph.num_users
    clean, poisoned = victim.fitted
    assert len(clean.asked) == graph.num_users
    assert poisoned.asked.tolist() == [1] * graph.num_users + [0] * 3
    poisoned_graph = attack.apply(graph)
    tables = noisy(graph, 0), noisy(poisoned_graph, 0)
    reference = Reference(graph, poisoned_graph, tables, [5])
    for metric in ("ndcg@5", "coverage@5", "t-hr@3"):
        expected = [reference(metric, side, range(graph.num_users)) for side in (0, 1)]
        assert values(report)[metric] == pytest.approx(expected, abs=1e-6)


def test_a_user_is_scored_once_for_all_metrics() -> None:
    graph, attack, metrics = random_problem()
    victim = TableVictim(noisy)
    gp.evaluate(graph, attack, [victim], [0], metrics=[*metrics, "log_loss", "overlap@3"])
    assert [fitted.asked.tolist() for fitted in victim.fitted] == [[1] * 40] * 2
    less = TableVictim(noisy)
    gp.evaluate(graph, attack, [less], [0], metrics=["ndcg@5"])
    tested = torch.zeros(40, dtype=torch.long).index_fill(0, graph.unseen[0], 1)
    assert [fitted.asked.tolist() for fitted in less.fitted] == [tested.tolist()] * 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.long])
def test_metrics_of_pairs_are_the_same_beside_rankings(dtype: torch.dtype) -> None:
    graph, attack, _ = random_problem()

    def table(fitted_to: gp.Interactions, seed: int) -> Tensor:
        scores = 10 * noisy(fitted_to, seed, torch.float64) - 6
        return scores.to(dtype)

    class Pairs:
        """A fitted recommender that scores pairs alone."""

        def __init__(self, scores: Tensor) -> None:
            self.found = scores

        def pairs(self, index: Tensor) -> Tensor:
            return self.found[index[0], index[1]]

    class PairVictim(TableVictim):
        def fit(self, graph: gp.Interactions, seed: int) -> Pairs:
            return Pairs(self.table(graph, seed))

    victims = [TableVictim(table), PairVictim(table, "pairs")]
    plain = gp.evaluate(graph, attack, victims, [0]).runs
    names = ["recall@3", "log_loss", "accuracy", "auroc"]
    both = gp.evaluate(graph, attack, victims, [0], metrics=names).runs
    pairs = both[both["metric"] != "recall@3"].reset_index(drop=True)
    pd.testing.assert_frame_equal(pairs, plain)
    recalls = both[both["metric"] == "recall@3"].set_index(["victim", "users"])
    assert recalls.loc["table", "clean"].tolist() == recalls.loc["pairs", "clean"].tolist()


def test_scores_of_double_precision_are_told_apart() -> None:
    graph = graph_of(1, 3, [(0, 0)], [(0, 2)])

    def table(fitted_to: gp.Interactions, seed: int) -> Tensor:
        return torch.tensor([[0.0, 1.0, 1.0 + 1e-12]], dtype=torch.float64)

    report = gp.evaluate(graph, flips_of(graph), [TableVictim(table)], [0], metrics="hr@1")
    assert values(report) == {"hr@1": (1.0, 1.0)}


def test_metrics_of_pairs_have_no_groups() -> None:
    graph, attack, _ = random_problem()
    report = gp.evaluate(graph, attack, [TableVictim(noisy)], [0])
    assert set(report.runs["users"]) == {"all"}
    assert report.runs["user_ci95"].isna().all()
    assert set(report.runs["metric"]) == {"log_loss", "accuracy", "auroc"}
    assert report.meta["warnings"] == []
    assert report.meta["metrics"] == ["log_loss", "accuracy", "auroc"]


def test_a_group_without_users_is_left_out() -> None:
    graph, _, metrics = random_problem()
    report = gp.evaluate(graph, flips_of(graph), [TableVictim(noisy)], [0], metrics=metrics)
    assert set(report.runs["users"]) == {"all", "untouched"}
    everyone = [(user, int(item)) for user, item in enumerate(first_absent(graph))]
    report = gp.evaluate(
        graph, flips_of(graph, everyone), [TableVictim(noisy)], [0], metrics=metrics
    )
    assert set(report.runs["users"]) == {"all", "touched"}


def first_absent(graph: gp.Interactions) -> list[int]:
    """An item for every user that is neither a training interaction nor unseen."""
    known = torch.zeros(graph.shape, dtype=torch.bool)
    for pairs in (graph.edge_index, graph.unseen):
        known[pairs[0], pairs[1]] = True
    return (~known).long().argmax(dim=1).tolist()


# --- Targets, warnings, transfer, checkpoints --------------------------------------------------


def test_targets_that_attacks_record_are_the_default() -> None:
    graph, attack, metrics = by_hand()[0], by_hand()[1], ["t-hr@2"]
    plain = flips_of(graph, [(1, 4)])
    report = gp.evaluate(graph, {"a": attack, "b": plain}, [by_hand()[2]], [0], metrics=metrics)
    assert report.meta["targets"] == [0, 1]
    other = flips_of(graph, [(1, 4)], targets=[2])
    with pytest.raises(ValueError, match=r"targets must be given.*\[\(0, 1\), \(2,\)\]"):
        gp.evaluate(graph, {"a": attack, "b": other}, [by_hand()[2]], [0], metrics=metrics)
    with pytest.raises(ValueError, match=r"targets must be given.*no attack records any"):
        gp.evaluate(graph, plain, [by_hand()[2]], [0], metrics=metrics)


def test_a_victim_no_better_than_popularity_is_named(caplog: pytest.LogCaptureFixture) -> None:
    graph = random_problem()[0]

    def counted(fitted_to: gp.Interactions, seed: int) -> Tensor:
        counts = torch.bincount(fitted_to.edge_index[1], minlength=fitted_to.num_items)
        return counts.expand(fitted_to.num_users, -1)

    def knowing(fitted_to: gp.Interactions, seed: int) -> Tensor:
        scores = torch.zeros(fitted_to.shape)
        scores[fitted_to.unseen[0], fitted_to.unseen[1]] = 1.0
        return scores

    victims = [TableVictim(counted, "counted"), TableVictim(knowing, "knowing")]
    with caplog.at_level(logging.WARNING):
        report = gp.evaluate(
            graph, flips_of(graph), victims, [0], metrics=["ndcg@5", "coverage@5", "hr@2"]
        )
    (said,) = report.meta["warnings"]
    ndcg, hits = values_of(report, "counted", "ndcg@5"), values_of(report, "counted", "hr@2")
    assert said == (
        "On the clean graph, victim counted is less than 10% better than a ranking by popularity: "
        f"ndcg@5 is {ndcg:.4f}, by popularity {ndcg:.4f}; "
        f"hr@2 is {hits:.4f}, by popularity {hits:.4f}."
    )
    assert said in caplog.text
    assert values_of(report, "knowing", "ndcg@5") > 1.1 * ndcg


def values_of(report: gp.Report, victim: str, metric: str) -> float:
    rows = report.runs.query(f"victim == '{victim}' and metric == '{metric}' and users == 'all'")
    return float(rows["clean"].iloc[0])


def test_a_transfer_matrix_of_a_ranking_metric() -> None:
    graph, _, _ = random_problem()
    frame = gp.transfer_matrix(
        graph,
        {"cf": gp.CF(dim=2)},
        [TableVictim(noisy)],
        gp.RandomAttack(allow_removals=True),
        10,
        seeds=range(2),
        metric="ndcg@5",
    )
    for seed in (0, 1):
        attack = gp.RandomAttack(allow_removals=True)(
            gp.Recommendation(graph, gp.CF(dim=2)), 10, seed
        )
        report = gp.evaluate(graph, attack, [TableVictim(noisy)], [seed], metrics="ndcg@5")
        rows = report.table.query("users == 'all'")
        if seed == 0:
            first = rows["drop"].iloc[0]
    assert frame.loc[("cf", "table"), "drop"] == pytest.approx((first + rows["drop"].iloc[0]) / 2)
    targeted = gp.transfer_matrix(
        graph, {"cf": gp.CF(dim=2)}, [TableVictim(noisy)], gp.RandomAttack(), 5, [0],
        metric="t-hr@5", targets=[2],
    )  # fmt: skip
    assert targeted["clean"].between(0, 1).all()
    with pytest.raises(ValueError, match="metrics has 'ndgc@5', which is not known"):
        gp.transfer_matrix(graph, "cf", "cf", gp.RandomAttack(), 5, [0], metric="ndgc@5")


def test_a_checkpoint_gives_the_table_back(tmp_path: Path) -> None:
    graph, attack, metrics = random_problem()
    file = tmp_path / "runs.csv"
    victim = TableVictim(noisy)
    options = {"metrics": metrics, "groups": {"some": [1, 2, 3, 4, 5]}, "budgets": [0, 10, 20]}
    whole = gp.evaluate(graph, attack, [victim], [0], **options)
    gp.evaluate(graph, attack, [victim], [0], checkpoint=file, **{**options, "budgets": [10]})
    gp.evaluate(graph, attack, [victim], [0], checkpoint=file, **options)
    again = gp.evaluate(graph, attack, [victim], [0], checkpoint=file, **options)
    assert len(victim.fitted) == 3 + 2 + 2  # clean and poisoned; nothing the last time
    pd.testing.assert_frame_equal(again.runs, whole.runs, check_exact=True)
    pd.testing.assert_frame_equal(again.table, whole.table, check_exact=True)
    assert again.meta["warnings"] == whole.meta["warnings"]
    for change, message in [
        ({"metrics": ["ndcg@5"]}, "metrics is"),
        ({"groups": {"some": [1]}}, "groups.some is"),
    ]:
        with pytest.raises(ValueError, match=f"is of another evaluation: {message}"):
            gp.evaluate(graph, attack, [victim], [0], checkpoint=file, **{**options, **change})


# --- Refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["ndgc@10", "ndcg", "ndcg@", "ndcg@0", "ndcg@-1", "ndcg@1.5", "NDCG@10", "auroc@5", 10]
)
def test_a_metric_that_is_none_is_named_with_all_there_are(name: object) -> None:
    with pytest.raises(ValueError, match="is not known") as error:
        parse_metric(name)
    for known in ("ndcg@k", "t-hr@k", "any-t-hr@k", "auroc", "log_loss", "e.g. 'ndcg@10'"):
        assert known in str(error.value)
    assert repr(name) in str(error.value)


def test_a_near_miss_is_asked_after() -> None:
    with pytest.raises(ValueError, match=r"Did you mean 'recall@k'\?"):
        parse_metric("recal@20")
    with pytest.raises(ValueError, match=r"Did you mean 'ndcg@k'\?"):
        parse_metric("ndcg")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": ["ndcg@16"]}, "metrics has 'ndcg@16', but the graph has 15 items"),
        ({"metrics": []}, "metrics must be one or more names"),
        ({"metrics": ["auroc"], "groups": {"a": [0]}}, "groups of users only have ranking metrics"),
        ({"metrics": ["ndcg@5"], "groups": {"touched": [0]}}, "groups has the name 'touched'"),
        ({"metrics": ["ndcg@5"], "groups": {"a": [40]}}, "numbers from 40 to 40.*40 users"),
        ({"metrics": ["ndcg@5"], "groups": {"a": []}}, "groups\\['a'\\] must be one or more"),
        ({"metrics": ["ndcg@5"], "groups": {"a": [True, False]}}, "found a mask"),
        ({"metrics": ["t-hr@5"], "targets": [15]}, "targets has numbers from 15 to 15.*15 items"),
        ({"metrics": ["t-hr@5"], "targets": 3}, "targets must be one or more"),
        ({"metrics": ["ndcg@5"], "targets": [3]}, "targets are for the metrics"),
    ],
)
def test_arguments_that_do_not_fit_are_named(options: dict[str, object], message: str) -> None:
    graph, attack, _ = random_problem()
    with pytest.raises(ValueError, match=message):
        gp.evaluate(graph, attack, [TableVictim(noisy)], [0], **options)


def test_an_attack_must_not_add_an_unseen_pair() -> None:
    graph = graph_of(2, 4, [(0, 0), (1, 1)], [(0, 1), (1, 0)])
    victim = TableVictim(noisy)
    attack = flips_of(graph, [(1, 0), (0, 2)])
    with pytest.raises(ValueError, match=r"1 unseen pairs .* poisoned by 'attack': \(1, 0\)\."):
        gp.evaluate(graph, attack, [victim], [0], metrics=["ndcg@2"])
    assert not victim.fitted


def test_a_graph_without_unseen_pairs_has_no_relevant_items() -> None:
    graph = graph_of(2, 4, [(0, 0), (1, 1)])
    attack = flips_of(graph, [(1, 0)])
    with pytest.raises(ValueError, match="'hr@2', which needs unseen pairs, but data has none"):
        gp.evaluate(graph, attack, [TableVictim(noisy)], [0], metrics=["hr@2"])
    report = gp.evaluate(graph, attack, [TableVictim(noisy)], [0], metrics=["coverage@2"])
    assert set(report.runs["users"]) == {"all", "touched", "untouched"}


def test_scores_that_are_not_finite_are_refused_where_they_count() -> None:
    graph = graph_of(2, 4, [(0, 0), (1, 1)], [(0, 1), (1, 0)])
    attack = flips_of(graph, [(1, 2)])

    def masked(fitted_to: gp.Interactions, seed: int) -> Tensor:
        scores = torch.rand(2, 4)
        scores[fitted_to.edge_index[0], fitted_to.edge_index[1]] = -torch.inf
        return scores

    gp.evaluate(graph, attack, [TableVictim(masked)], [0], metrics=["hr@2"])
    for wrong in (math.nan, math.inf, -math.inf):

        def bad(fitted_to: gp.Interactions, seed: int, wrong: float = wrong) -> Tensor:
            scores = masked(fitted_to, seed)
            scores[0, 3] = wrong
            return scores

        with pytest.raises(ValueError, match="'table' has 1 scores that are not finite among 8"):
            gp.evaluate(graph, attack, [TableVictim(bad)], [0], metrics=["hr@2"])


def test_nodes_have_accuracy_alone() -> None:
    data = citation_graph(num_nodes=30, dtype=torch.float32)
    attack = gp.RandomAttack()(gp.NodeClassification(data), 4)
    report = gp.evaluate(data, attack, ["sgc"], [0], metrics=["accuracy"])
    assert report.table["users"].tolist() == ["all"]
    for options in ({"metrics": ["ndcg@5"]}, {"targets": [0]}, {"groups": {"a": [0]}}):
        with pytest.raises(ValueError, match="the only metric of a graph of nodes is 'accuracy'"):
            gp.evaluate(data, attack, ["sgc"], [0], **options)


@pytest.mark.parametrize(
    ("metric", "gained"),
    [("ndcg@10", 0.2), ("coverage@5", 0.2), ("overlap@10", 0.2), ("t-hr@50", -0.2),
     ("any-t-hr@5", -0.2), ("t-ndcg@5", -0.2), ("popularity@10", -0.2)],
)  # fmt: skip
def test_a_drop_is_positive_where_the_attacker_gained(metric: str, gained: float) -> None:
    assert drop(metric, [0.5], [0.3]) == pytest.approx(gained)
