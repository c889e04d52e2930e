"""Graphs of every kind that PyG has, its transforms before and after, and what is left alone."""

import copy
from pathlib import Path

import pandas as pd
import pytest
import torch
import torch_geometric.transforms as T
from conftest import citation_graph, interaction_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch_geometric import EdgeIndex
from torch_geometric.data import Batch, Data, HeteroData, InMemoryDataset
from torch_geometric.data.storage import BaseStorage
from torch_geometric.nn import GCN

import graphpoison as gp
from graphpoison._random import isolated_rng
from graphpoison.graphs.adjacency import with_edge_index

KIND, REVERSE = ("user", "rates", "item"), ("item", "rev_rates", "user")
SHORT = gp.Training(steps=3, lr=0.1)
ATTACK = gp.MetaAttack(SHORT, flips_per_step=2)
QUICK_GCN = gp.ModuleVictim(lambda features, classes: GCN(features, 4, 2, classes), "gcn", epochs=3)
QUICK_CF = gp.RecommenderVictim(gp.CF(dim=2), "cf", gp.Training(steps=3, lr=0.1, optimizer="adam"))


def by_pair(index: Tensor, values: Tensor) -> dict[tuple[int, int], object]:
    pairs = map(tuple, index.t().tolist())
    return dict(zip(pairs, values.tolist(), strict=True))


def codes(pairs: Tensor) -> set[tuple[int, ...]]:
    return set(map(tuple, pairs.t().tolist()))


def frozen(data: Data | HeteroData) -> list[dict[str, object]]:
    """Everything in ``data``, copied."""
    return [
        {key: value.clone() if isinstance(value, Tensor) else value for key, value in store.items()}
        for store in data.stores
    ]


def assert_same(found: list[dict[str, object]], expected: list[dict[str, object]]) -> None:
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.keys() == theirs.keys()
        for key, value in theirs.items():
            assert type(mine[key]) is type(value), key
            if isinstance(value, Tensor):
                assert torch.equal(mine[key], value), key
            else:
                assert mine[key] == value, key


# --- EdgeIndex and sparse matrices ------------------------------------------------------------

ORDERS = pytest.mark.parametrize("order", [None, "row", "col"])


def in_order(index: Tensor, order: str | None) -> Tensor:
    """The places of the columns of ``index`` in that order, or in a random one."""
    if order is None:
        return torch.randperm(index.size(1), generator=torch.Generator().manual_seed(5))
    return index[0 if order == "row" else 1].argsort(stable=True)


@ORDERS
@pytest.mark.parametrize("undirected", [False, True])
def test_an_edge_index_of_a_citation_graph_comes_back(
    order: str | None, undirected: bool, tmp_path: Path
) -> None:
    plain = citation_graph(20, dtype=torch.float32)
    plain.edge_attr = torch.arange(plain.num_edges).float().reshape(-1, 1)
    places = in_order(plain.edge_index, order)
    data = copy.copy(plain)
    data.edge_attr = plain.edge_attr[places]
    data.edge_index = EdgeIndex(
        plain.edge_index[:, places],
        sparse_size=(20, 20),
        sort_order=order,
        is_undirected=undirected,
    )
    before = frozen(data)
    gp.datasets.save_graph(data, tmp_path / "graph.pt")
    for graph in (data, gp.datasets.load_graph(tmp_path / "graph.pt")):
        found = ATTACK(gp.NodeClassification(graph), 6)
        pd.testing.assert_frame_equal(
            found.flips, ATTACK(gp.NodeClassification(plain), 6).flips, rtol=1e-4
        )
        poisoned = found.apply(graph)
        index = poisoned.edge_index
        assert isinstance(index, EdgeIndex)
        assert (index.sparse_size(), index.is_undirected) == ((20, 20), undirected)
        assert index.sort_order == graph.edge_index.sort_order
        index.validate()
        expected = found.apply(plain)
        theirs = by_pair(expected.edge_index, expected.edge_attr)
        assert by_pair(index.as_tensor(), poisoned.edge_attr) == theirs
    runs = [gp.evaluate(graph, found, [QUICK_GCN], seeds=[0]).runs for graph in (data, plain)]
    pd.testing.assert_frame_equal(*runs)
    assert_same(frozen(data), before)


@ORDERS
def test_edge_indices_of_interactions_come_back_with_new_users(order: str | None) -> None:
    plain = T.ToUndirected()(interaction_graph())
    data = copy.copy(plain)
    for kind, key in ((KIND, "edge_index"), (KIND, "neg_edge_index"), (REVERSE, "edge_index")):
        index = data[kind][key]
        index = index[:, in_order(index, order)]
        data[kind][key] = EdgeIndex(index, sparse_size=data[kind].size(), sort_order=order)
    attack = gp.NewUsers(2, ATTACK)
    tasks = [gp.Recommendation(graph, gp.CF(dim=2), edge_type=KIND) for graph in (data, plain)]
    found, theirs = (attack(task, 4) for task in tasks)
    pd.testing.assert_frame_equal(found.flips, theirs.flips)
    poisoned, expected = found.apply(data), found.apply(plain)
    for kind, key in ((KIND, "edge_index"), (KIND, "neg_edge_index"), (REVERSE, "edge_index")):
        index = poisoned[kind][key]
        assert isinstance(index, EdgeIndex)
        assert index.sparse_size() == (9, 9)  # seven users and two new ones, nine items
        index.validate()
        assert codes(index.as_tensor()) == codes(expected[kind][key])
    assert type(poisoned[KIND].unseen_edge_index) is Tensor
    runs = [gp.evaluate(graph, found, [QUICK_CF], seeds=[0]).runs for graph in (data, plain)]
    pd.testing.assert_frame_equal(*runs)


def test_a_sparse_adjacency_beside_other_edge_types() -> None:
    """Only what was sparse is sparse again, and rows of edge attributes go through it."""
    data = interaction_graph()
    data[KIND].edge_attr = torch.arange(40.0).reshape(20, 2)
    sparse = T.ToSparseTensor(attr="edge_attr", layout=torch.sparse_csr)(copy.copy(data))
    assert sparse[KIND].adj_t.shape == (9, 7, 2)
    follows = torch.tensor([[0, 1, 2], [1, 2, 0]])
    for graph in (data, sparse):
        graph["user", "follows", "user"].edge_index = follows
    attack = gp.RandomAttack(allow_removals=True)
    found = attack(gp.Recommendation(sparse, gp.CF(dim=2), edge_type=KIND), 8)
    poisoned, expected = found.apply(sparse), found.apply(data)
    assert poisoned["user", "follows", "user"].edge_index is follows
    assert "edge_index" not in poisoned[KIND]
    assert "edge_attr" not in poisoned[KIND]
    store, theirs = with_edge_index(poisoned)[KIND], expected[KIND]
    assert by_pair(store.edge_index, store.edge_attr) == by_pair(
        theirs.edge_index, theirs.edge_attr
    )


# --- RandomLinkSplit --------------------------------------------------------------------------


def test_a_batch_is_no_graph_to_poison() -> None:
    graph = citation_graph()
    flips = gp.RandomAttack()(gp.NodeClassification(graph), 2)
    for batch in (Batch.from_data_list([graph]), Batch.from_data_list([graph, graph])):
        with pytest.raises(TypeError, match="data is a Batch of several graphs"):
            flips.apply(batch)
        with pytest.raises(TypeError, match="data is a Batch of several graphs"):
            gp.ApplyPerturbation(flips)(batch)


def split(seed: int = 0, ratings: bool = False, **options: object) -> list[HeteroData]:
    """Interactions of 12 users and 15 items, split as a user of PyG would."""
    data = interaction_graph(12, 15, seed, positives=80, negatives=0)
    rated = HeteroData({name: {"num_nodes": data[name].num_nodes} for name in ("user", "item")})
    rated[KIND].edge_index = data[KIND].edge_index
    rated[KIND].time = torch.arange(80)
    rated = T.ToUndirected()(rated)
    if ratings:
        rated[KIND].edge_label = torch.arange(80) % 5
    transform = T.RandomLinkSplit(edge_types=KIND, rev_edge_types=REVERSE, **options)
    with isolated_rng(seed):
        return list(transform(rated))


def labelled(data: HeteroData, positive: bool) -> set[tuple[int, ...]]:
    """The pairs of one label, whichever of its two forms PyG gave them."""
    store = data[KIND]
    if "pos_edge_label_index" in store:
        key = f"{'pos' if positive else 'neg'}_edge_label_index"
        return codes(store[key]) if key in store else set()
    return codes(store.edge_label_index[:, (store.edge_label > 0) == positive])


SPLITS = pytest.mark.parametrize("options", [{}, {"split_labels": True}, {"num_val": 0.0}])


@SPLITS
def test_labels_of_the_training_part_are_its_training_pairs(options: dict[str, object]) -> None:
    train, *held_out = split(**options)
    state = gp.Recommendation(train, gp.CF(dim=2), edge_type=KIND).state
    assert codes(state.index[:, state.weight > 0]) == labelled(train, True)
    assert codes(state.index[:, state.weight == 0]) == labelled(train, False)
    for part in held_out:
        if not labelled(part, True):
            continue
        found = gp.read_graph(part, KIND)
        assert found.negatives is None
        assert codes(found.unseen) == labelled(part, True)
        assert codes(found.unseen_negatives) == labelled(part, False)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 30),
    apart=st.booleans(),
    negatives=st.sampled_from([0.0, 1.0]),
    ratings=st.booleans(),
    joining=st.booleans(),
)
def test_labels_are_kept_in_step_with_the_flips(
    seed: int, apart: bool, negatives: float, ratings: bool, joining: bool
) -> None:
    train = split(
        seed, ratings and negatives > 0, neg_sampling_ratio=negatives, split_labels=apart
    )[0]
    before = frozen(train)
    task = gp.Recommendation(train, gp.CF(dim=2), edge_type=KIND)
    attack = gp.RandomAttack(allow_removals=True)
    found = (gp.NewUsers(2, attack) if joining else attack)(task, 9, seed)
    poisoned = found.apply(train)
    assert_same(frozen(train), before)
    edges = codes(poisoned[KIND].edge_index)
    assert labelled(poisoned, True) == edges
    assert codes(poisoned[REVERSE].edge_index.flip(0)) == edges
    if negatives:
        state = task.state if found.fake_users is None else found.fake_users.extend(task.state)
        assert labelled(poisoned, False) == codes(state.index) - edges
    else:
        assert labelled(poisoned, False) == set()
    again = gp.Recommendation(poisoned, gp.CF(dim=2), edge_type=KIND)
    assert codes(again.state.edges) == edges
    if not apart:
        store, kept = poisoned[KIND], train[KIND]
        rating = by_pair(kept.edge_label_index, kept.edge_label)
        flipped = codes(found.pairs)
        for pair, value in by_pair(store.edge_label_index, store.edge_label).items():
            old = rating.get(pair, 0)
            assert value == (old if pair not in flipped else float(pair in edges))


@SPLITS
def test_a_split_is_one_graph_with_unseen_pairs(options: dict[str, object]) -> None:
    train, _, test = split(**options)
    data = gp.datasets.from_link_split(train, test, KIND)
    assert not [key for key in data[KIND] if "label" in key]
    found = gp.read_graph(data, KIND)
    assert codes(found.unseen) == labelled(test, True)
    assert codes(found.unseen_negatives) == labelled(test, False)
    assert codes(found.negatives) == labelled(train, False)
    task = gp.Recommendation(data, gp.CF(dim=2), edge_type=KIND)
    straight = gp.Recommendation(train, gp.CF(dim=2), edge_type=KIND)
    assert torch.equal(task.state.index, straight.state.index)
    attack = ATTACK(task, 6)
    runs = gp.evaluate(data, attack, [QUICK_CF], seeds=[0]).runs
    assert set(runs["split"]) == {"train", "unseen"}
    tested = gp.evaluate(test, attack, [QUICK_CF], seeds=[0]).runs  # trained on what PyG says
    assert set(tested["split"]) == {"train", "unseen"}
    assert set(gp.evaluate(train, attack, [QUICK_CF], seeds=[0]).runs["split"]) == {"train"}


def test_a_split_that_is_none_is_refused() -> None:
    train, validation, test = split()
    with pytest.raises(ValueError, match="give the training part first"):
        gp.datasets.from_link_split(test, train, KIND)
    with pytest.raises(ValueError, match="disjoint_train_ratio=0"):
        gp.datasets.from_link_split(split(disjoint_train_ratio=0.4)[0], test, KIND)
    with pytest.raises(ValueError, match="has no labels of pairs outside"):
        gp.datasets.from_link_split(train, train, KIND)
    with pytest.raises(ValueError, match="not of one split"):
        gp.datasets.from_link_split(train, split(seed=1)[2], KIND)
    train[KIND].edge_label = train[KIND].edge_label[:-1]
    with pytest.raises(ValueError, match="one label for each of the"):
        gp.Recommendation(train, edge_type=KIND)
    del validation[KIND].edge_index
    with pytest.raises(ValueError, match="has neither edge_index nor a sparse adj_t"):
        gp.Recommendation(validation, edge_type=KIND)


def test_names_of_this_library_go_before_labels() -> None:
    data = interaction_graph()
    task = gp.Recommendation(data, gp.CF(dim=2))
    data[KIND].edge_label_index = torch.tensor([[0, 1], [0, 1]])
    data[KIND].edge_label = torch.tensor([1.0, 0.0])
    assert torch.equal(gp.Recommendation(data, gp.CF(dim=2)).state.index, task.state.index)


def test_negatives_stay_apart_from_edges_where_any_pair_may_be_flipped() -> None:
    data = interaction_graph()
    found = gp.RandomAttack(allow_removals=True)(gp.Recommendation(data, candidates="all"), 40)
    poisoned = found.apply(data)
    store, clean = poisoned[KIND], data[KIND]
    edges, removed = codes(store.edge_index), codes(found.removed)
    assert codes(found.added) - codes(clean.neg_edge_index)
    assert codes(store.neg_edge_index) == (codes(clean.neg_edge_index) - edges) | removed
    assert codes(gp.Recommendation(poisoned).state.edges) == edges


# --- Transforms -------------------------------------------------------------------------------


def attacked(data: Data) -> Data:
    return ATTACK(gp.NodeClassification(data), 4).apply(data)


def test_transforms_of_nodes_before_and_after() -> None:
    data = citation_graph(20)
    data.edge_index = torch.cat([data.edge_index, torch.tensor([[20, 21], [21, 20]])], dim=1)
    data.x = torch.cat([data.x, torch.ones(2, 24, dtype=torch.float64)])
    data.y, data.num_nodes = torch.cat([data.y, torch.zeros(2, dtype=torch.long)]), 22
    splits = T.RandomNodeSplit(num_val=4, num_test=4)
    before = T.Compose([T.LargestConnectedComponents(), T.NormalizeFeatures(), splits])
    with isolated_rng(0):
        ready = before(data)
    poisoned = attacked(ready)
    assert poisoned.num_nodes == 20
    assert poisoned.x is ready.x
    assert poisoned.train_mask is ready.train_mask
    after = T.Compose([T.NormalizeFeatures(), T.ToUndirected()])(poisoned)
    assert codes(after.edge_index) == codes(poisoned.edge_index)


def test_self_loops_are_nothing_to_attack_and_stay() -> None:
    data = citation_graph(20)
    looped = T.AddSelfLoops()(copy.copy(data))
    found, expected = (ATTACK(gp.NodeClassification(graph), 4) for graph in (looped, data))
    pd.testing.assert_frame_equal(found.flips, expected.flips)
    loops = {(node, node) for node in range(20)}
    assert codes(found.apply(looped).edge_index) == codes(found.apply(data).edge_index) | loops


@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.parametrize("sparse", [True, False])
def test_a_normalised_adjacency_is_refused(loops: bool, sparse: bool) -> None:
    data = citation_graph(20)
    found = ATTACK(gp.NodeClassification(data), 4)
    steps = [T.ToSparseTensor(layout=torch.sparse_csr)] if sparse and loops else []
    normalised = T.Compose([*steps, T.GCNNorm(add_self_loops=loops)])(copy.copy(data))
    for refused in (lambda: gp.NodeClassification(normalised), lambda: found.apply(normalised)):
        with pytest.raises((ValueError, TypeError), match=r"leave torch_geometric\S*GCNNorm out"):
            refused()
    assert T.GCNNorm()(found.apply(data)).edge_weight.numel() > 0


@pytest.mark.parametrize("merged", [False, True])
def test_reverse_types_made_before_or_after_are_the_same(merged: bool) -> None:
    data = interaction_graph()
    undirected = T.ToUndirected(merge=merged)(copy.copy(data))
    found = ATTACK(gp.Recommendation(undirected, gp.CF(dim=2), edge_type=KIND), 6)
    here, there = found.apply(undirected), T.ToUndirected(merge=merged)(found.apply(data))
    for kind in (KIND, REVERSE):
        assert codes(here[kind].edge_index) == codes(there[kind].edge_index)


class OneGraph(InMemoryDataset):
    """A data set of one graph, built as those of PyG are."""

    @property
    def processed_file_names(self) -> str:
        return "data.pt"

    def __init__(self, root: Path, **transforms: object) -> None:
        super().__init__(str(root), log=False, **transforms)
        self.load(self.processed_paths[0])

    def process(self) -> None:
        data = citation_graph()
        self.save(
            [self.pre_transform(data) if self.pre_transform else data], self.processed_paths[0]
        )


def test_a_perturbation_is_a_transform(tmp_path: Path) -> None:
    data = citation_graph()
    found = ATTACK(gp.NodeClassification(data), 6)
    found.save(tmp_path / "p.npz")
    before = frozen(data)
    for given_budget, flips in ((None, 6), (3, 3), (0.1, 2), (0, 0)):
        for source in (found, tmp_path / "p.npz", str(tmp_path / "p.npz")):
            transform = gp.ApplyPerturbation(source, given_budget)
            assert repr(transform) == f"ApplyPerturbation({flips} flips)"
            expected = found.prefix(flips).apply(data)
            assert torch.equal(transform(data).edge_index, expected.edge_index)
    assert_same(frozen(data), before)
    composed = T.Compose([T.NormalizeFeatures(), gp.ApplyPerturbation(found)])
    assert "ApplyPerturbation(6 flips)" in repr(composed)
    assert torch.equal(composed(data).edge_index, found.apply(data).edge_index)
    transform = gp.ApplyPerturbation(found)
    for number, way in enumerate(("transform", "pre_transform")):
        dataset = OneGraph(tmp_path / str(number), **{way: transform})
        for _ in range(2):  # each access has the clean graph to begin with
            assert torch.equal(dataset[0].edge_index, found.apply(data).edge_index)


def test_a_transform_lets_fake_users_join() -> None:
    data = interaction_graph()
    found = gp.NewUsers(3, ATTACK)(gp.Recommendation(data, gp.CF(dim=2)), 4)
    transform = T.Compose([gp.ApplyPerturbation(found, 2), T.ToUndirected()])
    assert "ApplyPerturbation(2 flips, 3 fake users)" in repr(transform)
    poisoned = transform(data)
    assert poisoned["user"].num_nodes == 10
    assert codes(poisoned[REVERSE].edge_index.flip(0)) == codes(poisoned[KIND].edge_index)
    assert data["user"].num_nodes == 7


def test_mistakes_with_transforms_are_named(tmp_path: Path) -> None:
    found = ATTACK(gp.NodeClassification(citation_graph()), 2)
    with pytest.raises(TypeError, match="must be a Perturbation or the path of a saved one"):
        gp.ApplyPerturbation(found.flips)
    with pytest.raises(ValueError, match="but 2 were made"):
        gp.ApplyPerturbation(found, 3)
    with pytest.raises(FileNotFoundError):
        gp.ApplyPerturbation(tmp_path / "nowhere.npz")
    with pytest.raises(TypeError, match="must be Data"):
        gp.ApplyPerturbation(found)(interaction_graph())


# --- What is left alone -----------------------------------------------------------------------


def shop(seed: int) -> HeteroData:
    """Three types of nodes, four of edges, one of them attacked, and attributes of all of them."""
    draw = torch.Generator().manual_seed(seed)

    def edges(sources: int, targets: int, count: int) -> Tensor:
        chosen = torch.randperm(sources * targets, generator=draw)[:count]
        return torch.stack([chosen // targets, chosen % targets])

    data = interaction_graph(seed=seed)
    data["user"].x = torch.rand(7, 3, generator=draw)
    data["user"].train_mask = torch.rand(7, generator=draw) < 0.5
    data["item"].price = torch.rand(9, generator=draw)
    data["tag"].num_nodes = 4
    data["tag"].names = ["a", "b", "c", "d"]
    rates, count = data[KIND], data[KIND].edge_index.size(1)
    rates.edge_attr = torch.rand(count, 2, generator=draw)
    rates.edge_weight = 2 + torch.rand(count, generator=draw)
    rates.recent_mask = torch.rand(count, generator=draw) < 0.5
    data = T.ToUndirected()(data)
    data[KIND].unit, data[KIND].scale = "stars", torch.tensor(5.0)
    follows = data["user", "follows", "user"]
    follows.edge_index, follows.since = edges(7, 7, count), torch.arange(count)
    data["item", "has", "tag"].edge_index = edges(9, 4, 11)
    data["item", "has", "tag"].edge_attr = torch.rand(11, 1, generator=draw)
    data.source, data.table = "made up", torch.arange(count)
    return data


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 40), fake=st.integers(0, 3), budget=st.integers(0, 12))
def test_everything_but_the_pairs_flipped_is_left_as_it_was(
    seed: int, fake: int, budget: int
) -> None:
    data = shop(seed)
    before = frozen(data)
    task = gp.Recommendation(data, gp.CF(dim=2), edge_type=KIND)
    attack = gp.RandomAttack(allow_removals=True)
    found = (gp.NewUsers(fake, attack) if fake else attack)(task, budget, seed)
    poisoned = gp.ApplyPerturbation(found)(data)
    assert_same(frozen(data), before)
    assert poisoned.validate()
    assert (poisoned.node_types, poisoned.edge_types) == (data.node_types, data.edge_types)
    flipped = codes(found.pairs)
    for store, clean in zip(poisoned.stores, data.stores, strict=True):
        if store._key in (KIND, REVERSE):
            assert_kept_in_step(store, clean, flipped)
        elif store._key == "user":
            assert store.num_nodes == 7 + fake
            for key in ("x", "train_mask"):
                assert torch.equal(store[key][:7], clean[key])
                assert not store[key][7:].any()
        else:
            assert list(store.keys()) == list(clean.keys())
            assert all(store[key] is clean[key] for key in clean.keys())  # noqa: SIM118


def assert_kept_in_step(
    store: BaseStorage, clean: BaseStorage, flipped: set[tuple[int, ...]]
) -> None:
    assert list(store.keys()) == list(clean.keys())
    turn = (lambda index: index.flip(0)) if store._key == REVERSE else (lambda index: index)
    new = {"edge_attr": [0.0, 0.0], "edge_weight": 1.0, "recent_mask": False}
    for key, value in new.items():
        old = by_pair(turn(clean.edge_index), clean[key])
        expected = {pair: what for pair, what in old.items() if pair not in flipped}
        expected |= {pair: value for pair in flipped if pair not in old}
        assert by_pair(turn(store.edge_index), store[key]) == expected
    for key in ("unseen_edge_index", "unseen_neg_edge_index", "unit", "scale"):
        assert key not in clean or store[key] is clean[key]


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 40), budget=st.integers(0, 10))
def test_attributes_of_a_citation_graph_are_left_as_they_were(seed: int, budget: int) -> None:
    data = citation_graph(seed=seed)
    data.edge_attr = torch.arange(data.num_edges).reshape(-1, 1)
    data.strong_mask = torch.arange(data.num_edges) % 2 == 0
    data.pos, data.title, data.level = torch.rand(14, 2), list("abcdefghijklmn"), 3
    before = frozen(data)
    found = gp.RandomAttack(allow_removals=True)(gp.NodeClassification(data), budget, seed)
    poisoned = gp.ApplyPerturbation(found)(data)
    assert_same(frozen(data), before)
    both = codes(found.pairs) | codes(found.pairs.flip(0))
    for key in data.keys():  # noqa: SIM118
        if key not in ("edge_index", "edge_attr", "strong_mask"):
            assert poisoned[key] is data[key], key
    for key, value in (("edge_attr", [0]), ("strong_mask", False)):
        old = by_pair(data.edge_index, data[key])
        expected = {pair: what for pair, what in old.items() if pair not in both}
        expected |= {pair: value for pair in both if pair not in old}
        assert by_pair(poisoned.edge_index, poisoned[key]) == expected


def test_modules_of_ones_own_beside_built_in_ones() -> None:
    data = citation_graph(20, dtype=torch.float32)

    class Own(nn.Module):
        def __init__(self, features: int = 24, classes: int = 3) -> None:
            super().__init__()
            self.model = GCN(features, 4, 2, classes)

        def forward(self, x: Tensor, edges: Tensor, weight: Tensor | None = None) -> Tensor:
            return self.model(x, edges, edge_weight=weight)

    with isolated_rng(0):
        surrogates = {"own": Own(), "built in": "linear-gcn"}
    for index in (data.edge_index, EdgeIndex(data.edge_index, is_undirected=True)):
        data.edge_index = index
        found = {
            name: ATTACK(gp.NodeClassification(data, surrogate), 4)
            for name, surrogate in surrogates.items()
        }
        own = gp.ModuleVictim(Own, "own", epochs=3)
        runs = gp.evaluate(data, found, [own, QUICK_GCN], seeds=[0]).runs
        assert len(runs) == 4
        assert runs["poisoned"].between(0, 1).all()
