"""Objectives of rankings: their values against loops, and the users and pairs that they name."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import graphpoison as gp
from graphpoison._random import generator
from graphpoison.tasks.ranking_losses import margin, smooth_ndcg, softmax_mass, unranked
from graphpoison.tasks.targets import Targets

K, TEMPERATURE = 3, 0.1


def slow_softmax_mass(scores: list[float], relevant: list[int]) -> float:
    powers = [math.exp(score / TEMPERATURE) for score in scores]
    return sum(powers[i] for i in relevant) / sum(powers) / min(K, max(1, len(relevant)))


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0


def slow_margin(scores: list[float], relevant: list[int]) -> float:
    others = sorted((scores[i] for i in range(len(scores)) if i not in relevant), reverse=True)
    above = [sigmoid((scores[i] - others[K - 1]) / TEMPERATURE) for i in relevant]
    return sum(above) / min(K, max(1, len(relevant)))


def slow_ndcg(scores: list[float], relevant: list[int]) -> float:
    total = 0.0
    for i in relevant:
        rank = 0.5 + sum(sigmoid((other - scores[i]) / TEMPERATURE) for other in scores)
        total += sigmoid(K + 0.5 - rank) / math.log2(1 + rank)
    ideal = sum(1 / math.log2(2 + place) for place in range(min(K, max(1, len(relevant)))))
    return total / ideal


@pytest.mark.parametrize(
    ("loss", "slow"),
    [(softmax_mass, slow_softmax_mass), (margin, slow_margin), (smooth_ndcg, slow_ndcg)],
)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_losses_equal_loops(loss: Any, slow: Any, data: st.DataObject) -> None:
    draw = generator(data.draw(st.integers(0, 1000)))
    scores = torch.rand(4, 9, generator=draw, dtype=torch.float64)
    relevant = torch.rand(4, 9, generator=draw) < 0.3
    relevant[:, :K] = False  # so that K irrelevant items are left
    found = loss(scores, relevant, K, TEMPERATURE)
    for row in range(4):
        items = relevant[row].nonzero().flatten().tolist()
        assert float(found[row]) == pytest.approx(slow(scores[row].tolist(), items), abs=1e-12)


@pytest.mark.parametrize("loss", [softmax_mass, margin, smooth_ndcg])
def test_gradients_of_losses(loss: Any) -> None:
    scores = torch.rand(3, 8, generator=generator(1), dtype=torch.float64, requires_grad=True)
    relevant = torch.zeros(3, 8, dtype=torch.bool)
    relevant[0, 1] = relevant[1, [2, 5]] = True
    assert torch.autograd.gradcheck(lambda s: loss(s, relevant, K, TEMPERATURE), scores)


@pytest.mark.parametrize("loss", [softmax_mass, margin, smooth_ndcg])
def test_items_that_are_not_ranked_leave_finite_gradients(loss: Any) -> None:
    scores = torch.rand(2, 6, generator=generator(2), requires_grad=True)
    relevant = torch.zeros(2, 6, dtype=torch.bool)
    relevant[0, 0] = True
    hidden = torch.zeros(2, 6, dtype=torch.bool)
    hidden[:, 1] = True
    value = loss(scores.masked_fill(hidden, unranked(scores.dtype)), relevant, 2, 0.01).sum()
    (gradient,) = torch.autograd.grad(value, scores)
    assert torch.isfinite(gradient).all()
    assert not gradient[:, 1].any()


def test_degrade_hides_a_share_and_ranks_the_rest(toy: Any) -> None:
    graph = gp.read_graph(toy)
    users = [3, 7, 11]
    found = gp.Degrade(users=users, on="heldout", fraction=0.4).targets(graph, generator(0))
    own = graph.edge_index[:, torch.isin(graph.edge_index[0], torch.tensor(users))]
    hidden, seen = (
        set(map(tuple, found.hidden.t().tolist())),
        set(map(tuple, found.seen.t().tolist())),
    )
    assert found.users.tolist() == users
    assert hidden | seen == set(map(tuple, own.t().tolist()))
    assert not hidden & seen
    assert 0 < len(hidden) < len(seen)
    assert torch.equal(found.relevant, found.hidden)


def test_promote_ranks_the_items_that_users_lack(toy: Any) -> None:
    graph = gp.read_graph(toy)
    found = gp.Promote([2, 5]).targets(graph, generator(0))
    known = set(map(tuple, graph.edge_index.t().tolist()))
    wanted = {(u, i) for u in range(graph.num_users) for i in (2, 5)} - known
    assert set(map(tuple, found.relevant.t().tolist())) == wanted
    assert not found.hidden.size(1)


def test_demote_is_promote_reversed(toy: Any) -> None:
    graph = gp.read_graph(toy)
    scores = torch.rand(graph.shape, generator=generator(3))
    up, down = gp.Promote([4], k=3), gp.Demote([4], k=3)
    targets = up.targets(graph, generator(0))
    assert float(up.value(scores, targets)) == -float(down.value(scores, targets))


def test_degrade_falls_as_relevant_items_fall() -> None:
    users = torch.tensor([0])
    pair = torch.tensor([[0], [2]])
    targets = Targets(users, pair, pair, pair[:, :0])
    for loss in ("softmax-mass", "margin", "ndcg"):
        objective = gp.Degrade(loss=loss, k=1, temperature=0.1)
        high, low = torch.tensor([[0.1, 0.2, 0.9]]), torch.tensor([[0.1, 0.9, 0.2]])
        assert float(objective.value(high, targets)) < float(objective.value(low, targets))


def test_a_callable_is_a_loss(toy: Any) -> None:
    def mean_score(scores: torch.Tensor, relevant: torch.Tensor) -> torch.Tensor:
        return (scores * relevant).sum(dim=1)

    task = gp.Recommendation(toy, gp.EASE(5.0), gp.Degrade(loss=mean_score))
    found = gp.MetaAttack(flips_per_step=5)(task, budget=10)
    assert "mean_score" in str(found.meta["settings"])
    assert len(found) == 10


def test_clean_lists_are_what_the_clean_surrogate_recommends(toy: Any) -> None:
    task = gp.Recommendation(toy, gp.EASE(5.0), gp.Degrade(on="lists", k=4))
    free = float(task.attack_loss((), task.prepare(task.state)).detach())
    task = task.with_pseudo_labels(gp.Training(), seed=0)
    assert float(task.attack_loss((), task.prepare(task.state)).detach()) == free
    graph = gp.read_graph(toy)
    matrix = torch.zeros(graph.shape)
    matrix[tuple(graph.edge_index)] = 1
    scores = gp.EASE(5.0).trained_scores(matrix, ()).masked_fill(matrix > 0, -torch.inf)
    assert task.targets is not None
    for user in range(graph.num_users):
        items = task.targets.relevant[1, task.targets.relevant[0] == user]
        assert set(items.tolist()) == set(scores[user].topk(4).indices.tolist())


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda toy: gp.Degrade(loss="mass"), ValueError, "loss='mass' is not known"),
        (
            lambda toy: (
                gp.Recommendation(toy, "ease", gp.Degrade())
                .with_seen(torch.ones(gp.read_graph(toy).shape).nonzero().t())
                .with_pseudo_labels(gp.Training(), 0)
            ),
            ValueError,
            "nothing to rank",
        ),
        (lambda toy: gp.Degrade(k=0), ValueError, "k must be at least 1"),
        (lambda toy: gp.Degrade(fraction=0.0), ValueError, "fraction must lie in"),
        (lambda toy: gp.Promote([]), ValueError, "items must name one item"),
        (
            lambda toy: gp.Recommendation(toy, "ease", gp.Promote([999])),
            ValueError,
            "items has ind",
        ),
        (
            lambda toy: gp.Recommendation(toy, "ease", gp.Degrade(users=[-1])),
            ValueError,
            "users must be ind",
        ),
        (
            lambda toy: (
                gp.Recommendation(toy, "ease", gp.Bystanders()).state
                and gp.RankingAttack()(gp.Recommendation(toy, "ease", gp.Bystanders()), 3)
            ),
            ValueError,
            "Bystanders needs users",
        ),
        (lambda toy: gp.Recommendation(toy, "ease", "train"), ValueError, "no log-odds"),
        (lambda toy: gp.Recommendation(toy, "ease", gp.Degrade), TypeError, "make one"),
        (lambda toy: gp.Recommendation(toy, "ease", 3), TypeError, "objective must be"),
        (
            lambda toy: gp.Recommendation(toy, "cf", gp.Degrade()).redrawn(1),
            ValueError,
            "cannot hide",
        ),
    ],
)
def test_mistakes_are_named(make: Any, error: Any, message: str, toy: Any) -> None:
    with pytest.raises(error, match=message):
        make(toy)


@pytest.fixture
def toy() -> Any:
    return gp.datasets.load(
        "synthetic-interactions", num_users=30, num_items=40, num_interactions=400
    )
