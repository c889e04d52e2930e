"""Small graphs that the tests share, and the switch to real data."""

import os
from pathlib import Path

import pytest
import reference
import torch
from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import GCNConv

import graphpoison as gp

torch.set_num_threads(1)


def citation_graph(
    num_nodes: int = 14,
    seed: int = 0,
    num_features: int = 24,
    density: float = 0.1,
    dtype: torch.dtype = torch.float64,
) -> Data:
    """A random connected graph with three classes and sparse features."""
    draw = torch.Generator().manual_seed(seed)
    upper = torch.rand(num_nodes, num_nodes, generator=draw).triu(1) > 0.8
    ring = torch.arange(num_nodes)
    upper[ring[:-1], ring[1:]] = True
    adjacency = upper | upper.t()
    words = torch.rand(num_nodes, num_features, generator=draw) < density
    words[ring, ring % num_features] = True
    mask = torch.zeros(3, num_nodes, dtype=torch.bool)
    order = torch.randperm(num_nodes, generator=draw)
    third = num_nodes // 3
    for row, start in zip(mask, (0, third, 2 * third), strict=True):
        row[order[start : start + third]] = True
    return Data(
        x=words.to(dtype),
        edge_index=adjacency.nonzero().t().contiguous(),
        y=torch.randint(3, (num_nodes,), generator=draw).clamp(max=2),
        train_mask=mask[0],
        val_mask=mask[1],
        test_mask=mask[2],
    )


def interaction_graph(
    users: int = 7, items: int = 9, seed: int = 0, positives: int = 20, negatives: int = 18
) -> HeteroData:
    """Random interactions, sampled negatives and an unseen part, all disjoint and sorted."""
    draw = torch.Generator().manual_seed(seed)
    codes = torch.randperm(users * items, generator=draw)

    def pairs(start: int, count: int) -> torch.Tensor:
        chosen = codes[start : start + count].sort().values
        return torch.stack([chosen // items, chosen % items])

    data = HeteroData()
    data["user"].num_nodes, data["item"].num_nodes = users, items
    store = data["user", "rates", "item"]
    store.edge_index = pairs(0, positives)
    store.neg_edge_index = pairs(positives, negatives)
    store.unseen_edge_index = pairs(positives + negatives, 6)
    store.unseen_neg_edge_index = pairs(positives + negatives + 6, 6)
    return data


class Scores(nn.Module):
    """A factorisation with room for ``users``, as a module of somebody's own."""

    def __init__(self, users: int) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(users, 3), nn.Embedding(9, 3)

    def scores(self, pairs: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        return (self.users(pairs[0]) * self.items(pairs[1])).sum(dim=1)


class OwnGCN(nn.Module):
    """A two-layer GCN with tanh, as a module of somebody's own, for :func:`citation_graph`."""

    def __init__(self, hidden: int = 4) -> None:
        super().__init__()
        self.first, self.second = GCNConv(24, hidden), GCNConv(hidden, 3)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        hidden = self.first(x, edge_index, edge_weight).tanh()
        return self.second(hidden, edge_index, edge_weight)


def assert_flips(
    found: gp.Perturbation, expected: list[reference.Flip], kinds: list[str] | None = None
) -> None:
    """The flips of ``found`` are those of the reference, with scores and attack losses.

    ``kinds`` says of each whether it is of an ``"edge"`` or of a ``"feature"``; edges by default.
    """
    table = found.flips
    assert [*zip(table["source"], table["target"], table["added"], strict=True)] == [
        flip[:3] for flip in expected
    ]
    assert table["kind"].tolist() == (kinds or ["edge"] * len(expected))
    assert table["score"].tolist() == pytest.approx([flip[3] for flip in expected], rel=1e-6)
    assert table["attack_loss"].tolist() == pytest.approx([flip[4] for flip in expected])


@pytest.fixture
def citation() -> Data:
    return citation_graph()


@pytest.fixture
def interactions() -> HeteroData:
    return interaction_graph()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets; tests that need it are skipped where it is not named."""
    folder = os.environ.get("GRAPHPOISON_DATA")
    if not folder:
        pytest.skip("GRAPHPOISON_DATA is not set: no real data to test on")
    return Path(folder)
