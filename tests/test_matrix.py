"""Every attack on every model, every victim after every attack, and every data set, all small."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import reference
import torch
from conftest import OwnGCN, assert_flips, citation_graph, interaction_graph
from scipy.sparse.csgraph import breadth_first_order
from torch import Tensor, nn
from torch_geometric import datasets as pyg_datasets
from torch_geometric.data import Data, HeteroData
from torch_geometric.utils import to_dense_adj, to_scipy_sparse_matrix

import graphpoison as gp
from graphpoison._random import generator
from graphpoison.metrics import accuracy
from graphpoison.models.extra_users import ExtraUsers
from graphpoison.tasks.fake_users import with_fake_users
from graphpoison.training.bpr import Triples
from graphpoison.victims import NODE_VICTIMS

KIND = ("user", "rates", "item")
SHORT = gp.Training(steps=3, lr=0.1)
DECAYING = gp.Training(steps=8, lr=0.1, weight_decay=0.1)
IMPLICIT = gp.Implicit(iterations=8, tolerance=1e-2)
LIMITS = (gp.NoSingletons(), gp.NodeBudget(3))

ATTACKS = {
    "meta, unrolled": gp.MetaAttack(SHORT, 2, LIMITS),
    "meta, approximate": gp.MetaAttack(SHORT, 2, LIMITS, hypergradient=gp.Approximate()),
    "meta, implicit": gp.MetaAttack(DECAYING, 2, LIMITS, hypergradient=IMPLICIT),
    "random": gp.RandomAttack(LIMITS, allow_removals=True),
    "dice": gp.DICE(LIMITS),
    "degree": gp.DegreeAttack(LIMITS, allow_removals=True),
    "pgd": gp.PGDAttack(SHORT, steps=2, samples=1, constraints=LIMITS),
    "min-max": gp.PGDAttack(SHORT, steps=2, samples=1, retrain=True, constraints=LIMITS),
    "prbcd": gp.PRBCD(SHORT, epochs=2, constraints=LIMITS),
    "grbcd": gp.GRBCD(SHORT, epochs=2, constraints=LIMITS),
}
ADDING = gp.MetaAttack(SHORT, 2, allow_removals=False)
INJECTIONS = {
    "new users": gp.NewUsers(2, ADDING),
    "new users, implicit": gp.NewUsers(2, gp.MetaAttack(DECAYING, 2, hypergradient=IMPLICIT)),
    "new users, random": gp.NewUsers(2, gp.RandomAttack()),
    "similar users, sample": gp.SimilarUsers(2, "sample", attack=ADDING),
    "similar users, kmeans": gp.SimilarUsers(2, "kmeans", attack=ADDING),
}


class OwnScores(nn.Module):
    """A factorisation with room for two more users than the data have."""

    def __init__(self) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(9, 2), nn.Embedding(9, 2)

    def scores(self, pairs: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        return (self.users(pairs[0]) * self.items(pairs[1])).sum(dim=1)


CLASSIFIERS = {"linear-gcn": gp.LinearGCN(3), "relu-gcn": gp.ReLUGCN(3), "own": OwnGCN(3)}
RECOMMENDERS = {
    "cf": gp.CF(dim=2),
    "gmf": gp.GMF(dim=2),
    "gmf, layers": gp.GMF(2, (3,)),
    "mlp": gp.MLP(2, (3,)),
    "neumf": gp.NeuMF(2, (3,), mlp_dim=2),
    "lightgcn": gp.LightGCN(dim=2),
    "own": OwnScores(),
}
CLASSIFIER_VICTIM = replace(NODE_VICTIMS["gcn"], epochs=2)
RECOMMENDER_VICTIMS = {
    loss: gp.RecommenderVictim(gp.CF(dim=2), "cf", gp.Training(steps=2), loss=loss)
    for loss in ("log", "bpr", "softmax")
}


def codes(pairs: Tensor) -> set[tuple[int, ...]]:
    return set(map(tuple, pairs.t().tolist()))


def assert_sound(
    found: gp.Perturbation, data: Data | HeteroData, clean: gp.Task, victim: object, file: Path
) -> None:
    """Budget, constraints, what applying does, files, and one evaluation."""
    assert 0 < len(found) <= 4
    poisoned_state = clean.state.flip(found.pairs)
    for constraint in () if found.fake_users else LIMITS:
        assert constraint.violation(clean.state, poisoned_state) is None
    poisoned = found.apply(data)
    edges = poisoned[KIND].edge_index if isinstance(data, HeteroData) else poisoned.edge_index
    edges = edges if isinstance(data, HeteroData) else edges[:, edges[0] < edges[1]]
    assert codes(edges) == codes(clean.state.edges) ^ codes(found.pairs)
    assert codes(found.added) == codes(edges) - codes(clean.state.edges)
    found.save(file)
    loaded = gp.Perturbation.load(file)
    pd.testing.assert_frame_equal(loaded.flips, found.flips)
    assert loaded.meta == found.meta
    again = gp.ApplyPerturbation(file)(data)
    for store, expected in zip(again.edge_stores, poisoned.edge_stores, strict=True):
        assert torch.equal(store["edge_index"], expected["edge_index"])
    runs = gp.evaluate(data, loaded, [victim], seeds=[0]).runs
    assert len(runs)
    assert np.isfinite(runs[["clean", "poisoned"]].to_numpy()).all()


# --- Attacks and surrogates -------------------------------------------------------------------


@pytest.mark.parametrize("surrogate", CLASSIFIERS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_every_attack_on_every_classifier(attack: str, surrogate: str, tmp_path: Path) -> None:
    data = citation_graph(dtype=torch.float32)
    task = gp.NodeClassification(data, CLASSIFIERS[surrogate])
    found = ATTACKS[attack](task, 4)
    assert_sound(found, data, task, CLASSIFIER_VICTIM, tmp_path / "p.npz")


@pytest.mark.parametrize("loss", ["log", "bpr", "softmax"])
@pytest.mark.parametrize("surrogate", RECOMMENDERS)
@pytest.mark.parametrize("attack", sorted(ATTACKS.keys() - {"dice"}))
def test_every_attack_on_every_recommender(
    attack: str, surrogate: str, loss: str, tmp_path: Path
) -> None:
    data = interaction_graph()
    task = gp.Recommendation(data, RECOMMENDERS[surrogate], loss=loss)
    found = ATTACKS[attack](task, 4)
    assert_sound(found, data, task, RECOMMENDER_VICTIMS[loss], tmp_path / "p.npz")


TABLES = sorted(RECOMMENDERS.keys() - {"lightgcn", "own"})


@pytest.mark.parametrize("loss", ["log", "bpr"])
@pytest.mark.parametrize(
    ("attack", "surrogate"),
    [
        (attack, surrogate)
        for attack in INJECTIONS
        for surrogate in (TABLES if "kmeans" in attack else RECOMMENDERS)
    ],
)
def test_every_injection_into_every_recommender(
    attack: str, surrogate: str, loss: str, tmp_path: Path
) -> None:
    data = interaction_graph()
    task = gp.Recommendation(data, RECOMMENDERS[surrogate], loss=loss)
    found = INJECTIONS[attack](task, 4)
    assert len(found) == 4
    assert found.flips["source"].between(7, 8).all()
    grown = with_fake_users(task, found.fake_users)
    victim = RECOMMENDER_VICTIMS[loss]
    if found.fake_users.latent:
        victim = replace(victim, model=RECOMMENDERS[surrogate])
    assert_sound(found, data, grown, victim, tmp_path / "p.npz")


# --- Victims ----------------------------------------------------------------------------------


class Recorded(gp.Victim):
    """``victim``, with a list of the logits after each training."""

    def __init__(self, victim: gp.Victim) -> None:
        self.name, self.victim = victim.name, victim
        self.logits: list[Tensor] = []

    def fit(self, graph: gp.NodeGraph, seed: int) -> gp.FittedNodes:
        fitted: gp.FittedNodes = self.victim.fit(graph, seed)
        self.logits.append(fitted.logits())
        return fitted


@pytest.mark.parametrize("name", NODE_VICTIMS)
def test_every_victim_after_every_attack(name: str) -> None:
    """Evaluation trains the victim as somebody does who reads the poisoned PyG graph."""
    data = citation_graph(num_nodes=24, dtype=torch.float32)
    task = gp.NodeClassification(data, gp.LinearGCN(3))
    found = {attack: make(task, 4) for attack, make in ATTACKS.items()}
    victim = replace(NODE_VICTIMS[name], epochs=3)
    recorded = Recorded(victim)
    runs = gp.evaluate(data, found, [recorded], seeds=[3]).runs
    assert runs["attack"].tolist() == list(ATTACKS)

    clean = victim.fit(gp.read_graph(data), 3).logits()
    after = [victim.fit(gp.read_graph(f.apply(data)), 3).logits() for f in found.values()]
    for logits, expected in zip(recorded.logits, [clean, *after], strict=True):
        torch.testing.assert_close(logits, expected)
    same = [torch.equal(logits, clean) for logits in after]
    assert same == [name == "mlp"] * len(after)  # which sees no edges
    tested, labels = data.test_mask, data.y[data.test_mask]
    assert runs["clean"].eq(accuracy(clean[tested], labels)).all()
    assert runs["poisoned"].tolist() == [accuracy(logits[tested], labels) for logits in after]


def test_every_recommender_after_every_attack() -> None:
    data = interaction_graph()
    task = gp.Recommendation(data, gp.CF(dim=2))
    attacks = {**ATTACKS, **INJECTIONS}
    del attacks["dice"], attacks["similar users, kmeans"]
    found = {attack: make(task, 4) for attack, make in attacks.items()}
    victims = [
        gp.RecommenderVictim(model, f"{name}, {loss}", gp.Training(steps=2), loss=loss)
        for name, model in RECOMMENDERS.items()
        if name != "own"
        for loss in ("log", "bpr")
    ]
    runs = gp.evaluate(data, found, victims, seeds=[0]).runs
    metrics = {"log": 3, "bpr": 1}  # scores of BPR are no log-odds
    assert len(runs) == len(found) * sum(metrics[victim.loss] for victim in victims) * 2
    assert np.isfinite(runs[["clean", "poisoned"]].to_numpy()).all()


# --- Against the reference --------------------------------------------------------------------

DENSE = {
    "gmf": gp.GMF(3),
    "tower-tanh": gp.GMF(3, (4, 3), scale=1.0, activation="tanh"),
    "mlp-tanh": gp.MLP(3, (5,), scale=1.0, activation="tanh"),
    "neumf-tanh": gp.NeuMF(3, (4, 3), mlp_dim=2, scale=1.0, activation="tanh"),
    "lightgcn-2": gp.LightGCN(3, layers=2, scale=1.0),
}
LEARNING = {"steps": 6, "lr": 0.05, "optimizer": "adam"}


@dataclass(frozen=True)
class Grown:
    """A recommender's training pairs, fake users among them, as the reference wants them."""

    task: gp.Recommendation
    pairs: Tensor
    weight: Tensor
    candidate: Tensor

    @classmethod
    def by(cls, task: gp.Recommendation, count: int, edges: Tensor) -> "Grown":
        """All pairs of ``count`` new users are listed, those of ``edges`` with weight 1."""
        users, items = task.state.shape
        new = torch.cartesian_prod(torch.arange(users, users + count), torch.arange(items)).t()
        started = {(user + users, item) for user, item in codes(edges)}
        begun = torch.tensor([pair in started for pair in map(tuple, new.t().tolist())])
        pairs = torch.cat([task.state.index, new], dim=1)
        weight = torch.cat([task.state.weight, begun.float()]).double()
        return cls(task, pairs, weight, torch.arange(pairs.size(1)) >= task.state.num_listed)


def triples_of(task: gp.Recommendation) -> list[tuple[int, int]]:
    if not task.criterion.ranks:
        return []
    found = Triples.of(task.state.pattern, task.criterion.seed)
    return [*zip(found.first.tolist(), found.second.tolist(), strict=True)]


def dense_task(model: str, loss: str = "log") -> gp.Recommendation:
    return gp.Recommendation(interaction_graph(), DENSE[model], loss=loss, dtype=torch.float64)


@pytest.mark.parametrize(
    ("model", "loss", "approximate"),
    [
        *((model, "bpr", None) for model in DENSE),  # explicitly, couples of two have equal scores
        ("gmf", "bpr", "before"),
        ("mlp-tanh", "log", None),
        ("mlp-tanh", "log", "before"),
        ("lightgcn-2", "log", None),
        ("lightgcn-2", "log", "before"),
    ],
)
def test_meta_attacks_flip_by_flip(model: str, loss: str, approximate: str | None) -> None:
    task = dense_task(model, loss)
    expected = reference.algorithm1(
        model, task.state.index, task.state.weight.double(), task.state.candidate,
        task.init(generator(0)), budget=4, flips_per_step=2, approximate=approximate,
        triples=triples_of(task), **LEARNING,
    )  # fmt: skip
    hypergradient = gp.Approximate() if approximate else gp.Unrolled()
    attack = gp.MetaAttack(gp.Training(**LEARNING), 2, hypergradient=hypergradient, redraw=False)
    assert_flips(attack(task, 4), expected)


@pytest.mark.parametrize(
    ("model", "attack", "loss"),
    [
        ("tower-tanh", "new", "log"),
        ("mlp-tanh", "new", "log"),
        *((model, "similar", "log") for model in sorted(DENSE.keys() - {"lightgcn-2"})),
        ("gmf", "new", "bpr"),
        ("neumf-tanh", "similar", "bpr"),
    ],
)
def test_injections_flip_by_flip(model: str, attack: str, loss: str) -> None:
    task = dense_task(model, loss)
    meta = gp.MetaAttack(gp.Training(**LEARNING), 2, redraw=False)
    make = gp.NewUsers(2, meta) if attack == "new" else gp.SimilarUsers(2, "sample", attack=meta)
    found = make(task, 4)
    grown = Grown.by(task, 2, found.fake_users.edges)
    expected = reference.algorithm1(
        model, grown.pairs, grown.weight, grown.candidate,
        ExtraUsers(DENSE[model], 2).init((9, 9), generator(0), torch.float64), budget=4,
        flips_per_step=2, triples=triples_of(with_fake_users(task, found.fake_users)), **LEARNING,
    )  # fmt: skip
    assert_flips(found, expected)


@pytest.mark.parametrize("surrogate", ["linear-gcn", "relu-gcn", "sgc"])
def test_implicit_metattack_flip_by_flip(surrogate: str) -> None:
    """Greedy flips by the gradient of the dense Hessian, at the ends that training reached."""
    data = citation_graph()
    models = {"linear-gcn": gp.LinearGCN(hidden=2), "relu-gcn": gp.ReLUGCN(hidden=2)}
    model = models.get(surrogate, gp.SGC())
    task = gp.NodeClassification(data, model, "train")
    training = gp.Training(steps=300, lr=0.5, weight_decay=1.0)
    hypergradient = gp.Implicit(iterations=200, tolerance=1e-12, stationary=1e-7)
    found = gp.MetaAttack(training, hypergradient=hypergradient, redraw=False)(task, 4)
    i, j = reference.pair_indices(14)
    clean = to_dense_adj(data.edge_index, max_num_nodes=14)[0].double()[i, j]
    w = clean.clone()
    for pair, added, score in zip(
        found.pairs.t().tolist(), found.flips["added"], found.flips["score"], strict=True
    ):
        A = reference.adjacency_from_weights(w, 14)
        state = task.state.flip(torch.stack([i, j])[:, w != clean])
        theta = task.train(training, state, task.init(generator(0)))
        leaf = w.clone().requires_grad_()

        def loss(theta: reference.Theta, leaf: Tensor = leaf) -> Tensor:
            A = reference.adjacency_from_weights(leaf, 14)
            logits = reference.gcn_logits(surrogate, A, data.x, theta)[data.train_mask]
            return nn.functional.cross_entropy(logits, data.y[data.train_mask])

        scores = (1 - 2 * clean) * reference.implicit_gradient(loss, loss, leaf, theta, 1.0)
        scores[w != clean] = -torch.inf
        (best,) = reference.best(scores, 1)
        assert (int(i[best]), int(j[best])) == tuple(pair)
        assert score == pytest.approx(float(scores[best]), rel=1e-6)
        assert added == bool(A[i[best], j[best]] == 0)
        w[best] = 1 - w[best]


# --- Data sets --------------------------------------------------------------------------------


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is not in the folder of data is not looked for elsewhere."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("no network")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("Planetoid", "CitationFull", "MovieLens100K", "MovieLens1M"):
        monkeypatch.setattr(pyg_datasets, name, refuse)


def neighbourhood(data: Data, count: int = 40) -> Data:
    """The nodes nearest to a labelled one, and the edges among them."""
    adjacency = to_scipy_sparse_matrix(data.edge_index, num_nodes=data.num_nodes)
    start = int(data.train_mask.nonzero()[0])
    order = breadth_first_order(adjacency.tocsr(), start, return_predecessors=False)
    return data.subgraph(torch.from_numpy(order[:count].copy()).long().sort().values)


def corner(data: HeteroData, users: int = 15, items: int = 20) -> HeteroData:
    """The most active users and the most popular items, and the pairs among them."""
    store, small = data[KIND], HeteroData()
    places = []
    for row, count, name in zip(store.edge_index, (users, items), ("user", "item"), strict=True):
        kept = row.bincount(minlength=data[name].num_nodes).topk(count).indices
        place = torch.full((data[name].num_nodes,), -1)
        place[kept] = torch.arange(count)
        places.append(place)
        small[name].num_nodes = count
    for key in ("edge_index", "neg_edge_index", "unseen_edge_index", "unseen_neg_edge_index"):
        moved = torch.stack([place[row] for place, row in zip(places, store[key], strict=True)])
        small[KIND][key] = moved[:, (moved >= 0).all(dim=0)]
    return small


SLOW = {"gowalla", "movielens-1m"}


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [])
        for name in gp.datasets.names()
    ],
)
def test_every_data_set_is_attacked(name: str, request: pytest.FixtureRequest) -> None:
    root = None if name.startswith("synthetic") else request.getfixturevalue("real_data")
    try:
        data = gp.datasets.load(name, root)
    except FileNotFoundError as error:
        pytest.skip(f"{name} is not there: {error}")
    if isinstance(data, Data):
        small: Data | HeteroData = neighbourhood(data)
        task: gp.Task = gp.NodeClassification(small)
        victim: object = CLASSIFIER_VICTIM
    else:
        small = corner(data)
        task, victim = gp.Recommendation(small, gp.CF(dim=4)), RECOMMENDER_VICTIMS["log"]
    attacks = ["meta, unrolled", "random", "prbcd"]
    found = {attack: ATTACKS[attack](task, 3) for attack in attacks}
    assert {attack: len(flips) for attack, flips in found.items()} == dict.fromkeys(attacks, 3)
    runs = gp.evaluate(small, found, [victim], seeds=[0]).runs
    assert np.isfinite(runs.query("metric != 'auroc'")["poisoned"]).all()


# --- What makes no sense ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempt", "error", "message"),
    [
        (lambda n, r: gp.DICE()(r, 2), TypeError, "classes of nodes.*use DegreeAttack"),
        (lambda n, r: gp.NewUsers(2)(n, 2), TypeError, "task must be a Recommendation"),
        (lambda n, r: gp.SimilarUsers(2)(n, 2), TypeError, "task must be a Recommendation"),
        (lambda n, r: gp.NewUsers(2, INJECTIONS["new users"]), TypeError, "must be an attack"),
        (lambda n, r: gp.NodeClassification(citation_graph(), gp.CF()), TypeError, "surrogate"),
        (lambda n, r: gp.Recommendation(interaction_graph(), "relu-gcn"), ValueError, "surrogate"),
        (lambda n, r: gp.Recommendation(interaction_graph(), OwnGCN()), TypeError, "no method"),
        (
            lambda n, r: gp.evaluate(citation_graph(), gp.RandomAttack()(n, 2), ["cf"]),
            ValueError,
            "victims='cf' is not known",
        ),
        (
            lambda n, r: gp.evaluate(interaction_graph(), gp.RandomAttack()(r, 2), ["gcn"]),
            ValueError,
            "'gcn' is not known",
        ),
        (
            lambda n, r: gp.SimilarUsers(2, "kmeans", attack=ADDING)(
                gp.Recommendation(interaction_graph(), OwnScores()), 2
            ),
            TypeError,
            "no table of user embeddings",
        ),
        (
            lambda n, r: gp.SimilarUsers(2, "kmeans", attack=ADDING)(
                gp.Recommendation(interaction_graph(), gp.LightGCN(2)), 2
            ),
            TypeError,
            "use CF, GMF, MLP or NeuMF",
        ),
        (
            lambda n, r: gp.RecommenderVictim(gp.CF(), "cf", loss="bprr"),
            ValueError,
            "Did you mean 'bpr'",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(
    attempt: object, error: type[Exception], message: str
) -> None:
    nodes = gp.NodeClassification(citation_graph())
    ratings = gp.Recommendation(interaction_graph())
    with pytest.raises(error, match=message):
        attempt(nodes, ratings)
