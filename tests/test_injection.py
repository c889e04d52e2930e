"""Fake users: who joins, what they flip, and that nobody counts them as victims."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import reference
import torch
from conftest import Scores, assert_flips, citation_graph, interaction_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.transforms import ToUndirected

import graphpoison as gp
from graphpoison._random import generator
from graphpoison.apply import poisoned
from graphpoison.metrics import link_metrics
from graphpoison.models.extra_users import ExtraUsers, user_tables
from graphpoison.perturbation import fingerprint
from graphpoison.tasks.fake_users import with_fake_users
from graphpoison.victims.base import VICTIM_STREAM

KIND = ("user", "rates", "item")
SHORT = gp.Training(steps=4, lr=0.5)
ADDING = gp.MetaAttack(SHORT, allow_removals=False)
ANYTHING = gp.MetaAttack(SHORT, flips_per_step=3)
INJECTIONS = [
    gp.NewUsers(3, ADDING),
    gp.NewUsers(2, gp.RandomAttack()),
    gp.SimilarUsers(4, attack=ANYTHING),
    gp.SimilarUsers(4, "sample", 0.25, attack=gp.RandomAttack(allow_removals=True)),
    gp.SimilarUsers(3, "kmeans", attack=ADDING),
    gp.SimilarUsers(3, "kmeans", attack=gp.RandomAttack(), training=SHORT),
]
INJECTION = pytest.mark.parametrize("attack", INJECTIONS)


def link_task(surrogate: object = None, **options: object) -> gp.Recommendation:
    model = surrogate or gp.CF(dim=3)
    return gp.Recommendation(interaction_graph(), model, dtype=torch.float64, **options)


def codes(pairs: Tensor, items: int = 9) -> set[int]:
    return set((pairs[0] * items + pairs[1]).tolist())


@INJECTION
def test_only_pairs_of_fake_users_are_flipped(attack: gp.Injection) -> None:
    found = attack(link_task(), 6, seed=1)
    assert len(found) == 6
    assert found.flips["source"].between(7, 6 + attack.num_users).all()
    pd.testing.assert_frame_equal(attack(link_task(), 6, seed=1).flips, found.flips)
    assert not attack(link_task(), 6, seed=2).flips.equals(found.flips)


@INJECTION
def test_applying_lets_them_join(attack: gp.Injection) -> None:
    data = ToUndirected()(interaction_graph())
    data["user"].x = torch.randn(7, 3)
    data["user"].raw_id = list("abcdefg")
    data[KIND].rating = torch.arange(20.0)
    before = {key: value.clone() for key, value in data[KIND].items()}
    task = gp.Recommendation(data, gp.CF(dim=3), edge_type=KIND, dtype=torch.float64)
    found = attack(task, 6)
    poisoned = found.apply(data)
    assert data["user"].num_nodes == 7
    assert all(torch.equal(data[KIND][key], value) for key, value in before.items())
    assert poisoned["user"].num_nodes == 7 + attack.num_users
    assert torch.equal(poisoned["user"].x[:7], data["user"].x)
    assert not bool(poisoned["user"].x[7:].any())
    assert poisoned.validate()

    fake = found.fake_users
    started = codes(fake.edges + torch.tensor([[7], [0]]))
    flipped, store = codes(found.pairs), poisoned[KIND]
    everything = set(range(7 * 9, (7 + attack.num_users) * 9))
    edges, negatives = codes(store.edge_index), codes(store.neg_edge_index)
    assert edges == codes(data[KIND].edge_index) | (started ^ flipped)
    assert negatives == codes(data[KIND].neg_edge_index) | (everything - (started ^ flipped))
    assert codes(poisoned["item", "rev_rates", "user"].edge_index.flip(0)) == edges
    assert store.rating.size(0) == len(edges)
    assert set(store.rating.tolist()) == set(range(20))

    trained = gp.Recommendation(poisoned, gp.CF(dim=3), edge_type=KIND).state
    grown = with_fake_users(task, fake).state.flip(found.pairs)
    assert torch.equal(trained.index, grown.index)
    assert torch.equal(trained.weight, grown.weight)


def test_data_without_negatives_get_none() -> None:
    data = interaction_graph()
    del data[KIND].neg_edge_index
    found = gp.NewUsers(2, gp.RandomAttack())(gp.Recommendation(data, gp.CF(dim=2)), 4)
    poisoned = found.apply(data)
    assert "neg_edge_index" not in poisoned[KIND]
    assert poisoned[KIND].edge_index.size(1) == 24


@INJECTION
def test_files_and_prefixes_remember_them(attack: gp.Injection, tmp_path: Path) -> None:
    data = interaction_graph()
    file = tmp_path / "run.npz"
    whole = attack(link_task(), 6)
    whole.prefix(0 if isinstance(attack.attack, gp.RandomAttack) else 3).save(file)
    resumed = attack(link_task(), 6, checkpoint=file)
    pd.testing.assert_frame_equal(resumed.flips, whole.flips)
    loaded = gp.Perturbation.load(file)
    assert loaded.meta == whole.meta
    for latent, expected in zip(loaded.fake_users.latent, whole.fake_users.latent, strict=True):
        assert torch.equal(latent, expected)
    for count in (0, 4, 6):
        here, there = (found.prefix(count).apply(data) for found in (loaded, whole))
        assert here["user"].num_nodes == 7 + attack.num_users
        for key, value in there[KIND].items():
            assert torch.equal(here[KIND][key], value)
    with pytest.raises(ValueError, match="is of another run"):
        attack(link_task(), 6, seed=5, checkpoint=file)
    with pytest.raises(ValueError, match="joined already"):
        whole.apply(whole.apply(data))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("model", ["cf", "gmf", "neumf-tanh"])
def test_algorithm_5_flip_by_flip(model: str, optimizer: str) -> None:
    """D_new added to D_train by hand, and the obvious attack on what comes out."""
    surrogate = {
        "cf": gp.CF(dim=3),
        "gmf": gp.GMF(dim=3),
        "neumf-tanh": gp.NeuMF(3, (4,), mlp_dim=2, scale=1.0, activation="tanh"),
    }[model]
    task = link_task(surrogate)
    new = torch.cartesian_prod(torch.arange(7, 9), torch.arange(9)).t()
    inner = {"steps": 6, "lr": 0.2 if optimizer == "sgd" else 0.05, "optimizer": optimizer}
    expected = reference.algorithm1(
        model,
        torch.cat([task.state.index, new], dim=1),
        torch.cat([task.state.weight, torch.zeros(18)]),
        torch.arange(38 + 18) >= 38,
        ExtraUsers(surrogate, 2).init((9, 9), generator(4), torch.float64),
        budget=8,
        flips_per_step=2,
        allow_removals=False,
        **inner,
    )
    attack = gp.MetaAttack(gp.Training(**inner), 2, allow_removals=False, redraw=False)
    assert_flips(gp.NewUsers(2, attack)(task, 8, seed=4), expected)


@pytest.mark.parametrize("model", ["cf", "gmf"])
def test_similar_users_by_kmeans_flip_by_flip(model: str) -> None:
    surrogate = {"cf": gp.CF(dim=3), "gmf": gp.GMF(dim=3)}[model]
    task = link_task(surrogate)
    attack = gp.SimilarUsers(3, "kmeans", attack=replace(ANYTHING, redraw=False))
    found = attack(task, 6)
    start = task.init(generator(0))
    users = task.train(SHORT, task.state, start)[0]
    (latent,) = found.fake_users.latent
    labels = torch.cdist(users, latent).argmin(dim=1)
    means = torch.stack([users[labels == cluster].mean(dim=0) for cluster in range(3)])
    torch.testing.assert_close(latent, means)

    new = torch.cartesian_prod(torch.arange(7, 10), torch.arange(9)).t()
    expected = reference.algorithm1(
        model,
        torch.cat([task.state.index, new], dim=1),
        torch.cat([task.state.weight, torch.zeros(27)]),
        torch.arange(38 + 27) >= 38,
        start,
        budget=6,
        flips_per_step=3,
        fixed_users=latent,
        steps=4,
        lr=0.5,
    )
    assert_flips(found, expected)


RELAXED = [gp.PGDAttack(SHORT, steps=4, samples=2), gp.PRBCD(SHORT, epochs=4)]


@pytest.mark.parametrize("inner", RELAXED)
def test_kmeans_clusters_users_trained_as_any_attack_trains_them(inner: gp.Attack) -> None:
    attack, task = gp.SimilarUsers(3, "kmeans", attack=inner), link_task()
    assert attack.surrogate_training == SHORT
    found = attack(task, 6)
    assert 0 < len(found) <= 6
    assert found.flips["source"].between(7, 9).all()
    same = gp.SimilarUsers(3, "kmeans", attack=ADDING).fake_users(task, 0)
    assert torch.equal(found.fake_users.latent[0], same.latent[0])
    users = task.train(SHORT, task.state, task.init(generator(0)))[0]
    labels = torch.cdist(users, found.fake_users.latent[0]).argmin(dim=1)
    means = torch.stack([users[labels == cluster].mean(dim=0) for cluster in range(3)])
    torch.testing.assert_close(found.fake_users.latent[0], means)
    longer = replace(attack, attack=replace(inner, training=gp.Training(steps=9, lr=0.5)))
    assert not torch.equal(longer.fake_users(task, 0).latent[0], means)


@pytest.mark.parametrize(
    "attack",
    [
        *RELAXED,
        *(gp.NewUsers(2, inner) for inner in RELAXED),
        *(gp.SimilarUsers(2, "sample", attack=inner) for inner in RELAXED),
        *(gp.SimilarUsers(2, "kmeans", attack=inner) for inner in RELAXED),
    ],
)
def test_surrogates_of_relaxed_attacks_are_victims(attack: gp.Attack | gp.Injection) -> None:
    """P^S of injections too: fake users are in the victim's graph, as in the surrogate's."""
    data, task = interaction_graph(), link_task()
    found = attack(task, 6, seed=4)
    assert len(found) > 0
    victim = gp.surrogate_victim(task, attack, seed=4)
    assert victim.training == SHORT
    grown = task if found.fake_users is None else with_fake_users(task, found.fake_users)
    state = grown.state.flip(found.pairs)
    params = grown.train(SHORT, state, grown.init(generator(4)))
    expected = grown.surrogate.pair_scores(params, grown.prepare(state), state.pattern)
    fitted = victim.fit(poisoned(found, gp.read_graph(data)), seed=0)
    torch.testing.assert_close(fitted.pairs(state.index), expected)
    report = gp.evaluate(data, found, [victim], seeds=[0, 1])
    assert report.table["seeds"].eq(1).all()
    assert np.isfinite(report.runs["poisoned"]).all()


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 7), fraction=st.floats(0.01, 1.0), seed=st.integers(0, 99))
def test_copies_have_a_fraction_of_somebodys_items(count: int, fraction: float, seed: int) -> None:
    data = interaction_graph(positives=30)
    task = gp.Recommendation(data, gp.CF(dim=2))
    real = [
        set(data[KIND].edge_index[1][data[KIND].edge_index[0] == user].tolist())
        for user in range(7)
    ]
    assert all(real)
    fake = gp.SimilarUsers(count, "sample", fraction).fake_users(task, seed)
    originals = []
    for user in range(count):
        items = fake.edges[1][fake.edges[0] == user].tolist()
        assert len(set(items)) == len(items)
        sizes = [max(1, round(fraction * len(whole))) for whole in real]
        fits = [
            who
            for who, (whole, size) in enumerate(zip(real, sizes, strict=True))
            if set(items) <= whole and size == len(items)
        ]
        assert fits
        originals.append(fits)
    if fraction == 1.0 and count == 7:
        assert sorted(map(len, originals)) == [1] * 7


def test_each_copy_is_of_another_user() -> None:
    data = interaction_graph(positives=30)
    fake = gp.SimilarUsers(7, "sample", 1.0).fake_users(gp.Recommendation(data, gp.CF(dim=2)), 0)
    copied = sorted(tuple(fake.edges[1][fake.edges[0] == user].sort().values) for user in range(7))
    found = data[KIND].edge_index
    assert copied == sorted(tuple(found[1][found[0] == user]) for user in range(7))


def test_means_are_those_of_scikit_learn_and_of_all_tables() -> None:
    model = gp.NeuMF(3, (4,), mlp_dim=2, scale=1.0)
    task = link_task(model)
    assert user_tables(model) == (0, 3)
    fake = gp.SimilarUsers(7, "kmeans", attack=ADDING).fake_users(task, 0)
    assert [part.shape for part in fake.latent] == [(7, 3), (7, 2)]
    params = task.train(SHORT, task.state, task.init(generator(0)))
    users = torch.cat([params[0], params[3]], dim=1).numpy()
    centres = torch.cat(fake.latent, dim=1).numpy()
    np.testing.assert_allclose(np.sort(centres, axis=0), np.sort(users, axis=0), rtol=1e-9)
    assert KMeans(7, random_state=0).fit(users).inertia_ == pytest.approx(0.0, abs=1e-9)


def test_real_users_and_items_start_as_without_fake_ones() -> None:
    for model in (gp.CF(dim=3), gp.GMF(3, (4,)), gp.NeuMF(3, (4,), mlp_dim=2)):
        alone = model.init((7, 9), generator(3), torch.float64)
        grown = ExtraUsers(model, 2).init((9, 9), generator(3), torch.float64)
        for number, (param, more) in enumerate(zip(alone, grown, strict=True)):
            assert more.size(0) == param.size(0) + 2 * (number in user_tables(model))
            assert torch.equal(more[: param.size(0)], param)


@pytest.mark.parametrize("model", [gp.CF(dim=3), gp.GMF(dim=3), gp.MLP(3, (4,)), gp.NeuMF(3, (4,))])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_users_without_interactions_give_finite_gradients(
    model: gp.Recommender, optimizer: str
) -> None:
    task = gp.Recommendation(interaction_graph(), model)
    grown = with_fake_users(task, gp.FakeUsers(5, torch.empty(2, 0, dtype=torch.long)))
    for hypergradient in (gp.Unrolled(), gp.Approximate()):
        values = hypergradient(grown, gp.Training(steps=6, lr=0.05, optimizer=optimizer)).values
        assert bool(torch.isfinite(values).all())
        assert bool((values[grown.state.candidate] != 0).all())


@pytest.mark.parametrize("objective", ["self", "heldout"])
def test_target_pairs_stay_those_of_real_users(objective: str) -> None:
    task = link_task(objective=objective)
    found = gp.NewUsers(3, ADDING)(task, 5)
    assert len(found) == 5
    grown = with_fake_users(task, found.fake_users)
    assert torch.equal(grown.target_pairs.index, task.target_pairs.index)
    assert int(grown.target_pairs.row.max()) < 7


def test_a_share_of_the_edges_is_one_of_the_grown_graph() -> None:
    attack = gp.SimilarUsers(7, "sample", 1.0, attack=gp.RandomAttack())
    found = attack(link_task(), gp.Budget.fraction(0.25))
    assert len(found) == len(found.prefix(0.25)) == 10


def test_plain_attacks_have_the_fingerprints_they_had() -> None:
    task = link_task()
    found = ADDING(task, 1)
    assert found.fake_users is None
    assert found.meta["fingerprint"] == fingerprint(task.state)


VICTIM = gp.RecommenderVictim(gp.CF(dim=3), "cf", gp.Training(steps=5, lr=0.1, optimizer="adam"))


def values(report: gp.Report, flips: int, column: str) -> np.ndarray:
    return report.runs[report.runs["flips"] == flips][column].to_numpy()


@INJECTION
def test_fake_users_are_never_victims(attack: gp.Injection) -> None:
    data = interaction_graph()
    found = attack(link_task(), 6)
    report = gp.evaluate(data, found, [VICTIM], seeds=[2], budgets=[0, 6])
    plain = gp.RandomAttack()(link_task(), 0)
    without = gp.evaluate(data, plain, [VICTIM], seeds=[2])
    np.testing.assert_array_equal(values(report, 0, "clean"), values(without, 0, "clean"))
    for flips in (0, 6):
        model = ExtraUsers(VICTIM.model, attack.num_users, found.fake_users.latent)
        expected = metrics_by_hand(found.prefix(flips).apply(data), data, model)
        np.testing.assert_allclose(values(report, flips, "poisoned"), expected, rtol=1e-6)


def metrics_by_hand(poisoned: HeteroData, data: HeteroData, model: ExtraUsers) -> list[float]:
    task = gp.Recommendation(poisoned, model)
    users, items = task.train(VICTIM.training, task.state, task.init(generator(2, VICTIM_STREAM)))
    found = gp.read_graph(data)
    metrics: list[float] = []
    for positive, negative in (
        (found.edge_index, found.negatives),
        (found.unseen, found.unseen_negatives),
    ):
        pairs = torch.cat([positive, negative], dim=1)
        labels = (torch.arange(pairs.size(1)) < positive.size(1)).float()
        scores = (users[pairs[0]] * items[pairs[1]]).sum(dim=1)
        metrics += link_metrics(scores, labels).values()
    return metrics


def test_injections_and_plain_attacks_side_by_side() -> None:
    attacks = {
        "new": INJECTIONS[0](link_task(), 6),
        "random": gp.NewUsers(3, gp.RandomAttack())(link_task(), 6),
        "plain": ADDING(link_task(), 6),
    }
    report = gp.evaluate(interaction_graph(), attacks, [VICTIM, gp.GMF(dim=2)], seeds=[0, 1])
    clean = report.runs.query("split == 'unseen'").groupby(["victim", "seed", "metric"])["clean"]
    assert clean.nunique().eq(1).all()
    assert np.isfinite(report.table["drop"]).all()


def test_fixed_embeddings_need_victims_of_the_same_size() -> None:
    found = INJECTIONS[4](link_task(), 3)
    gp.evaluate(interaction_graph(), found, [gp.GMF(dim=3)], seeds=[0])
    with pytest.raises(ValueError, match="user embeddings of the same size"):
        gp.evaluate(interaction_graph(), found, [gp.CF(dim=4)], seeds=[0])


def test_a_module_with_room_takes_new_users() -> None:
    task = gp.Recommendation(interaction_graph(), Scores(10))
    found = gp.NewUsers(3, ADDING)(task, 4)
    assert found.flips["source"].ge(7).all()
    with pytest.raises(TypeError, match="has no table of user embeddings"):
        gp.SimilarUsers(3, "kmeans", attack=ADDING)(task, 4)


def test_mistakes_are_named() -> None:
    with pytest.raises(TypeError, match="task must be a Recommendation"):
        gp.NewUsers(2)(gp.NodeClassification(citation_graph()), 3)
    with pytest.raises(ValueError, match="use candidates='sampled'"):
        gp.NewUsers(2)(link_task(candidates="all"), 3)
    with pytest.raises(TypeError, match="attack must be an attack"):
        gp.NewUsers(2, attack=SHORT)
    with pytest.raises(ValueError, match="num_users must be at least 1"):
        gp.SimilarUsers(0)
    with pytest.raises(ValueError, match="Did you mean 'kmeans'"):
        gp.SimilarUsers(method="kmean")
    with pytest.raises(ValueError, match="fraction must lie in"):
        gp.SimilarUsers(fraction=0.0)
    for method in ("sample", "kmeans"):
        with pytest.raises(ValueError, match="num_users=8 is more than the 7 users"):
            gp.SimilarUsers(8, method, attack=ADDING)(link_task(), 3)
    with pytest.raises(TypeError, match=r"give training=Training"):
        gp.SimilarUsers(2, "kmeans", attack=gp.RandomAttack())(link_task(), 3)
    unknown = gp.FakeUsers(2, torch.tensor([[2], [0]]))
    with pytest.raises(ValueError, match="edges has source nodes from 2 to 2"):
        with_fake_users(link_task(), unknown)
