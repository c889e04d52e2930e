"""Pairs, conversions from and to PyG, negatives, and the search in factored gradients."""

import copy

import numpy as np
import pytest
import torch
from conftest import citation_graph, interaction_graph
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.transforms import ToSparseTensor
from torch_geometric.utils import to_dense_adj

import graphpoison as gp
from graphpoison.graphs import PairState, normalised_adjacency
from graphpoison.graphs.adjacency import with_edge_index
from graphpoison.graphs.sampling import sample_pairs
from graphpoison.graphs.writing import reverse_edge_types
from graphpoison.sparse import FactoredGradient
from graphpoison.sparse.factored import Matrix


def state_of(data: Data, *, implicit_candidates: bool = False) -> PairState:
    graph = gp.read_graph(data)
    return PairState.build(
        graph.pairs,
        graph.pairs.new_empty(2, 0),
        graph.shape,
        bipartite=False,
        implicit_candidates=implicit_candidates,
    )


def nodes(edge_index: list[list[int]]) -> Data:
    """A graph of three nodes."""
    labels = torch.tensor([0, 1, 0])
    return Data(x=torch.eye(3), y=labels, edge_index=torch.tensor(edge_index))


def test_each_undirected_pair_is_stored_once() -> None:
    data = nodes([[0, 1, 1, 0, 2, 2, 1], [1, 0, 0, 1, 2, 1, 2]])
    assert gp.read_graph(data).pairs.tolist() == [[0, 1], [1, 2]]


def test_a_directed_graph_is_refused() -> None:
    with pytest.raises(ValueError, match=r"2 edges have no counterpart.*ToUndirected"):
        gp.read_graph(nodes([[0, 1], [1, 2]]))


def test_nodes_out_of_range_are_named() -> None:
    with pytest.raises(ValueError, match="from 0 to 5, but the graph has 3"):
        gp.read_graph(nodes([[0, 5], [5, 0]]))


def test_normalised_adjacency_is_that_of_pyg() -> None:
    data = citation_graph()
    state = state_of(data)
    ours = normalised_adjacency(state, state.weight.double())
    dense = torch.zeros(ours.pattern.shape, dtype=torch.float64)
    dense[ours.pattern.row, ours.pattern.col] = ours.values
    index, weight = gcn_norm(data.edge_index, None, data.num_nodes, dtype=torch.float64)
    torch.testing.assert_close(dense, to_dense_adj(index, edge_attr=weight)[0])


def test_flipping_lists_new_pairs_only_where_all_are_candidates() -> None:
    state = state_of(citation_graph(), implicit_candidates=True)
    pair = torch.tensor([[0], [13]])
    present = state.index[:, :1]
    flipped = state.flip(torch.cat([pair, present], dim=1))
    assert flipped.num_listed == state.num_listed + 1
    assert flipped.weight[flipped.locate(pair)].item() == 1
    assert flipped.weight[flipped.locate(present)].item() == 0
    assert int(flipped.flipped.sum()) == 2
    assert bool((flipped.pattern.codes.diff() > 0).all())
    with pytest.raises(ValueError, match="not candidates"):
        state_of(citation_graph()).flip(pair)


def test_degrees_follow_the_weights() -> None:
    state = state_of(citation_graph(), implicit_candidates=True)
    pair = torch.tensor([[0], [13]])
    before, after = state.degrees[0], state.flip(pair).degrees[0]
    assert (after - before).nonzero().flatten().tolist() == [0, 13]


def test_interactions_are_read_sorted_and_once(interactions: HeteroData) -> None:
    kind = ("user", "rates", "item")
    clean = interactions[kind].edge_index
    shuffled = torch.randperm(clean.size(1))
    interactions[kind].edge_index = torch.cat([clean[:, shuffled], clean[:, :3]], dim=1)
    found = gp.read_graph(interactions)
    assert torch.equal(found.edge_index, clean)
    assert found.edge_type == kind
    assert found.shape == (7, 9)


def test_overlapping_negatives_are_refused(interactions: HeteroData) -> None:
    store = interactions["user", "rates", "item"]
    store.neg_edge_index = torch.cat([store.neg_edge_index, store.edge_index[:, :2]], dim=1)
    with pytest.raises(ValueError, match="2 pairs of neg_edge_index are also in edge_index"):
        gp.read_graph(interactions)


def test_the_edge_type_must_be_bipartite_and_present(interactions: HeteroData) -> None:
    with pytest.raises(ValueError, match="not in data"):
        gp.read_graph(interactions, ("user", "likes", "item"))
    interactions["user", "knows", "user"].edge_index = torch.tensor([[0], [1]])
    with pytest.raises(ValueError, match="edge_type must be given"):
        gp.read_graph(interactions)
    with pytest.raises(ValueError, match="not bipartite"):
        gp.read_graph(interactions, ("user", "knows", "user"))


def test_reverse_edge_types_are_found_by_their_edges(interactions: HeteroData) -> None:
    kind = ("user", "rates", "item")
    index = interactions[kind].edge_index
    interactions["item", "rated_by", "user"].edge_index = index.flip(0)
    interactions["item", "liked_by", "user"].edge_index = index.flip(0)[:, 1:]
    assert reverse_edge_types(interactions, kind) == [("item", "rated_by", "user")]


@given(
    rows=st.integers(2, 9),
    cols=st.integers(2, 9),
    share=st.floats(0, 1),
    want=st.floats(0, 1),
    upper=st.booleans(),
    seed=st.integers(0, 50),
)
def test_negatives_are_free_distinct_and_seeded(
    rows: int, cols: int, share: float, want: float, upper: bool, seed: int
) -> None:
    cols = rows if upper else cols
    draw = torch.Generator().manual_seed(seed)
    every = torch.ones(rows, cols).triu(1 if upper else -rows).nonzero()
    order = torch.randperm(every.size(0), generator=draw)
    occupied = every[order[: int(share * every.size(0))]].t()
    count = int(want * (every.size(0) - occupied.size(1)))

    def sample() -> torch.Tensor:
        fresh = np.random.default_rng(seed)
        return sample_pairs((rows, cols), count, occupied, fresh, upper=upper)

    found = sample()
    codes = found[0] * cols + found[1]
    assert codes.unique().numel() == count == found.size(1)
    assert not torch.isin(codes, occupied[0] * cols + occupied[1]).any()
    assert not upper or bool((found[0] < found[1]).all())
    assert torch.equal(found, sample())


def test_negatives_are_uniform() -> None:
    counts = torch.zeros(6, 6)
    occupied = torch.tensor([[0, 3], [1, 3]])
    draw = np.random.default_rng(0)
    for _ in range(2000):
        row, col = sample_pairs((6, 6), 5, occupied, draw)
        counts[row, col] += 1
    assert counts[0, 1] == counts[3, 3] == 0
    expected = 2000 * 5 / 34
    free = counts[counts > 0]
    assert free.numel() == 34
    chi_squared = ((free - expected) ** 2 / expected).sum()
    assert chi_squared < 64.0  # 33 degrees of freedom, p = 0.001


def test_more_negatives_than_free_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="only 3 of the 4 pairs"):
        sample_pairs((2, 2), 4, torch.tensor([[0], [0]]), np.random.default_rng(0))


@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize("count", [5, 300])
def test_values_of_few_and_of_many_pairs_are_those_of_the_matrix(
    upper: bool, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphpoison.sparse.factored.TILE_ENTRIES", 64)
    draw = torch.Generator().manual_seed(count)
    left, right = (torch.randn(30, 4, generator=draw, dtype=torch.float64) for _ in range(2))
    more = Matrix(torch.randn(30, 30, generator=draw, dtype=torch.float64))
    pairs = torch.triu_indices(30, 30, 1) if upper else torch.ones(30, 30).nonzero().t()
    pairs = pairs[:, torch.randperm(pairs.size(1), generator=draw)[:count]]
    found = FactoredGradient(left, right, upper, more).at(pairs)
    expected = left @ right.t() + more.values
    torch.testing.assert_close(found, expected[pairs[0], pairs[1]])


def test_bipartite_states_count_all_pairs() -> None:
    found = gp.read_graph(interaction_graph())
    assert found.negatives is not None
    state = found.training_pairs
    assert (state.num_listed, state.num_pairs, state.num_edges) == (38, 38, 20)
    degrees = state.degrees
    assert int(degrees[0].sum()) == int(degrees[1].sum()) == 20


@pytest.mark.parametrize("layout", ["SparseTensor", torch.sparse_csr, torch.sparse_coo])
@pytest.mark.parametrize("bipartite", [False, True])
def test_sparse_adjacencies_are_graphs_too(layout: str | torch.layout, bipartite: bool) -> None:
    if layout == "SparseTensor":
        pytest.importorskip("torch_sparse")
    data = interaction_graph() if bipartite else citation_graph()
    transform = ToSparseTensor(layout=None if layout == "SparseTensor" else layout)
    sparse = transform(copy.copy(data))
    assert (sparse["user", "rates", "item"] if bipartite else sparse).get("edge_index") is None
    make = gp.Recommendation if bipartite else gp.NodeClassification
    attack = gp.MetaAttack(gp.Training(steps=3))
    found = attack(make(sparse), 4)
    assert found.flips.equals(attack(make(data), 4).flips)
    poisoned = found.apply(sparse)
    assert [store.get("edge_index") for store in poisoned.edge_stores] == [None]
    again = with_edge_index(poisoned)
    for ours, theirs in zip(again.edge_stores, found.apply(data).edge_stores, strict=True):
        there = {tuple(pair) for pair in theirs["edge_index"].t().tolist()}
        assert {tuple(pair) for pair in ours["edge_index"].t().tolist()} == there
