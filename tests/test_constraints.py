"""Constraints against brute force: every single flip tried, and attacks flip by flip."""

from collections.abc import Callable

import pytest
import reference
import torch
from conftest import assert_flips, citation_graph, interaction_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric.utils import to_dense_adj

import graphpoison as gp
from graphpoison._random import generator
from graphpoison.attacks.base import Proposal
from graphpoison.graphs import PairState

SHORT = gp.Training(steps=4, lr=0.1, momentum=0.5)
Allowed = Callable[[Tensor, Tensor], bool]


def square(state: PairState, weight: Tensor) -> Tensor:
    """The adjacency [N, N]; users come before items."""
    adjacency = torch.zeros(state.num_nodes, state.num_nodes)
    source, target = state.index
    adjacency[source, target + (state.shape[0] if state.bipartite else 0)] = weight
    return adjacency + adjacency.t()


def degree_distribution(d_min: int, cutoff: float, sides: list[slice]) -> Allowed:
    def allowed(clean: Tensor, poisoned: Tensor) -> bool:
        return all(
            reference.degree_statistic(
                clean.sum(dim=1)[side].int().tolist(),
                poisoned.sum(dim=1)[side].int().tolist(),
                d_min,
            )
            < cutoff
            for side in sides
        )

    return allowed


def connectivity(clean: Tensor, poisoned: Tensor) -> bool:
    return bool((reference.reachable(poisoned) >= reference.reachable(clean)).all())


def node_budget(limit: Callable[[int], int], side: slice = slice(None)) -> Allowed:
    def allowed(clean: Tensor, poisoned: Tensor) -> bool:
        made = (clean != poisoned).sum(dim=1)[side].tolist()
        degrees = clean.sum(dim=1)[side].tolist()
        return all(m <= limit(int(d)) for m, d in zip(made, degrees, strict=True))

    return allowed


def off_limits(nodes: list[int]) -> Allowed:
    return lambda clean, poisoned: torch.equal(clean[nodes], poisoned[nodes])


def no_singletons(clean: Tensor, poisoned: Tensor) -> bool:
    return not bool(((clean.sum(dim=1) > 0) & (poisoned.sum(dim=1) == 0)).any())


def every(state: PairState) -> list[tuple[gp.Constraint, Allowed]]:
    """Constraints, each with the obvious check of a whole graph."""
    users = state.shape[0]
    sides = [slice(0, users), slice(users, None)] if state.bipartite else [slice(None)]
    first, last = (sides[0], sides[-1])
    return [
        (gp.NoSingletons(), no_singletons),
        (gp.DegreeDistribution(), degree_distribution(2, 0.004, sides)),
        (gp.DegreeDistribution(1, 0.2), degree_distribution(1, 0.2, sides)),
        (gp.DegreeDistribution(3, 0.05), degree_distribution(3, 0.05, sides)),
        (gp.DegreeDistribution(40), degree_distribution(40, 0.004, sides)),
        (gp.Connectivity(), connectivity),
        (gp.NodeBudget(2), node_budget(lambda degree: 2)),
        (gp.NodeBudget.fraction(0.5), node_budget(lambda degree: degree // 2)),
        (gp.NodeBudget(1, side="source"), node_budget(lambda degree: 1, first)),
        (
            gp.NodeBudget.fraction(0.5, side="target"),
            node_budget(lambda degree: degree // 2, last),
        ),
        (gp.OffLimits([0, 3, 5]), off_limits([0, 3, 5])),
    ]


def clean_state(bipartite: bool, seed: int) -> PairState:
    """A graph with leaves, cycles and, now and then, parts that nothing joins."""
    if bipartite:
        data = interaction_graph(seed=seed, positives=16, negatives=47)
        del data["user", "rates", "item"]["unseen_edge_index"]
        del data["user", "rates", "item"]["unseen_neg_edge_index"]
        return gp.Recommendation(data, gp.CF(dim=2), candidates="all").state
    data = citation_graph(seed=seed)
    draw = torch.Generator().manual_seed(seed)
    kept = torch.rand(14, 14, generator=draw).triu(1) > 0.35
    data.edge_index = data.edge_index[:, (kept | kept.t())[tuple(data.edge_index)]]
    return gp.NodeClassification(data).state


@settings(max_examples=25, deadline=None)
@given(bipartite=st.booleans(), seed=st.integers(0, 10_000), data=st.data())
def test_verdicts_are_those_of_trying_every_flip(
    bipartite: bool, seed: int, data: st.DataObject
) -> None:
    clean = clean_state(bipartite, seed)
    constraint, allowed = data.draw(st.sampled_from(every(clean)), label="constraint")
    source, target = pairs = all_pairs(clean)
    state = clean
    order = torch.randperm(pairs.size(1), generator=torch.Generator().manual_seed(seed)).tolist()
    for place in order[:20]:
        pair = pairs[:, place : place + 1]
        if verdict(constraint, state, pair):
            state = state.flip(pair)
    assert constraint.violation(clean, state) is None
    before, now = square(state, state.clean), square(state, state.weight)
    shift = clean.shape[0] if bipartite else 0
    untouched = (before == now)[source, target + shift].nonzero().squeeze(1).tolist()
    assert allowed(before, now)
    for place in untouched:
        pair = pairs[:, place : place + 1]
        i, j = int(pair[0]), int(pair[1]) + shift
        after = reference.flipped(now, i, j)
        assert verdict(constraint, state, pair) == allowed(before, after), (i, j)


def all_pairs(state: PairState) -> Tensor:
    rows, cols = state.shape
    pairs = torch.cartesian_prod(torch.arange(rows), torch.arange(cols)).t()
    return pairs if state.bipartite else pairs[:, pairs[0] < pairs[1]]


def verdict(constraint: gp.Constraint, state: PairState, pair: Tensor) -> bool:
    place = int(state.locate(pair))
    present = place >= 0 and bool(state.weight[place] > 0)
    allowed = constraint.removals(state) if present else constraint.additions(state)
    return allowed is None or bool(allowed(*pair))


@pytest.mark.parametrize("bipartite", [False, True])
def test_verdicts_have_the_shape_of_the_pairs(bipartite: bool) -> None:
    state = clean_state(bipartite, seed=3)
    source, target = state.edges[0][:, None], state.edges[1][None]
    diagonal = torch.arange(source.numel())
    for constraint, _ in every(state):
        for allowed in (constraint.additions(state), constraint.removals(state)):
            if allowed is not None:
                assert allowed(source, target).shape == (source.numel(), target.numel())
                single = allowed(*state.edges)
                assert torch.equal(allowed(source, target)[diagonal, diagonal], single)


CASES = [
    ([gp.DegreeDistribution()], lambda sides: [degree_distribution(2, 0.004, sides)]),
    (
        [gp.DegreeDistribution(2, 0.05), gp.Connectivity()],
        lambda sides: [degree_distribution(2, 0.05, sides), connectivity],
    ),
    (
        [gp.NodeBudget(1), gp.NoSingletons()],
        lambda sides: [node_budget(lambda degree: 1), no_singletons],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=["degrees", "degrees and connectivity", "per node"])
@pytest.mark.parametrize("flips_per_step", [1, 3])
def test_metattack_under_constraints_flip_by_flip(case: tuple, flips_per_step: int) -> None:
    constraints, build = case
    data = citation_graph(num_nodes=18, seed=2)
    task = gp.NodeClassification(data, "linear-gcn", "self")
    attack = gp.MetaAttack(SHORT, flips_per_step, constraints, redraw=False)
    found = attack(task, 8)
    checks = build([slice(None)])
    for count in range(len(found) + 1):
        state = task.state.flip(found.prefix(count).pairs)
        clean, now = square(state, state.clean), square(state, state.weight)
        assert all(allowed(clean, now) for allowed in checks)
    if flips_per_step > 1:
        return
    adjacency = to_dense_adj(data.edge_index, max_num_nodes=18)[0].double()
    expected = reference.metattack(
        "linear-gcn",
        adjacency,
        data.x,
        data.y,
        data.train_mask,
        task.init(generator(0)),
        budget=8,
        objective="self",
        allowed=lambda clean, after: all(allowed(clean, after) for allowed in checks),
        steps=4,
        lr=0.1,
        momentum=0.5,
    )
    assert_flips(found, expected)
    assert len(found) > 2


@settings(max_examples=20, deadline=None)
@given(bipartite=st.booleans(), number=st.integers(0, 10), seed=st.integers(0, 1000))
def test_after_every_flip_the_condition_holds(bipartite: bool, number: int, seed: int) -> None:
    task = (
        gp.Recommendation(interaction_graph(seed=seed), gp.CF(dim=2))
        if bipartite
        else gp.NodeClassification(citation_graph(seed=seed))
    )
    constraint, allowed = every(task.state)[number]
    attack = gp.RandomAttack([constraint], allow_removals=True)
    found = attack(task, 8, seed=seed)
    for count in range(len(found) + 1):
        state = task.state.flip(found.prefix(count).pairs)
        assert allowed(square(state, state.clean), square(state, state.weight))


def test_an_attack_that_nothing_is_left_for_says_so(caplog: pytest.LogCaptureFixture) -> None:
    task = gp.NodeClassification(citation_graph())
    for constraint, made in ((gp.NodeBudget(0), 0), (gp.NodeBudget(1), 7)):
        found = gp.MetaAttack(SHORT, constraints=[constraint])(task, 10)
        assert len(found) == made
        assert f"no admissible flip left after {made} of 10" in caplog.text


class Cheat(gp.Attack):
    """Makes the flips that it was given, whatever the constraints say of them."""

    def __init__(self, pairs: Tensor, added: bool, *constraints: gp.Constraint) -> None:
        self.pairs, self.added, self.constraints = pairs, added, constraints

    def propose(
        self, task: gp.Task, state: PairState, limit: int, seed: int, step: int
    ) -> Proposal:
        pair = self.pairs[:, step : step + 1]
        return Proposal(gp.Flips(pair, torch.tensor([self.added]), torch.zeros(1)))


@pytest.mark.parametrize(
    ("constraint", "added", "message"),
    [
        (gp.Connectivity(), False, "1 parts of the graph were cut off"),
        (gp.DegreeDistribution(), True, "likelihood ratio .* is not below 0.004"),
        (gp.NodeBudget(2), True, "1 nodes are in more flips than allowed"),
        (gp.OffLimits([0]), True, "4 flips touch nodes that are off limits"),
        (gp.OffLimits(torch.tensor([7, 4])), False, "1 flips touch nodes that are off limits"),
    ],
)
def test_a_broken_constraint_is_found_at_the_end(
    constraint: gp.Constraint, added: bool, message: str
) -> None:
    ring = torch.arange(9)
    path = torch.stack([ring[:-1], ring[1:]])
    data = citation_graph(num_nodes=9)
    data.edge_index = torch.cat([path, path.flip(0)], dim=1)
    pairs = torch.stack([torch.zeros(4, dtype=torch.long), ring[3:7]]) if added else path[:, 4:5]
    task = gp.NodeClassification(data)
    with pytest.raises(RuntimeError, match=message):
        Cheat(pairs, added, constraint)(task, pairs.size(1))
    assert len(Cheat(pairs, added)(task, pairs.size(1))) == pairs.size(1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gp.DegreeDistribution(0), "d_min must be at least 1, found 0"),
        (lambda: gp.DegreeDistribution(cutoff=0.0), "cutoff must lie in"),
        (lambda: gp.NodeBudget(), "either flips or a share"),
        (lambda: gp.NodeBudget(1, 0.5), "either flips or a share"),
        (lambda: gp.NodeBudget(-1), "flips must be at least 0"),
        (lambda: gp.NodeBudget.fraction(-0.1), "share must lie in"),
    ],
)
def test_bad_settings_are_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_the_pattern_of_clean_degrees_is_no_violation() -> None:
    for bipartite in (False, True):
        state = clean_state(bipartite, seed=5)
        for constraint, allowed in every(state):
            assert constraint.violation(state, state) is None
            assert allowed(square(state, state.clean), square(state, state.clean))


def test_features_of_nodes_off_limits_stay() -> None:
    task = gp.NodeClassification(citation_graph(), candidates=None, feature_candidates="all")
    found = gp.MetaAttack(SHORT, 3, [gp.OffLimits(range(1, 14))])(task, 6)
    assert len(found) == 6
    assert set(found.feature_flips[0].tolist()) == {0}


def test_a_budget_of_nodes_counts_flips_of_features() -> None:
    data = citation_graph()
    task = gp.NodeClassification(data, candidates=None, feature_candidates="all")
    state = task.state
    first = gp.NodeBudget(1).feature_flips(state)
    assert first is not None
    assert bool(first(torch.arange(14), torch.zeros(14, dtype=torch.long)).all())
    found = gp.RandomAttack([gp.NodeBudget(1)], allow_removals=True)(task, 12)
    assert found.feature_flips[0].bincount().max() == 1
    assert not first(*found.feature_flips).logical_not().any()


def test_indices_beyond_the_graph_are_off_limits_to_nobody() -> None:
    task = gp.NodeClassification(citation_graph())
    with pytest.raises(ValueError, match=r"sources has index 14, but the graph has 14 \(0 to 13\)"):
        gp.RandomAttack([gp.OffLimits([14])])(task, 2)
