"""How easily fake and touched users are found, and how many fake users a promotion needs."""

import itertools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import interaction_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import graphpoison as gp
from graphpoison.attacks.heuristics import HeuristicAttack
from graphpoison.attacks.templates import TemplateUsers, promotion_templates
from graphpoison.evaluation.accounts import promotion_hit_rate, users_needed
from graphpoison.evaluation.detectability import DETECTORS, detectability, projections
from graphpoison.evaluation.profile_statistics import profile_statistics

FAKE, TOUCHED = "fake vs real", "touched vs untouched"


def graph_of(seed: int = 0, users: int = 30, items: int = 25) -> gp.Interactions:
    return gp.read_graph(interaction_graph(users, items, seed, positives=220, negatives=60))


def dense(graph: gp.Interactions) -> Tensor:
    found = torch.zeros(graph.shape, dtype=torch.float64)
    found[tuple(graph.edge_index)] = 1.0
    return found


def flips(
    graph: gp.Interactions, rule: str = "random removals", budget: int = 9
) -> gp.Perturbation:
    return HeuristicAttack(rule)(gp.Recommendation(graph, gp.CF(dim=2)), budget)


def slow_statistics(graph: gp.Interactions, neighbours: int) -> pd.DataFrame:
    """One user after the other, by the definitions."""
    matrix = dense(graph).numpy()
    num_users, num_items = matrix.shape
    popularity = matrix.sum(axis=0)
    ranked = sorted(range(num_items), key=lambda item: (-popularity[item], item))
    popular = set(ranked[: max(1, round(num_items / 10))])
    before, group = 0.0, {}
    for item in ranked:
        group[item] = min(9, int(before * 10 / popularity.sum()))
        before += popularity[item]
    rows = []
    for user in range(num_users):
        items = np.flatnonzero(matrix[user])
        if not items.size:
            similar = [0.0] * (num_users - 1)
            rows.append([0.0] * 9)
            continue
        similar = sorted(
            (
                len(set(items) & set(np.flatnonzero(matrix[other])))
                / math.sqrt(max(1, items.size * matrix[other].sum()))
                for other in range(num_users)
                if other != user
            ),
            reverse=True,
        )
        shares = np.bincount([group[item] for item in items], minlength=10) / items.size
        couples = [
            sum(matrix[v, i] * matrix[v, j] for v in range(num_users) if v != user)
            / math.sqrt(popularity[i] * popularity[j])
            for i, j in itertools.permutations(items, 2)
        ]
        rows.append(
            [
                math.log(1 + items.size),
                np.mean(popularity[items]) / num_users,
                np.std(popularity[items]) / num_users,
                np.mean([item in popular for item in items]),
                np.mean(1 / popularity[items]),
                -sum(p * math.log(p) for p in shares if p > 0),
                np.mean(similar[:neighbours]),
                similar[0],
                np.mean(couples) if couples else 0.0,
            ]
        )
    columns = list(profile_statistics(graph).columns)
    return pd.DataFrame(rows, columns=columns)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 50), neighbours=st.integers(1, 40), density=st.floats(0.02, 0.9))
def test_statistics_against_a_loop(seed: int, neighbours: int, density: float) -> None:
    draw = torch.Generator().manual_seed(seed)
    matrix = torch.rand(9, 14, generator=draw) < density
    matrix[0, 0] = True
    graph = gp.Interactions(matrix.nonzero().t().contiguous(), 9, 14)
    found = profile_statistics(graph, neighbours)
    assert "popularity_entropy" in found.columns
    pd.testing.assert_frame_equal(found, slow_statistics(graph, neighbours), atol=1e-7)


def test_statistics_do_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of()
    whole = profile_statistics(graph)
    monkeypatch.setattr("graphpoison.evaluation.profile_statistics.CELLS_AT_ONCE", 90)
    pd.testing.assert_frame_equal(profile_statistics(graph), whole)


@pytest.mark.parametrize("components", [1, 3])
def test_projections_against_the_covariance(components: int) -> None:
    graph = graph_of()
    graph = replace(graph, num_users=31)  # the last user has no interactions
    matrix = dense(graph)
    deviation = matrix.std(dim=1, correction=0, keepdim=True)
    rows = torch.where(deviation > 0, (matrix - matrix.mean(dim=1, keepdim=True)) / deviation, 0.0)
    vectors = torch.linalg.eigh(rows @ rows.t()).eigenvectors[:, -components:]
    expected = vectors.square().sum(dim=1)
    found = projections(graph, components, seed=3)
    assert found == pytest.approx(expected.numpy(), abs=1e-9)
    assert found[-1] == 0.0


def slow_auroc(scores: np.ndarray, positive: list[int], negative: list[int]) -> float:
    won = [
        1.0 if scores[u] > scores[v] else 0.5 if scores[u] == scores[v] else 0.0
        for u in positive
        for v in negative
    ]
    return sum(won) / len(won)


def test_auroc_of_both_populations_against_couples() -> None:
    """Fake users with further flips, and real users who are touched by hand."""
    graph = graph_of()
    task = gp.Recommendation(graph, gp.CF(dim=2))
    fake = TemplateUsers(6, "average", 5, (2,))(task, 4)
    touched = flips(graph)
    both = replace(fake, flips=pd.concat([fake.flips, touched.flips]))
    scores = torch.rand(36, generator=torch.Generator().manual_seed(0)).round(decimals=1)
    seen = []

    def own(interactions: gp.Interactions) -> Tensor:
        seen.append(interactions)
        return scores

    found = detectability(graph, both, [own, "pca"]).set_index(["detector", "population"])
    assert list(found.columns) == ["auroc", "num_positive", "num_negative"]
    hit = sorted(set(touched.flips["source"]))
    others = sorted(set(range(30)) - set(hit))
    expected = {
        FAKE: (list(range(30, 36)), list(range(30))),
        TOUCHED: (hit, others),
    }
    for population, (positive, negative) in expected.items():
        row = found.loc["own", population]
        assert row["auroc"] == pytest.approx(slow_auroc(scores.numpy(), positive, negative))
        assert (row["num_positive"], row["num_negative"]) == (len(positive), len(negative))
        values = -projections(seen[0])
        row = found.loc["pca", population]
        assert row["auroc"] == pytest.approx(slow_auroc(values, positive, negative))


def test_the_detector_sees_the_poisoned_interactions_alone() -> None:
    graph = graph_of()
    made = TemplateUsers(3, "random", 5, (2,))(gp.Recommendation(graph, gp.CF(dim=2)), 2)
    seen: list[gp.Interactions] = []

    def own(interactions: gp.Interactions) -> np.ndarray:
        seen.append(interactions)
        return np.arange(interactions.num_users)

    detectability(graph, made, {"mine": own})
    poisoned = made.apply(graph)
    (found,) = seen
    assert torch.equal(found.edge_index, poisoned.edge_index)
    assert found.shape == poisoned.shape == (33, 25)
    assert found.num_real_users == 33  # nothing says who is fake
    assert found.negatives is None
    assert found.unseen is None
    assert found.unseen_negatives is None


def test_the_library_finds_plain_templates() -> None:
    """Random profiles among users who follow four tastes, and profiles of the same few items."""
    draw = torch.Generator().manual_seed(0)
    taste = torch.arange(120).unsqueeze(1) % 4 == torch.arange(80) % 4
    matrix = torch.rand(120, 80, generator=draw) < torch.where(taste, 0.7, 0.03)
    graph = gp.Interactions(matrix.nonzero().t().contiguous(), 120, 80)
    made = promotion_templates(graph, [3], 12, 16)
    aurocs = {
        kind: detectability(graph, attack)
        .query("population == @FAKE")
        .set_index("detector")["auroc"]
        for kind, attack in made.items()
    }
    assert aurocs["random"]["isolation forest"] > 0.9
    assert aurocs["random"]["pca"] > 0.95
    assert aurocs["copied"]["nearest user"] > 0.9
    assert aurocs["popular"]["isolation forest"] > 0.8


def test_the_same_seed_gives_the_same_table() -> None:
    graph = graph_of()
    made = flips(graph)
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, again, other = (detectability(graph, made, seed=seed) for seed in (4, 4, 5))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)
    assert list(first["detector"]) == list(DETECTORS)
    assert set(first["population"]) == {TOUCHED}
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_nobody_touched_is_nan() -> None:
    graph = graph_of()
    found = detectability(graph, flips(graph).prefix(0), ["nearest user"])
    assert found["auroc"].isna().all()
    assert found["num_positive"].tolist() == [0]
    assert found["num_negative"].tolist() == [30]


def test_hetero_data_are_read() -> None:
    data = interaction_graph()
    made = flips(gp.read_graph(data), budget=3)
    expected = detectability(gp.read_graph(data), made)
    pd.testing.assert_frame_equal(detectability(data, made), expected)


def test_errors_of_detectors() -> None:
    graph = graph_of()
    made = flips(graph)
    with pytest.raises(ValueError, match="Did you mean 'pca'"):
        detectability(graph, made, ["pcs"])
    with pytest.raises(TypeError, match="detectors must be a list"):
        detectability(graph, made, "pca")
    with pytest.raises(TypeError, match="neither a name nor a function"):
        detectability(graph, made, {"mine": 3})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="'pca' twice"):
        detectability(graph, made, ["pca", "pca"])
    with pytest.raises(ValueError, match=r"'mine' must give scores \[30\].*found shape \(3,\)"):
        detectability(graph, made, {"mine": lambda seen: [1.0, 2.0, 3.0]})
    with pytest.raises(ValueError, match="'mine' gives 30 scores that are not finite"):
        detectability(graph, made, {"mine": lambda seen: np.full(30, np.nan)})
    with pytest.raises(TypeError, match="perturbation must be a Perturbation"):
        detectability(graph, "flips.npz")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="seed must be an integer"):
        detectability(graph, made, seed=0.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="neighbours must be at least 1"):
        profile_statistics(graph, 0)
    with pytest.raises(ValueError, match="no interactions"):
        profile_statistics(replace(graph, edge_index=graph.edge_index[:, :0]))
    with pytest.raises(ValueError, match="2 needed"):
        projections(gp.Interactions(torch.tensor([[0], [0]]), 1, 5))


def counting() -> tuple[list[int], object]:
    """An attack that is its number of users, with the numbers asked for."""
    tried: list[int] = []

    def make(number: int) -> object:
        tried.append(number)
        return number

    return tried, make


@given(
    needed=st.integers(1, 300),
    least=st.integers(1, 50),
    most=st.integers(50, 200),
    precision=st.sampled_from([0.0, 0.03, 0.1]),
)
def test_bisection_finds_the_smallest_number(
    needed: int, least: int, most: int, precision: float
) -> None:
    tried, make = counting()
    found = users_needed(make, lambda n: float(n >= needed), 0.5, most, least, precision)  # type: ignore[arg-type]
    if needed > most:
        assert found.number is None
    else:
        assert found.number is not None
        smaller = max([number for number in tried if number < found.number], default=least - 1)
        assert smaller < max(least, needed) <= found.number
        assert found.number - smaller <= max(1.0, precision * found.number)
    assert len(tried) == len(set(tried))
    assert all(least <= number <= most for number in tried)
    assert found.curve["num_users"].tolist() == sorted(tried)
    assert len(tried) <= math.log2(most / least) + math.log2(most) + 3


@given(st.lists(st.floats(0, 1), min_size=40, max_size=40))
def test_without_monotonicity_the_result_is_a_crossing(rates: list[float]) -> None:
    _, make = counting()
    found = users_needed(make, lambda n: rates[n - 1], 0.5, 40)  # type: ignore[arg-type, call-overload]
    curve = dict(zip(found.curve["num_users"], found.curve["hit_rate"], strict=True))
    assert all(rates[number - 1] == rate for number, rate in curve.items())
    if found.number is None:
        assert all(rate < 0.5 for rate in curve.values())
    else:
        assert curve[found.number] >= 0.5
        assert found.number == 1 or curve[found.number - 1] < 0.5


class Popular:
    """A victim that ranks items by popularity, the first of equal ones first."""

    name = "popular"

    def fit(self, graph: gp.Interactions, seed: int) -> "Popular":
        counts = torch.bincount(graph.edge_index[1], minlength=graph.num_items).double()
        self.ranked = counts - torch.arange(graph.num_items) / 1000
        return self

    def scores(self, users: Tensor) -> Tensor:
        return self.ranked.expand(users.numel(), -1).clone()


@pytest.mark.parametrize("items", [[20], [20, 4]])
def test_hit_rate_against_a_loop(items: list[int]) -> None:
    graph = graph_of()
    task = gp.Recommendation(graph, gp.CF(dim=2))
    made = TemplateUsers(5, "random", 6, tuple(items))(task, 3)
    rate = promotion_hit_rate(graph, Popular(), items, k=4)(made)
    poisoned = made.apply(graph)
    ranked = Popular().fit(poisoned, 0).ranked
    shares = []
    for item in items:
        hits = []
        for user in range(30):
            owned = set(graph.edge_index[1, graph.edge_index[0] == user].tolist())
            if item in owned:
                continue
            order = [i for i in ranked.argsort(descending=True).tolist() if i not in owned]
            hits.append(item in order[:4])
        shares.append(np.mean(hits))
    assert rate == pytest.approx(np.mean(shares))


def test_accounts_that_lift_an_item_among_the_popular() -> None:
    """With a victim by popularity the number can be read off the counts."""
    graph = graph_of()
    popularity = torch.bincount(graph.edge_index[1], minlength=25)
    item = int(popularity.argmin())
    task = gp.Recommendation(graph, gp.CF(dim=2))

    def make(number: int) -> gp.Perturbation:
        return TemplateUsers(number, "random", 1, (item,))(task, 0)

    rate = promotion_hit_rate(graph, Popular(), [item], k=1)
    found = users_needed(make, rate, share=1.0, most=60)
    assert found.number is not None
    assert rate(make(found.number)) == 1.0
    assert rate(make(found.number - 1)) < 1.0
    assert set(found.curve["num_users"]) >= {found.number, found.number - 1}


def test_errors_of_accounts() -> None:
    graph = graph_of()
    with pytest.raises(ValueError, match="most must be at least 5"):
        users_needed(lambda n: n, lambda n: 0.0, most=4, least=5)  # type: ignore[arg-type, return-value]
    with pytest.raises(ValueError, match="hit_rate must lie in"):
        users_needed(lambda n: n, lambda n: 5.0)  # type: ignore[arg-type, return-value]
    with pytest.raises(ValueError, match="share must lie in"):
        users_needed(lambda n: n, lambda n: 0.0, share=5.0)  # type: ignore[arg-type, return-value]
    with pytest.raises(ValueError, match="items has item 25"):
        promotion_hit_rate(graph, Popular(), [25])
    with pytest.raises(ValueError, match="k=26 is more than the 25 items"):
        promotion_hit_rate(graph, Popular(), [2], k=26)
    full = gp.Interactions(torch.tensor([[0, 1], [1, 1]]), 2, 4)
    with pytest.raises(ValueError, match="every user has already"):
        promotion_hit_rate(full, Popular(), [1], k=2)
    with pytest.raises(ValueError, match="every user has already"):
        promotion_hit_rate(full, Popular(), [0, 1], k=2)


def test_movielens(real_data: Path) -> None:
    """Random profiles on real data are found, copies of real users less easily."""
    graph = gp.read_graph(gp.datasets.load("movielens-100k", real_data))
    made = promotion_templates(graph, [1500], 47, 85)
    aurocs = {
        kind: detectability(graph, made[kind]).query("population == @FAKE").set_index("detector")
        for kind in ("random", "copied")
    }
    assert aurocs["random"].loc["isolation forest", "auroc"] > 0.95
    assert aurocs["random"].loc["pca", "auroc"] > 0.95
    assert aurocs["copied"].loc["isolation forest", "auroc"] < 0.8
    assert aurocs["copied"].loc["nearest user", "auroc"] > 0.8
