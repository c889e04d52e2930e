"""Attacks that meta-gradients are compared with: what each of them is meant to flip."""

import pytest
import torch
from conftest import citation_graph, interaction_graph
from hypothesis import given, settings
from hypothesis import strategies as st

import graphpoison as gp
from graphpoison.attacks.base import Attack


def node_task(seed: int = 0, num_nodes: int = 30, **options: object) -> gp.NodeClassification:
    return gp.NodeClassification(citation_graph(num_nodes, seed=seed), **options)


def all_pairs(rows: int, cols: int, upper: bool) -> list[tuple[int, int]]:
    return [(i, j) for i in range(rows) for j in range(i + 1 if upper else 0, cols)]


# --- DICE -------------------------------------------------------------------------------------


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 50), share=st.sampled_from([0.0, 0.3, 1.0]), listed=st.booleans())
def test_dice_deletes_within_classes_and_connects_between_them(
    seed: int, share: float, listed: bool
) -> None:
    candidates = torch.triu_indices(30, 30, offset=1) if listed else "all"
    task = node_task(seed, candidates=candidates)
    flips = gp.DICE([gp.NoSingletons()], removal_share=share)(task, 25, seed).flips
    same = task.labels[flips["source"]] == task.labels[flips["target"]]
    assert flips["added"].tolist() == (~same).tolist()
    if share == 0:
        assert flips["added"].all()
        assert len(flips) == 25
    if share == 1:
        assert not flips["added"].any()


def test_dice_keeps_the_share_of_removals() -> None:
    task = node_task(num_nodes=200)
    state = task.state
    within = task.labels[state.index[0]] == task.labels[state.index[1]]
    assert int(within.sum()) > 500
    for share in (0.2, 0.5):
        flips = gp.DICE(removal_share=share)(task, 400).flips
        assert len(flips) == 400
        assert (~flips["added"]).mean() == pytest.approx(share, abs=0.08)


def test_dice_makes_up_for_the_kind_that_has_run_out() -> None:
    task = node_task(num_nodes=12)
    source, target = task.state.index
    within = int((task.labels[source] == task.labels[target]).sum())
    flips = gp.DICE(removal_share=0.9)(task, within + 10).flips
    assert int((~flips["added"]).sum()) == within
    assert int(flips["added"].sum()) == 10


def test_dice_needs_classes() -> None:
    with pytest.raises(TypeError, match=r"goes by the classes of nodes.*use DegreeAttack"):
        gp.DICE()(gp.Recommendation(interaction_graph()), 3)
    with pytest.raises(ValueError, match="removal_share must lie in"):
        gp.DICE(removal_share=1.5)


# --- Degrees ----------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["highest", "lowest"])
@pytest.mark.parametrize("candidates", ["all", "listed"])
@pytest.mark.parametrize("bipartite", [True, False])
def test_the_degree_attack_takes_extreme_sums_of_degrees(
    order: str, candidates: str, bipartite: bool
) -> None:
    if bipartite:
        data = interaction_graph()
        task: gp.Task = gp.Recommendation(
            data, candidates="all" if candidates == "all" else "sampled"
        )
    else:
        upper = torch.triu_indices(30, 30, offset=1)
        task = node_task(candidates="all" if candidates == "all" else upper)
    state = task.state
    edges = set(map(tuple, state.edges.t().tolist()))
    sources, targets = (degree.tolist() for degree in state.degrees)
    pairs = all_pairs(*state.shape, upper=not bipartite)
    if bipartite and candidates == "listed":
        pairs = [tuple(pair) for pair in state.index.t().tolist()]
    sums = {pair: sources[pair[0]] + targets[pair[1]] for pair in pairs}
    for removals, additions in ((False, True), (True, True), (True, False)):
        attack = gp.DegreeAttack(order=order, allow_removals=removals, allow_additions=additions)
        allowed = [p for p in pairs if (p in edges and removals) or (p not in edges and additions)]
        expected = sorted((sums[pair] for pair in allowed), reverse=order == "highest")[:9]
        flips = attack(task, 9).flips
        found = [sums[pair] for pair in zip(flips["source"], flips["target"], strict=True)]
        assert found == expected
        assert set(flips["added"]) <= ({True} if additions else set()) | (
            {False} if removals else set()
        )


def test_the_degree_attack_breaks_ties_by_the_seed() -> None:
    task = node_task()
    runs = [gp.DegreeAttack(order="lowest")(task, 9, seed).pairs for seed in (0, 0, 1)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


@pytest.mark.parametrize("attack", [gp.DICE, gp.DegreeAttack])
def test_heuristics_run_into_nothing_left_and_stop(
    attack: type[Attack], caplog: pytest.LogCaptureFixture
) -> None:
    block = torch.tensor([[0, 1, 2], [6, 8, 7]])
    task = node_task(candidates=block)
    result = attack()(task, 60)
    assert len(result) <= 3
    assert "no admissible flip left" in caplog.text
