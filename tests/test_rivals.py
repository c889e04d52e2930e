"""Attacks that meta-gradients are compared with: what each of them is meant to flip."""

from dataclasses import replace

import numpy as np
import pytest
import reference
import torch
from conftest import citation_graph, interaction_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch_geometric.nn import GCN, SAGEConv
from torch_geometric.utils import to_dense_adj

import graphpoison as gp
from graphpoison._random import generator, isolated_rng
from graphpoison.attacks.relaxation import Relaxation, project
from graphpoison.attacks.sampler import CandidateSampler
from graphpoison.metrics import accuracy
from graphpoison.victims import NODE_VICTIMS


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
    with pytest.raises(TypeError, match=r"needs classes of nodes.*use DegreeAttack"):
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
            data, "cf", candidates="all" if candidates == "all" else "sampled"
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


def test_the_degree_attack_counts_edges_also_where_they_have_weights() -> None:
    data = citation_graph(30)
    weighted = data.clone()
    draw = torch.rand(30, 30, generator=torch.Generator().manual_seed(0)) + 0.1
    weighted.edge_weight = (draw + draw.t())[tuple(data.edge_index)]
    attack = gp.DegreeAttack(allow_removals=True)
    plain, heavy = (attack(gp.NodeClassification(graph), 9).pairs for graph in (data, weighted))
    assert torch.equal(plain, heavy)


def test_the_degree_attack_breaks_ties_by_the_seed() -> None:
    task = node_task()
    runs = [gp.DegreeAttack(order="lowest")(task, 9, seed).pairs for seed in (0, 0, 1)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


@pytest.mark.parametrize("attack", [gp.DICE, gp.DegreeAttack])
def test_heuristics_run_into_nothing_left_and_stop(
    attack: type[gp.Attack], caplog: pytest.LogCaptureFixture
) -> None:
    block = torch.tensor([[0, 1, 2], [6, 8, 7]])
    task = node_task(candidates=block)
    result = attack()(task, 60)
    assert len(result) <= 3
    assert "no admissible flip left" in caplog.text


# --- Projected gradient -----------------------------------------------------------------------

INNER = {"steps": 5, "lr": 0.2, "momentum": 0.5}
SHORT = gp.Training(**INNER)


@pytest.mark.parametrize("retrain", [False, True])
@pytest.mark.parametrize("surrogate", ["linear-gcn", "relu-gcn", "sgc"])
@pytest.mark.parametrize("candidates", ["all", "listed"])
def test_projected_gradient_is_that_of_the_dense_reference(
    retrain: bool, surrogate: str, candidates: str
) -> None:
    data = citation_graph(seed=3)
    pairs = torch.triu_indices(14, 14, offset=1)
    block = "all" if candidates == "all" else pairs
    task = gp.NodeClassification(data, surrogate, "train", candidates=block)
    problem = (to_dense_adj(data.edge_index)[0], data.x, data.y, data.train_mask)
    extents = reference.projected_gradient(
        surrogate, *problem, task.init(generator(2)), 6, 12, 20.0, retrain, **INNER
    )
    order = extents.argsort(descending=True, stable=True)[:6]
    assert bool((extents[order] > 0).all())
    assert float(extents.sum()) == pytest.approx(6)
    found = gp.PGDAttack(SHORT, steps=12, lr=20.0, retrain=retrain, samples=0)(task, 6, seed=2)
    number = torch.zeros(14, 14, dtype=torch.long)
    number[pairs[0], pairs[1]] = torch.arange(91)
    chosen = extents[number[found.pairs[0], found.pairs[1]]]  # those of extent 1 come in any order
    torch.testing.assert_close(chosen, extents[order], atol=1e-9, rtol=0)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), budget=st.integers(1, 12), scale=st.floats(0.1, 50))
def test_projections_are_the_nearest_points_within_the_budget(
    seed: int, budget: int, scale: float
) -> None:
    draw = torch.Generator().manual_seed(seed)
    point = scale * torch.randn(10, generator=draw, dtype=torch.float64)
    found = project(point, budget)
    torch.testing.assert_close(found, reference.nearest_within_budget(point, budget))
    assert float(found.sum()) <= budget + 1e-9
    torch.testing.assert_close(project(found, budget), found)


def test_a_relaxation_has_the_derivative_of_finite_differences() -> None:
    weighted = citation_graph(30)
    source, target = weighted.edge_index
    weighted.edge_weight = 0.3 + (source * target % 5).double() / 3
    for task in (
        node_task(),
        gp.NodeClassification(weighted),
        gp.Recommendation(interaction_graph(), "cf", dtype=torch.float64),
    ):
        state = task.state
        extra = torch.tensor([[0, 4], [29, 20]])
        extra = extra if state.implicit_candidates else state.index[:, :0]
        block = Relaxation(state, torch.cat([state.index[:, 3:6], extra], dim=1))
        assert torch.equal(state.weight, task.state.weight)
        extent = torch.linspace(0.1, 0.8, len(block), dtype=torch.float64)
        task = task.with_pseudo_labels(SHORT, 0)

        def loss(extent: torch.Tensor, task: gp.Task = task, block: Relaxation = block) -> float:
            return gp.Unrolled()(task, SHORT, state=block.at(extent)).loss

        scores = block.scores(gp.Unrolled()(task, SHORT, state=block.at(extent)).gradient)
        for place in range(len(block)):
            step = torch.zeros_like(extent)
            step[place] = 1e-5
            slope = (loss(extent + step) - loss(extent - step)) / 2e-5
            assert float(scores[place]) == pytest.approx(slope, rel=1e-5, abs=1e-9)


def test_a_block_is_what_may_be_flipped_and_no_more_than_its_size() -> None:
    state = node_task().state
    rng = np.random.default_rng(0)
    edges = set(map(tuple, state.edges.t().tolist()))
    for removals, additions in ((True, True), (False, True), (True, False)):
        for size in (20, 200, 10**6):
            pairs = CandidateSampler(state, [], removals, additions).block(size, rng)
            found = set(map(tuple, pairs.t().tolist()))
            total = (len(edges) if removals else 0) + (435 - len(edges) if additions else 0)
            assert len(found) == pairs.size(1) == min(size, total)
            assert removals or not found & edges
            assert additions or found <= edges
    protected = CandidateSampler(state, [gp.NoSingletons()], True, False).block(10**6, rng)
    assert bool((state.degrees[0][protected] > 1).all())


def test_random_roundings_are_kept_where_they_are_better() -> None:
    task = node_task(objective="train")
    losses = []
    for samples in (0, 40):
        attack = gp.PGDAttack(SHORT, steps=10, lr=20.0, samples=samples)
        state = task.state.flip(attack(task, 12).pairs)
        params = task.train(SHORT, task.state, task.init(generator(0)))
        losses.append(float(task.attack_loss(params, task.prepare(state))))
    assert losses[1] >= losses[0]


def test_projected_gradient_needs_a_loss_of_the_graph() -> None:
    task = gp.Recommendation(interaction_graph(), objective="self")
    with pytest.raises(ValueError, match=r"only through training, which PGDAttack leaves out"):
        gp.PGDAttack(SHORT)(task, 3)


# --- Random blocks ----------------------------------------------------------------------------

RANDOM_BLOCKS = [
    gp.PRBCD(SHORT, epochs=15),
    gp.PRBCD(SHORT, epochs=20, epochs_resampling=15, block_size=150),
    gp.GRBCD(SHORT, epochs=15),
    gp.GRBCD(SHORT, epochs=15, block_size=150),
]


@pytest.mark.parametrize("attack", RANDOM_BLOCKS)
def test_random_blocks_raise_the_loss_more_than_random_flips(attack: gp.Attack) -> None:
    task = node_task(objective="train")
    budget = 15

    def loss(flips: gp.Perturbation) -> float:
        return gp.Unrolled()(task, SHORT, state=task.state.flip(flips.pairs)).loss

    found = attack(task, budget)
    random = gp.RandomAttack(allow_removals=True)
    assert len(found) == budget
    assert loss(found) > max(loss(random(task, budget, seed)) for seed in range(10))
    clean = gp.Unrolled()(task, SHORT).loss
    assert found.flips["attack_loss"].iloc[0] == pytest.approx(clean, abs=1e-4)


@pytest.mark.parametrize(
    "attack",
    [gp.PGDAttack(SHORT, steps=8, constraints=[gp.NodeBudget(2)]),
     gp.PRBCD(SHORT, epochs=8, constraints=[gp.NodeBudget(2)])],
)  # fmt: skip
def test_constrained_flips_are_made_up_for_from_the_same_extents(attack: gp.Attack) -> None:
    task = node_task(objective="train")
    found = attack(task, 15)
    assert len(found) == 15
    assert found.flips["step"].unique().tolist() == [0]
    assert torch.bincount(found.pairs.flatten()).max() == 2
    free = replace(attack, constraints=())(task, 15)
    assert torch.bincount(free.pairs.flatten()).max() > 2  # so that some had to give way


def test_greedy_blocks_of_all_pairs_are_a_greedy_meta_attack() -> None:
    for make in (lambda: node_task(objective="train"), lambda: gp.Recommendation(
        interaction_graph(), gp.CF(dim=3), dtype=torch.float64
    )):  # fmt: skip
        blocks = gp.GRBCD(SHORT, epochs=100)(make(), 6)
        greedy = gp.MetaAttack(SHORT, redraw=False)(make(), 6)
        assert torch.equal(blocks.pairs, greedy.pairs)


def test_random_blocks_cope_with_a_budget_of_all_candidates() -> None:
    block = torch.tensor([[0, 1, 2, 5], [6, 8, 7, 8]])
    task = node_task(candidates=block)
    wanted = set(map(tuple, block.t().tolist()))
    for attack in (gp.PRBCD, gp.GRBCD):
        pairs = attack(SHORT, epochs=3)(task, 30).pairs
        found = set(map(tuple, pairs.t().tolist()))
        assert found == wanted if attack is gp.GRBCD else found <= wanted


def test_bad_settings_of_rivals_are_named() -> None:
    with pytest.raises(ValueError, match="block_size=10 must be larger than the budget of 12"):
        gp.GRBCD(SHORT, block_size=10)(node_task(), 12)
    with pytest.raises(TypeError, match="training must be a Training"):
        gp.PGDAttack("unrolled")
    with pytest.raises(TypeError, match="training must be a Training"):
        gp.PRBCD(3)
    with pytest.raises(TypeError, match="hypergradient must be a Hypergradient"):
        gp.GRBCD(SHORT, hypergradient=3)
    with pytest.raises(ValueError, match="Did you mean 'highest'"):
        gp.DegreeAttack(order="high")
    for attack in (gp.PGDAttack, gp.PRBCD, gp.GRBCD, gp.DegreeAttack):
        with pytest.raises(ValueError, match="both off"):
            attack(allow_removals=False, allow_additions=False)


# --- Every attack on every victim --------------------------------------------------------------

RIVALS = {
    "meta": gp.MetaAttack(SHORT, flips_per_step=4),
    "random": gp.RandomAttack(),
    "dice": gp.DICE(),
    "degree": gp.DegreeAttack(),
    "pgd": gp.PGDAttack(SHORT, steps=3, samples=2),
    "min-max": gp.PGDAttack(SHORT, steps=3, samples=2, retrain=True),
    "prbcd": gp.PRBCD(SHORT, epochs=3),
    "grbcd": gp.GRBCD(SHORT, epochs=3),
}


def test_every_attack_is_evaluated_on_every_victim() -> None:
    data = citation_graph(30, dtype=torch.float32)
    task = gp.NodeClassification(data)
    found = {name: attack(task, 8) for name, attack in RIVALS.items()}
    assert {name: len(flips) for name, flips in found.items()} == dict.fromkeys(RIVALS, 8)
    victims = [replace(victim, epochs=4) for victim in NODE_VICTIMS.values()]
    runs = gp.evaluate(data, found, victims, seeds=[0]).runs
    assert len(runs) == len(RIVALS) * len(NODE_VICTIMS)
    assert runs.groupby("victim")["clean"].nunique().eq(1).all()
    assert runs.groupby("victim")["poisoned"].nunique().gt(1).any()


def test_any_module_is_surrogate_and_victim_of_any_attack() -> None:
    data = citation_graph(14, dtype=torch.float32)
    with isolated_rng(0):
        task = gp.NodeClassification(data, GCN(24, 4, 2, 3))
    found = {name: attack(task, 4) for name, attack in RIVALS.items()}

    def mine(features: int, classes: int) -> nn.Module:
        return SAGEConv(features, classes)

    runs = gp.evaluate(data, found, [gp.ModuleVictim(mine, "mine", epochs=3)], seeds=[0]).runs
    assert runs["flips"].tolist() == [4] * len(RIVALS)


# --- The surrogates of attacks without hypergradients ------------------------------------------


@pytest.mark.parametrize("name", ["pgd", "min-max", "prbcd", "grbcd"])
def test_the_surrogate_of_a_rival_is_a_victim(name: str) -> None:
    """The victim has the training and the initial parameters of the surrogate in the attack."""
    data, attack = citation_graph(30), RIVALS[name]
    task = gp.NodeClassification(data, objective="train")
    found = attack(task, 6, seed=3)
    victim = gp.surrogate_victim(task, attack, seed=3)
    assert victim.training == attack.training == SHORT
    for flips in (0, 6):
        part = found.prefix(flips)
        state = task.state.flip(part.pairs)
        params = task.train(SHORT, state, task.init(generator(3)))
        expected = task.surrogate.logits(params, task.prepare(state))
        logits = victim.fit(gp.read_graph(part.apply(data)), seed=0).logits()
        torch.testing.assert_close(logits, expected)
    runs = gp.evaluate(data, found, [victim], seeds=[0, 1]).runs
    assert runs["victim"].tolist() == ["surrogate"]
    assert runs["poisoned"].item() == accuracy(logits[data.test_mask], data.y[data.test_mask])


@pytest.mark.parametrize("attack", [gp.RandomAttack(), gp.DICE(), gp.DegreeAttack()])
def test_attacks_without_a_surrogate_are_refused_as_victims(attack: gp.Attack) -> None:
    refused = rf"as MetaAttack and PGDAttack do; found {type(attack).__name__}\("
    with pytest.raises(TypeError, match=refused):
        gp.surrogate_victim(node_task(), attack)
    with pytest.raises(TypeError, match="as MetaAttack and PGDAttack do; found NewUsers"):
        gp.surrogate_victim(gp.Recommendation(interaction_graph()), gp.NewUsers(2, attack))
