"""Graphs as values: how PyG graphs are read, and that flips mean the same to both."""

import copy
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from conftest import citation_graph, interaction_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.data import Batch, Data, HeteroData
from torch_geometric.transforms import ToSparseTensor

import graphpoison as gp

KIND, BACK = ("user", "rates", "item"), ("item", "rev_rates", "user")
PARTS = ("edge_index", "neg_edge_index", "unseen_edge_index", "unseen_neg_edge_index")
SEEDS = st.integers(0, 999)
FORMS = st.sampled_from(["edge_index", "EdgeIndex", "sparse_csr", "sparse_coo"])
FEATURES = st.sampled_from([torch.float64, torch.float32, torch.int64, torch.bool, "sparse"])
ATTACK = gp.RandomAttack(allow_removals=True)


def assert_same(found: Any, expected: Any, but: tuple[str, ...] = ()) -> None:
    """Two values agree in every field, those named in ``but`` aside."""
    assert type(found) is type(expected)
    for name in (field.name for field in fields(expected) if field.name not in but):
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert type(ours) is type(theirs), name
        if isinstance(theirs, Tensor):
            assert ours.dtype == theirs.dtype, name
            assert torch.equal(ours, theirs), name
        else:
            assert ours == theirs, name


def frozen(data: Data | HeteroData) -> list[dict[str, object]]:
    """Everything in ``data``, copied."""
    return [
        {key: value.clone() if isinstance(value, Tensor) else value for key, value in store.items()}
        for store in data.stores
    ]


def assert_unchanged(data: Data | HeteroData, before: list[dict[str, object]]) -> None:
    for store, known in zip(data.stores, before, strict=True):
        assert list(store.keys()) == list(known.keys())
        for key, value in known.items():
            assert type(store[key]) is type(value), key
            if isinstance(value, Tensor):
                assert torch.equal(plain(store[key]), plain(value)), key
            else:
                assert store[key] == value, key


def plain(tensor: Tensor) -> Tensor:
    return tensor.as_tensor() if isinstance(tensor, EdgeIndex) else tensor.to_dense()


def assert_sorted(index: Tensor, num_targets: int) -> None:
    """The pairs are sorted by (source, target), and each is there once."""
    assert index.dtype == torch.int64
    assert bool((index[0] * num_targets + index[1]).diff().gt(0).all())


def weighted(data: Data, seed: int) -> Data:
    """``data`` with weights that differ from edge to edge, the same in both directions."""
    weight = 2 + torch.rand(2 * (data.num_nodes,), generator=torch.Generator().manual_seed(seed))
    data.edge_weight = torch.maximum(weight, weight.t())[tuple(data.edge_index)]
    return data


def disordered(index: Tensor, seed: int) -> Tensor:
    """Places of the columns of ``index`` in a random order, some of them twice."""
    draw = torch.Generator().manual_seed(seed)
    count = index.size(1)
    again = (torch.rand(count, generator=draw) < 0.3).nonzero().squeeze(1)
    places = torch.cat([torch.arange(count), again])
    return places[torch.randperm(places.numel(), generator=draw)]


def in_disorder(data: Data, seed: int) -> Data:
    """The same graph with its edges shuffled, some repeated, and with self-loops."""
    other, places = copy.copy(data), disordered(data.edge_index, seed)
    loops = torch.arange(0, data.num_nodes, 3).expand(2, -1)
    other.edge_index = torch.cat([loops, data.edge_index[:, places]], dim=1)
    if data.edge_weight is not None:
        other.edge_weight = torch.cat([torch.full((loops.size(1),), 3.5), data.edge_weight[places]])
    return other


def in_form(data: Data | HeteroData, form: str) -> Data | HeteroData:
    """A copy with its edges as an ``EdgeIndex`` or as a sparse ``adj_t``."""
    data = copy.copy(data)
    if form == "edge_index":
        return data
    if form != "EdgeIndex":
        return ToSparseTensor(attr="edge_weight", layout=getattr(torch, form))(data)
    for store in data.edge_stores:
        size = store.size() if store._key else (data.num_nodes, data.num_nodes)
        store.edge_index = EdgeIndex(store.edge_index, sparse_size=size)
    return data


def shop(seed: int, negatives: str, reverse: bool, ids: bool) -> HeteroData:
    """Interactions whose negatives are listed, labelled or left out."""
    data = interaction_graph(seed=seed)
    store = data[KIND]
    if ids:
        data["user"].raw_id, data["item"].raw_id = list("abcdefg"), torch.arange(9) + 40
    if negatives != "listed":
        absent = store.neg_edge_index
        for part in PARTS[1:]:
            del store[part]
    if negatives == "labelled":
        store.edge_label_index = torch.cat([store.edge_index, absent], dim=1)
        store.edge_label = (torch.arange(38) < 20).float()
    if reverse:
        data[BACK].edge_index = store.edge_index.flip(0)
    return data


SHOPS = {
    "negatives": st.sampled_from(["listed", "labelled", "none"]),
    "reverse": st.booleans(),
    "ids": st.booleans(),
}


# --- Reading ----------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(num_nodes=st.integers(3, 14), seed=SEEDS, form=FORMS, weights=st.booleans())
def test_a_graph_of_nodes_is_read_alike_in_whatever_order(
    num_nodes: int, seed: int, form: str, weights: bool
) -> None:
    data = citation_graph(num_nodes, seed)
    data = weighted(data, seed) if weights else data
    expected = gp.read_graph(data)
    assert_sorted(expected.edge_index, num_nodes)
    assert torch.equal(expected.edge_index, data.edge_index)  # which is sorted, in both directions
    assert (expected.edge_weight is None) is not weights
    if weights:
        assert torch.equal(expected.edge_weight, data.edge_weight)
    assert_same(gp.read_graph(in_form(data, form)), expected)
    assert_same(gp.read_graph(in_disorder(data, seed)), expected)
    forward = expected.edge_index[0] < expected.edge_index[1]
    assert torch.equal(expected.pairs, data.edge_index[:, forward])
    assert_same(expected.with_pairs(expected.pairs, expected.pair_weight), expected)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, form=FORMS, listed=st.booleans())
def test_interactions_are_read_alike_in_whatever_order(seed: int, form: str, listed: bool) -> None:
    data = interaction_graph(seed=seed)
    if not listed:
        del data[KIND].neg_edge_index
    expected = gp.read_graph(data)
    names = ("edge_index", "negatives", "unseen", "unseen_negatives")
    for part, name in zip(PARTS, names, strict=True):
        found = getattr(expected, name)
        if part not in data[KIND]:
            assert found is None
            continue
        assert torch.equal(found, data[KIND][part])
        assert_sorted(found, 9)
    assert_same(gp.read_graph(in_form(data, form)), expected)
    other = copy.copy(data)
    for number, part in enumerate(PARTS):
        if part in other[KIND]:
            index = other[KIND][part]
            other[KIND][part] = index[:, disordered(index, seed + number)]
    assert_same(gp.read_graph(other), expected)
    assert_same(gp.read_graph(other, KIND), expected)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, form=FORMS, features=FEATURES)
def test_features_are_read_dense_and_of_floating_point(
    seed: int, form: str, features: torch.dtype | str
) -> None:
    data = citation_graph(seed=seed)
    expected = gp.read_graph(data)
    data.x = data.x.to_sparse() if features == "sparse" else data.x.to(features)
    found = gp.read_graph(in_form(data, form))
    assert found.x.is_floating_point()
    assert found.x.layout == torch.strided
    assert_same(replace(found, x=found.x.double()), expected)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, form=FORMS, weights=st.booleans())
def test_reading_and_poisoning_leave_a_graph_of_nodes_as_it_was(
    seed: int, form: str, weights: bool
) -> None:
    data = citation_graph(seed=seed)
    data = in_form(weighted(data, seed) if weights else data, form)
    before = frozen(data)
    value = gp.read_graph(data)
    kept = replace(value, x=value.x.clone(), edge_index=value.edge_index.clone())
    found = ATTACK(gp.NodeClassification(data, feature_candidates="all"), 9, seed)
    found.apply(data)
    found.apply(value)
    gp.NodeClassification(value)
    assert_unchanged(data, before)
    assert_same(value, kept)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, form=FORMS, fake=st.integers(0, 2), **SHOPS)
def test_reading_and_poisoning_leave_interactions_as_they_were(
    seed: int, form: str, fake: int, negatives: str, reverse: bool, ids: bool
) -> None:
    data = in_form(shop(seed, negatives, reverse, ids), form)
    before = frozen(data)
    value = gp.read_graph(data)
    kept = replace(value, edge_index=value.edge_index.clone())
    found = attack_of(fake)(gp.Recommendation(data, gp.CF(dim=2)), 6, seed)
    found.apply(data)
    found.apply(value)
    value.with_negatives(seed)
    assert_unchanged(data, before)
    assert_same(value, kept)


# --- Flips ------------------------------------------------------------------------------------


def attack_of(fake: int) -> gp.Attack | gp.NewUsers:
    return gp.NewUsers(fake, ATTACK) if fake else ATTACK


@settings(max_examples=60, deadline=None)
@given(
    seed=SEEDS,
    budget=st.integers(0, 30),
    form=FORMS,
    weights=st.booleans(),
    layout=FEATURES,
    flipped=st.sampled_from(["edges", "features", "both"]),
    disorder=st.booleans(),
)
def test_a_poisoned_value_is_the_value_of_the_poisoned_data(
    seed: int,
    budget: int,
    form: str,
    weights: bool,
    layout: torch.dtype | str,
    flipped: str,
    disorder: bool,
) -> None:
    data = citation_graph(seed=seed)
    data.x = data.x.to_sparse() if layout == "sparse" else data.x.to(layout)
    data = weighted(data, seed) if weights else data
    data = in_disorder(data, seed) if disorder and form == "edge_index" else in_form(data, form)
    task = gp.NodeClassification(
        data,
        candidates=None if flipped == "features" else "all",
        feature_candidates=None if flipped == "edges" else "all",
    )
    found = ATTACK(task, budget, seed)
    value = gp.read_graph(data)
    poisoned = found.apply(value)
    assert_same(poisoned, gp.read_graph(found.apply(data)))
    assert_sorted(poisoned.edge_index, value.num_nodes)
    if not weights:  # a removed edge that is put back has weight 1
        assert_same(found.apply(poisoned), value)
    edges, features = ("edge_index", "edge_weight"), ("x",)
    assert_same(
        poisoned,
        value,
        but={"edges": edges, "features": features, "both": edges + features}[flipped],
    )


@settings(max_examples=60, deadline=None)
@given(
    seed=SEEDS,
    budget=st.integers(0, 12),
    form=FORMS,
    fake=st.integers(0, 3),
    every=st.booleans(),
    **SHOPS,
)
def test_poisoned_interactions_are_those_of_the_poisoned_data(
    seed: int,
    budget: int,
    form: str,
    fake: int,
    every: bool,
    negatives: str,
    reverse: bool,
    ids: bool,
) -> None:
    data = in_form(shop(seed, negatives, reverse, ids), form)
    candidates = "all" if every and not fake else "sampled"
    found = attack_of(fake)(
        gp.Recommendation(data, gp.CF(dim=2), candidates=candidates), budget, seed
    )
    value = gp.read_graph(data)
    poisoned, again = found.apply(value), gp.read_graph(found.apply(data))
    assert_same(poisoned, again, but=("fake_users",))
    assert poisoned.fake_users is found.fake_users
    assert again.fake_users is None
    assert (poisoned.num_users, poisoned.num_real_users) == (7 + fake, 7)
    assert (poisoned.negatives is None) is (negatives == "none")
    for index in (poisoned.edge_index, poisoned.negatives):
        if index is not None:
            assert_sorted(index, 9)
    if not fake and not every:
        assert_same(found.apply(poisoned), value)


# --- Graphs that were read before, and data that cannot be read --------------------------------


@pytest.mark.parametrize("data", [citation_graph(), interaction_graph()])
def test_a_value_passes_through(data: Data | HeteroData) -> None:
    value = gp.read_graph(data)
    assert gp.read_graph(value) is value
    task = gp.NodeClassification if isinstance(data, Data) else gp.Recommendation
    found, theirs = (ATTACK(task(graph), 4) for graph in (value, data))
    assert found.flips.equals(theirs.flips)
    assert found.meta == theirs.meta
    runs = [gp.evaluate(graph, found, seeds=[0]).runs for graph in (value, data)]
    assert runs[0].equals(runs[1])


def test_a_value_of_the_edge_type_asked_for_passes_through() -> None:
    value = gp.read_graph(interaction_graph())
    assert gp.read_graph(value, KIND) is value
    assert gp.read_graph(value, list(KIND)) is value  # type: ignore[call-overload]


@pytest.mark.parametrize("read", [True, False])
@pytest.mark.parametrize(
    "edge_type", [("user", "likes", "item"), BACK, ("user", "rates"), "rates", "abc", 3, (), [1]]
)
def test_other_edge_types_are_named(edge_type: Any, read: bool) -> None:
    data = interaction_graph()
    graph = gp.read_graph(data) if read else data
    for build in (gp.read_graph, lambda graph, kind: gp.Recommendation(graph, edge_type=kind)):
        with pytest.raises((TypeError, ValueError), match="edge_type="):
            build(graph, edge_type)


@pytest.mark.parametrize("read", [True, False])
def test_graphs_of_nodes_have_no_edge_type(read: bool) -> None:
    data = citation_graph()
    with pytest.raises(ValueError, match="edge_type is for graphs of interactions"):
        gp.read_graph(gp.read_graph(data) if read else data, KIND)


def test_an_edge_type_that_is_missing_or_not_bipartite_is_named() -> None:
    with pytest.raises(ValueError, match="edge_type must be given"):
        gp.read_graph(HeteroData())
    with pytest.raises(ValueError, match="edge_type='rates' must be three names"):
        gp.read_graph(HeteroData(), "rates")  # type: ignore[call-overload]
    data = interaction_graph()
    data["user", "knows", "user"].edge_index = torch.tensor([[0], [1]])
    with pytest.raises(ValueError, match="edge_type must be given"):
        gp.read_graph(data)
    with pytest.raises(ValueError, match=r"edge_type=\('user', 'knows', 'user'\) is not bipartite"):
        gp.read_graph(data, ("user", "knows", "user"))


def test_flips_are_made_in_their_own_edge_type_alone() -> None:
    data = interaction_graph()
    found = ATTACK(gp.Recommendation(data), 2)
    other = replace(gp.read_graph(data), edge_type=("user", "likes", "item"))
    with pytest.raises(
        ValueError, match=r"perturbation is of edge type \(.user., .rates., .item.\)"
    ):
        found.apply(other)


def test_as_many_negatives_as_edges_stay_apart_in_a_sparse_graph() -> None:
    data = HeteroData({"user": {"num_nodes": 5}, "item": {"num_nodes": 5}})
    data[KIND].edge_index = torch.stack([torch.arange(5), torch.arange(5)])
    data = ToSparseTensor()(data)
    data[KIND].neg_edge_index = torch.tensor([[0, 1, 2, 3, 4, 0, 1], [1, 2, 3, 4, 0, 3, 4]])
    found = gp.RandomAttack()(gp.Recommendation(data, gp.CF(dim=2)), 1)
    poisoned = found.apply(data)
    assert poisoned[KIND].neg_edge_index.size(1) == 6
    assert gp.read_graph(poisoned).edge_index.size(1) == 6
    assert_same(found.apply(gp.read_graph(data)), gp.read_graph(poisoned))


def test_ids_in_a_tensor_are_read_as_numbers() -> None:
    data = interaction_graph()
    data["user"].raw_id = torch.arange(data["user"].num_nodes) + 100
    assert gp.read_graph(data).user_ids[:2] == ("100", "101")


def test_a_batch_of_several_graphs_is_not_evaluated() -> None:
    data = citation_graph()
    found = ATTACK(gp.NodeClassification(data), 2)
    with pytest.raises(TypeError, match="data is a Batch of several graphs"):
        gp.evaluate(Batch.from_data_list([data, data]), found, seeds=[0])


@pytest.mark.parametrize("data", [citation_graph(), interaction_graph()])
def test_flips_that_do_not_fit_are_refused_before_training(data: Data | HeteroData) -> None:
    task = gp.NodeClassification if isinstance(data, Data) else gp.Recommendation
    clean = gp.read_graph(data)
    found = gp.RandomAttack()(task(clean), 3)
    once = replace(found, flips=found.flips[:1], meta={**found.meta, "edges": "other"})
    both = {"fits": found, "fits not": replace(found, meta=once.meta)}
    with pytest.raises(ValueError, match="1 of 3 flips do not fit this graph"):
        gp.evaluate(once.apply(clean), both, victims=[_Untrained()], seeds=[0])


class _Untrained(gp.Victim):
    name = "untrained"

    def fit(self, graph: Any, seed: int) -> Any:
        raise AssertionError("nothing is to be trained")


@pytest.mark.parametrize(
    "graph", [None, 3, "cora", torch.zeros(2, 4), {"x": 1}, [citation_graph()]]
)
def test_other_objects_are_no_graphs(graph: Any) -> None:
    name = type(graph).__name__
    for build in (gp.read_graph, gp.NodeClassification, gp.Recommendation):
        with pytest.raises(TypeError, match=rf"^data must be .*, found {name}\."):
            build(graph)


def test_graphs_of_the_other_kind_are_refused() -> None:
    data, bipartite = citation_graph(), interaction_graph()
    for graph in (data, gp.read_graph(data)):
        with pytest.raises(TypeError, match=r"^data must be a torch_geometric HeteroData"):
            gp.Recommendation(graph)
    for graph in (bipartite, gp.read_graph(bipartite)):
        with pytest.raises(TypeError, match=r"^data must be a torch_geometric Data"):
            gp.NodeClassification(graph)
    found = ATTACK(gp.NodeClassification(data), 2)
    theirs = ATTACK(gp.Recommendation(bipartite), 2)
    for graph in (bipartite, gp.read_graph(bipartite)):
        with pytest.raises(TypeError, match=r"^data must be Data"):
            found.apply(graph)
    for graph in (data, gp.read_graph(data)):
        with pytest.raises(TypeError, match=r"^data must be HeteroData"):
            theirs.apply(graph)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("x", [[1.0]] * 14, TypeError),
        ("x", torch.ones(14), ValueError),
        ("x", torch.ones(13, 4), ValueError),
        ("y", None, TypeError),
        ("y", [0] * 14, TypeError),
        ("y", torch.zeros(13, dtype=torch.long), ValueError),
        ("edge_index", None, TypeError),
        ("edge_index", [[0, 1], [1, 0]], TypeError),
        ("edge_index", torch.tensor([[0.0, 1.0], [1.0, 0.0]]), ValueError),
        ("edge_index", torch.zeros(3, 2, dtype=torch.long), ValueError),
        ("edge_index", torch.tensor([[0, 14], [14, 0]]), ValueError),
        ("edge_index", torch.tensor([[0, -1], [-1, 0]]), ValueError),
        ("edge_weight", [1.0], TypeError),
        ("edge_weight", torch.ones(3), ValueError),
        ("train_mask", [True] * 14, TypeError),
        ("val_mask", torch.ones(13, dtype=torch.bool), ValueError),
        ("test_mask", torch.ones(14), ValueError),
    ],
)
def test_parts_of_a_graph_of_nodes_that_are_wrong_are_named(
    name: str, value: Any, error: type[Exception]
) -> None:
    data = citation_graph()
    data.num_nodes = 14
    data[name] = value
    message = "neither edge_index nor" if name == "edge_index" and value is None else f"data.{name}"
    with pytest.raises(error, match=message):
        gp.read_graph(data)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    ("value", "error"),
    [
        ([[0], [1]], TypeError),
        (torch.tensor([[0.5], [1.0]]), ValueError),
        (torch.tensor([[7], [0]]), ValueError),
        (torch.tensor([[0], [9]]), ValueError),
        (torch.tensor([0, 1]), ValueError),
    ],
)
def test_parts_of_interactions_that_are_wrong_are_named(
    part: str, value: Any, error: type[Exception]
) -> None:
    data = interaction_graph()
    data[KIND][part] = value
    with pytest.raises(error, match=rf"^data\[.*\]\.{part} "):
        gp.read_graph(data)
