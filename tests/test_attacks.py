"""Properties that every attack has, and the errors it owes its user."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import citation_graph, interaction_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data, HeteroData
from torch_geometric.transforms import ToUndirected

import graphpoison as gp
from graphpoison.attacks.base import Proposal
from graphpoison.budget import part_of
from graphpoison.graphs import PairState

SHORT = gp.Training(steps=4, lr=0.1, momentum=0.5)
KIND = ("user", "rates", "item")


def node_task(seed: int = 0, **options: object) -> gp.NodeClassification:
    return gp.NodeClassification(citation_graph(seed=seed), **options)


def link_task(seed: int = 0, **options: object) -> gp.Recommendation:
    model = options.pop("surrogate", gp.CF(dim=3))
    return gp.Recommendation(interaction_graph(seed=seed), model, dtype=torch.float64, **options)


ATTACKS = [
    gp.MetaAttack(SHORT),
    gp.MetaAttack(SHORT, flips_per_step=3, constraints=[gp.NoSingletons()]),
    gp.RandomAttack(),
    gp.RandomAttack(constraints=[gp.NoSingletons()], allow_removals=True),
    gp.MetaAttack(SHORT, flips_per_step=2, hypergradient=gp.Approximate()),
    gp.DegreeAttack(),
    gp.DegreeAttack([gp.NoSingletons()], "lowest", allow_removals=True),
    gp.PGDAttack(SHORT, steps=6, samples=3, block_size=40, constraints=[gp.NoSingletons()]),
    gp.PGDAttack(SHORT, steps=4, samples=2, retrain=True, block_size=50),
    gp.PRBCD(SHORT, epochs=4, constraints=[gp.NoSingletons()]),
    gp.PRBCD(SHORT, epochs=6, epochs_resampling=4, block_size=30),
    gp.GRBCD(SHORT, epochs=3, constraints=[gp.NoSingletons()]),
]
TASKS = [node_task, link_task]


@pytest.mark.parametrize("make", TASKS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_same_seed_same_flips_other_seed_other_flips(attack: gp.Attack, make: type) -> None:
    first, again, other = (attack(make(), 5, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first.flips, again.flips)
    assert not first.flips.equals(other.flips)


@settings(max_examples=15, deadline=None)
@given(
    number=st.sampled_from(range(len(ATTACKS))),
    which=st.booleans(),
    budget=st.integers(0, 12),
    seed=st.integers(0, 20),
)
def test_the_budget_is_kept_and_the_input_untouched(
    number: int, which: bool, budget: int, seed: int
) -> None:
    data = citation_graph(seed=seed) if which else interaction_graph(seed=seed)
    before = {key: value.clone() for key, value in tensors(data).items()}
    task = gp.NodeClassification(data) if which else gp.Recommendation(data, gp.CF(dim=2))
    result = ATTACKS[number](task, budget, seed=seed)
    poisoned = result.apply(data)
    assert len(result) <= budget
    assert_same(tensors(data), before)
    assert_same(tensors(result.apply(poisoned)), before)
    assert len(result.added.unique(dim=1).t()) == result.added.size(1)
    change = len(result.added.t()) - len(result.removed.t())
    factor = 2 if which else 1
    assert edges_of(poisoned).size(1) - edges_of(data).size(1) == factor * change


def tensors(data: Data | HeteroData) -> dict[str, torch.Tensor]:
    stores = data.edge_stores if isinstance(data, HeteroData) else [data._store]
    return {
        f"{number}.{key}": value
        for number, store in enumerate(stores)
        for key, value in store.items()
        if isinstance(value, torch.Tensor)
    }


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(found[key], value), key


def edges_of(data: Data | HeteroData) -> torch.Tensor:
    return data[KIND].edge_index if isinstance(data, HeteroData) else data.edge_index


@pytest.mark.parametrize("make", TASKS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_budget_of_zero_changes_nothing(attack: gp.Attack, make: type) -> None:
    assert len(attack(make(), 0)) == 0


def test_relabelling_nodes_relabels_flips() -> None:
    data = citation_graph()
    order = torch.randperm(data.num_nodes, generator=torch.Generator().manual_seed(3))
    place = torch.argsort(order)
    moved = Data(
        x=data.x[order],
        y=data.y[order],
        edge_index=place[data.edge_index],
        train_mask=data.train_mask[order],
    )
    attack = gp.MetaAttack(SHORT, constraints=[gp.NoSingletons()])
    here, there = (attack(gp.NodeClassification(graph), 8) for graph in (data, moved))
    expected = place[here.pairs].sort(dim=0).values
    assert torch.equal(there.pairs, expected)
    assert there.flips["added"].tolist() == here.flips["added"].tolist()
    np.testing.assert_allclose(there.flips["score"], here.flips["score"], rtol=1e-9)


@pytest.mark.parametrize("make", TASKS)
def test_every_prefix_keeps_singletons_protected(make: type) -> None:
    task = make()
    result = gp.MetaAttack(
        SHORT, flips_per_step=4, constraints=[gp.NoSingletons()], allow_additions=False
    )(task, 12)
    assert len(result.removed.t()) == len(result) > 0
    for count in range(len(result) + 1):
        state = task.state.flip(result.prefix(count).pairs)
        for before, after in zip(task.state.degrees, state.degrees, strict=True):
            assert not bool(((before > 0) & (after == 0)).any())


@pytest.mark.parametrize("make", TASKS)
def test_only_the_allowed_kind_of_flip_is_made(make: type) -> None:
    for added in (True, False):
        attack = gp.MetaAttack(SHORT, allow_additions=added, allow_removals=not added)
        assert attack(make(), 4).flips["added"].eq(added).all()
        attack = gp.RandomAttack(allow_additions=added, allow_removals=not added)
        assert attack(make(), 4).flips["added"].eq(added).all()


def test_an_attack_with_nothing_left_stops_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    task = link_task()
    result = gp.MetaAttack(SHORT, flips_per_step=10, allow_removals=False)(task, 30)
    assert len(result) == 18
    assert "no admissible flip left after 18 of 30" in caplog.text


@pytest.mark.parametrize("make", TASKS)
def test_chosen_candidates_are_the_only_ones_flipped(make: type) -> None:
    block = torch.tensor([[0, 1, 2, 5], [6, 8, 7, 8]])
    for attack in ATTACKS:
        result = attack(make(candidates=block), 3)
        codes = {tuple(pair) for pair in result.pairs.t().tolist()}
        assert codes <= {tuple(pair) for pair in block.t().tolist()}
        thrifty = isinstance(attack, gp.PGDAttack | gp.PRBCD)  # make no flip that does not pay
        assert codes or thrifty


def test_all_candidates_of_a_recommender_are_all_pairs() -> None:
    task = link_task(candidates="all")
    assert task.state.num_pairs == 63
    assert len(gp.MetaAttack(SHORT, 7, allow_removals=False)(task, 43)) == 43


def test_listed_and_factored_candidates_give_the_same_attack() -> None:
    data = citation_graph()
    listed = torch.triu_indices(14, 14, offset=1)
    for surrogate in ("linear-gcn", "relu-gcn", "sgc"):
        flips = [
            gp.MetaAttack(SHORT, 2)(gp.NodeClassification(data, surrogate, candidates=block), 10)
            for block in ("all", listed)
        ]
        assert torch.equal(flips[0].pairs, flips[1].pairs)


def test_resuming_ends_with_the_flips_of_an_uninterrupted_run(tmp_path: Path) -> None:
    for make in TASKS:
        for attack in (ATTACKS[1], gp.MetaAttack(SHORT)):
            file = tmp_path / f"{make.__name__}{attack.flips_per_step}.ckpt"
            whole = attack(make(), 6)
            part = whole.prefix(3)
            gp.Perturbation(part.flips, whole.meta).save(file)
            resumed = attack(make(), 6, checkpoint=file)
            pd.testing.assert_frame_equal(resumed.flips, whole.flips)
            assert len(gp.Perturbation.load(file)) == 6


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "run.ckpt"
    gp.MetaAttack(SHORT)(node_task(), 2, checkpoint=file)
    with pytest.raises(ValueError, match="seed is 0 there and 5 here"):
        gp.MetaAttack(SHORT)(node_task(), 2, seed=5, checkpoint=file)
    with pytest.raises(ValueError, match="labels is pseudo there and oracle here"):
        gp.MetaAttack(SHORT)(node_task(labels="oracle"), 2, checkpoint=file)
    with pytest.raises(ValueError, match="is of another run: num_edges is 28"):
        gp.MetaAttack(SHORT)(node_task(seed=4), 2, checkpoint=file)
    data = citation_graph()
    data.y = data.y.roll(1)
    with pytest.raises(ValueError, match="is of another run: fingerprint is"):
        gp.MetaAttack(SHORT)(gp.NodeClassification(data), 2, checkpoint=file)


def test_an_interrupted_attack_keeps_its_flips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "run.ckpt"
    attack = gp.MetaAttack(SHORT)
    whole = attack(node_task(), 5)
    untouched = gp.MetaAttack.propose

    def interrupted(self: gp.MetaAttack, *args: object) -> Proposal:
        if args[-1] == 3:
            raise KeyboardInterrupt
        return untouched(self, *args)

    monkeypatch.setattr(gp.MetaAttack, "propose", interrupted)
    with pytest.raises(KeyboardInterrupt):
        attack(node_task(), 5, checkpoint=file)
    monkeypatch.undo()
    assert len(gp.Perturbation.load(file)) == 3
    pd.testing.assert_frame_equal(attack(node_task(), 5, checkpoint=file).flips, whole.flips)


class Cheat(gp.Attack):
    """Flips one pair over and over, and removes last edges."""

    constraints = (gp.NoSingletons(),)

    def propose(
        self, task: gp.Task, state: PairState, limit: int, seed: int, step: int
    ) -> Proposal:
        lonely = state.degrees[0][state.index[0]] == 1
        chosen = state.index[:, lonely][:, :1]
        score = torch.zeros(chosen.size(1))
        return Proposal(gp.Flips(chosen, torch.zeros_like(score, dtype=torch.bool), score))


def test_no_attack_can_cheat() -> None:
    data = Data(
        x=torch.eye(3), edge_index=torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]),
        y=torch.tensor([0, 1, 0]), train_mask=torch.tensor([True, False, True]),
    )  # fmt: skip
    with pytest.raises(RuntimeError, match="1 nodes lost their last edge"):
        Cheat()(gp.NodeClassification(data), 1)


def test_a_user_without_interactions_gives_no_nan() -> None:
    data = interaction_graph()
    data["user"].num_nodes = 9
    fresh = torch.tensor([[7, 7, 8], [0, 1, 2]])
    data[KIND].neg_edge_index = torch.cat([data[KIND].neg_edge_index, fresh], dim=1)
    for training in (SHORT, gp.Training(steps=4, lr=0.05, optimizer="adam")):
        values = gp.Unrolled()(gp.Recommendation(data, gp.CF(dim=2)), training).values
        assert bool(torch.isfinite(values).all())
    lonely = citation_graph()
    lonely.edge_index = lonely.edge_index[:, (lonely.edge_index != 3).all(dim=0)]
    assert bool(torch.isfinite(gp.Unrolled()(gp.NodeClassification(lonely), SHORT).values).all())


def test_diverging_training_is_an_error_not_an_answer() -> None:
    with pytest.raises(FloatingPointError, match="smaller lr"):
        gp.Unrolled()(link_task(), gp.Training(steps=60, lr=1e6, momentum=0.99))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gp.MetaAttack(SHORT, flips_per_step=0), "flips_per_step must be at least 1"),
        (lambda: gp.MetaAttack(SHORT, allow_removals=False, allow_additions=False), "both off"),
        (lambda: gp.Training(steps=0), "steps must be at least 1, found 0"),
        (lambda: gp.Training(lr=-1.0), "lr must lie in"),
        (lambda: gp.Training(optimizer="sdg"), "Did you mean 'sgd'"),
        (lambda: gp.Training(optimizer="adam", momentum=0.9), "momentum belongs to"),
        (lambda: gp.Budget(-1), "flips must be at least 0"),
        (lambda: gp.Budget(), "either flips or a share"),
        (lambda: gp.CF(dim=0), "dim must be at least 1"),
        (lambda: node_task(surrogate="liner-gcn"), "Did you mean 'linear-gcn'"),
        (lambda: node_task(objective="slef"), "Did you mean 'self'"),
        (lambda: node_task(labels="orcale"), "Did you mean 'oracle'"),
        (lambda: node_task(candidates=torch.tensor([[1], [1]])), "node with itself"),
        (lambda: link_task(candidates="sample"), "Did you mean 'sampled'"),
        (lambda: gp.RandomAttack()(link_task(), 39), "39 flips is more than the 38 pairs"),
    ],
)
def test_bad_settings_are_named(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_float_is_a_share_of_the_clean_edges_everywhere() -> None:
    task, half = link_task(), gp.Budget.fraction(0.5)
    by_share = gp.RandomAttack()(task, 0.5)
    assert by_share.flips.equals(gp.RandomAttack()(task, half).flips)
    assert len(by_share) == task.clean_edges.size(1) // 2
    assert (
        gp.estimate(gp.RandomAttack(), task, 0.5).proposals
        == gp.estimate(gp.RandomAttack(), task, half).proposals
    )
    fake = gp.NewUsers(1)(task, 0.1)
    assert len(fake) == len(gp.NewUsers(1)(task, gp.Budget.fraction(0.1)))
    with pytest.raises(ValueError, match="share must lie in"):
        gp.RandomAttack()(task, -0.5)


def test_bad_types_are_named() -> None:
    with pytest.raises(TypeError, match="training must be a Training"):
        gp.MetaAttack(5)
    with pytest.raises(TypeError, match="hypergradient must be a Hypergradient"):
        gp.MetaAttack(SHORT, hypergradient=SHORT)
    with pytest.raises(TypeError, match="steps must be an integer"):
        gp.Training(steps=1.5)
    with pytest.raises(TypeError, match=r"a share of the clean edges such as 0.05"):
        gp.MetaAttack(SHORT)(node_task(), "5%")
    with pytest.raises(TypeError, match="constraints must be a list"):
        gp.MetaAttack(SHORT, constraints=gp.NoSingletons())
    with pytest.raises(TypeError, match="data must be a torch_geometric Data"):
        gp.NodeClassification(interaction_graph())
    with pytest.raises(TypeError, match="data must be a torch_geometric HeteroData"):
        gp.Recommendation(citation_graph())


def test_budgets_round_down() -> None:
    state = node_task().state
    assert gp.Budget.fraction(0.5).resolve(state) == state.num_edges // 2
    assert gp.Budget.fraction(0.1).resolve(link_task().state) == 2
    assert gp.Budget.fraction(0.5, of="candidates").resolve(link_task().state) == 9


def test_reverse_edges_and_attributes_are_kept_in_step() -> None:
    data = interaction_graph()
    data[KIND].edge_weight = torch.arange(20.0) + 2
    data["user"].x = torch.randn(7, 3)
    data = ToUndirected()(data)
    task = gp.Recommendation(data, gp.CF(dim=2), edge_type=KIND)
    result = gp.RandomAttack(allow_removals=True)(task, 12)
    poisoned = result.apply(data)
    reverse = poisoned["item", "rev_rates", "user"]
    forward = poisoned[KIND]
    turned = weights_by_pair(reverse.edge_index.flip(0), reverse.edge_weight)
    assert turned == weights_by_pair(forward.edge_index, forward.edge_weight)
    added = {tuple(pair) for pair in result.added.t().tolist()}
    assert all((weight == 1) == (pair in added) for pair, weight in turned.items())
    assert torch.equal(poisoned["user"].x, data["user"].x)
    assert poisoned.validate()


def weights_by_pair(index: torch.Tensor, weight: torch.Tensor) -> dict[tuple[int, ...], float]:
    pairs = map(tuple, index.t().tolist())
    return dict(zip(pairs, weight.tolist(), strict=True))


def test_perturbations_survive_saving_without_pickle(tmp_path: Path) -> None:
    result = gp.MetaAttack(SHORT)(link_task(), 4)
    result.save(tmp_path / "p.npz")
    with np.load(tmp_path / "p.npz", allow_pickle=False) as file:
        assert set(file.files) >= {"source", "target", "meta"}
    loaded = gp.Perturbation.load(tmp_path / "p.npz")
    pd.testing.assert_frame_equal(loaded.flips, result.flips)
    assert loaded.meta == {**result.meta}
    data = interaction_graph()
    assert torch.equal(loaded.apply(data)[KIND].edge_index, result.apply(data)[KIND].edge_index)
    assert [path.name for path in tmp_path.iterdir()] == ["p.npz"]


def test_prefixes_are_the_attack_at_a_smaller_budget() -> None:
    attack = gp.MetaAttack(SHORT)
    whole = attack(node_task(), 6)
    assert torch.equal(whole.prefix(4).pairs, attack(node_task(), 4).pairs)
    assert len(whole.prefix(0.1)) == int(0.1 * node_task().state.num_edges)
    with pytest.raises(ValueError, match="but 6 were made"):
        whole.prefix(7)


@given(part=st.integers(1, 40), of=st.integers(1, 40), base=st.integers(0, 10_000))
def test_shares_are_of_the_fraction_that_was_meant(part: int, of: int, base: int) -> None:
    assert part_of(part / of, base) == part * base // of


def test_prefixes_of_a_share_are_as_long_as_its_budget() -> None:
    found = gp.RandomAttack()(node_task(), 60)
    for share in (1 / 3, 0.29, 0.1 + 0.2):
        budget = gp.Budget.fraction(share)
        assert (
            len(found.prefix(share))
            == budget.resolve(node_task().state)
            == len(found.prefix(budget))
        )


@pytest.mark.parametrize("bipartite", [True, False])
def test_another_graph_is_remarked_on_where_the_flips_fit(
    bipartite: bool, caplog: pytest.LogCaptureFixture
) -> None:
    data = interaction_graph() if bipartite else citation_graph()
    task = link_task() if bipartite else node_task()
    found = gp.MetaAttack(SHORT, allow_removals=False)(task, 3)
    caplog.clear()
    poisoned = found.apply(data)
    assert not caplog.records
    found.apply(poisoned)
    assert "applying them again restores the clean graph" in caplog.text
    with pytest.raises(ValueError, match="'attack' are in this graph already"):
        gp.evaluate(poisoned, found, seeds=[0])
    other = data.clone()
    edges = other.edge_stores[0].edge_index
    ends = edges if bipartite else edges.sort(dim=0).values
    other.edge_stores[0].edge_index = edges[:, (ends != ends[:, :1]).any(dim=0)]  # one edge less
    caplog.clear()
    found.apply(other)
    assert "not the graph that was attacked: its edges differ" in caplog.text
    caplog.clear()
    gp.evaluate(other, found, seeds=[0], victims=[gp.CF(dim=2)] if bipartite else ["sgc"])
    assert "were made on another graph" in caplog.text


class Eager(gp.RandomAttack):
    """Proposes all pairs, whatever the limit."""

    def propose(
        self, task: gp.Task, state: PairState, limit: int, seed: int, step: int
    ) -> Proposal:
        return super().propose(task, state, state.num_pairs - state.num_edges, seed, step)


@pytest.mark.parametrize("constraints", [[], [gp.NodeBudget(2)]])
def test_what_is_proposed_beyond_the_limit_is_a_reserve(
    constraints: list[gp.Constraint],
) -> None:
    found = Eager(constraints)(node_task(), 9)
    assert len(found) == 9
    assert found.flips["step"].unique().tolist() == [0]
    if constraints:
        assert torch.bincount(found.pairs.flatten()).max() <= 2


def test_a_perturbation_of_another_graph_is_refused() -> None:
    result = gp.MetaAttack(SHORT)(node_task(), 4)
    with pytest.raises(ValueError, match="not the graph that was attacked"):
        gp.RandomAttack(allow_removals=True)(node_task(), 6).apply(
            gp.MetaAttack(SHORT, allow_removals=False)(node_task(), 70).apply(citation_graph())
        )
    with pytest.raises(TypeError, match="must be Data"):
        result.apply(interaction_graph())


class OnlyNodeZero(gp.Constraint):
    """Additions must touch node 0: few of the pairs drawn at random pass."""

    def additions(self, state: PairState):
        return lambda source, target: (source == 0) & (target >= 0)

    def removals(self, state: PairState) -> None:
        return None

    def violation(self, clean: PairState, poisoned: PairState) -> None:
        return None


@pytest.mark.parametrize("attack", [gp.RandomAttack, gp.MetaAttack])
def test_constraints_on_additions_hold_for_unlisted_pairs(attack: type) -> None:
    options = {"training": SHORT} if attack is gp.MetaAttack else {}
    for seed in range(5):
        chosen = attack(constraints=[OnlyNodeZero()], allow_removals=False, **options)
        result = chosen(node_task(), 3, seed=seed)
        assert result.flips["source"].eq(0).all()
        assert len(result) == 3


def test_prefixes_take_budgets() -> None:
    task = gp.NodeClassification(citation_graph())
    found = gp.RandomAttack()(task, gp.Budget.fraction(0.5))
    assert len(found.prefix(gp.Budget(2))) == 2
    assert len(found.prefix(gp.Budget.fraction(0.25))) == len(found.prefix(0.25)) > 0
    for budget in ("5%", gp.Budget.fraction(0.1, of="candidates")):
        with pytest.raises(TypeError, match="budget must be a number of flips, a share"):
            found.prefix(budget)
