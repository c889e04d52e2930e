"""Features, labels and masks: what attacks take, victims take too, and mistakes are named."""

from typing import Any

import pytest
import torch
from conftest import citation_graph
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv

import graphpoison as gp


def evaluated(data: Data, victim: Any = "gcn") -> list[float]:
    flips = gp.RandomAttack()(gp.NodeClassification(data, objective="train"), 2)
    table = gp.evaluate(data, flips, [victim], seeds=[0]).table
    return table[["clean", "poisoned"]].iloc[0].tolist()


def logits(victim: gp.Victim, data: Data) -> Tensor:
    found: Tensor = victim.fit(gp.read_graph(data), seed=0).logits()
    return found


@pytest.mark.parametrize("kind", ["no mask", "empty mask"])
def test_without_validation_nodes_the_last_epoch_is_kept(kind: str) -> None:
    data = citation_graph(30, dtype=torch.float32)
    data.val_mask = torch.zeros_like(data.val_mask) if kind == "empty mask" else None
    victim = gp.ModuleVictim(SmallGCN, "small", epochs=30)
    found = logits(victim, data)
    shorter = gp.ModuleVictim(SmallGCN, "small", epochs=29)
    assert not torch.equal(found, logits(shorter, data))
    validated = data.clone()
    validated.val_mask = None
    assert torch.equal(found, logits(victim, validated))


def change(data: Data, name: str, value: Tensor | None) -> Data:
    data = data.clone()
    data[name] = value
    return data


@pytest.mark.parametrize(
    ("name", "turn"),
    [
        ("x", lambda x: x.to(torch.int64)),
        ("x", lambda x: x.bool()),
        ("x", lambda x: x.to_sparse()),
        ("x", lambda x: x.to_sparse_csr()),
        ("y", lambda y: y.unsqueeze(1)),
        ("y", lambda y: y.int()),
    ],
)
def test_what_can_be_attacked_can_be_evaluated(name: str, turn: Any) -> None:
    data = citation_graph(dtype=torch.float32)
    changed = change(data, name, turn(data[name]))
    assert evaluated(changed) == evaluated(data)


@pytest.mark.parametrize(
    ("name", "turn", "message"),
    [
        ("test_mask", Tensor.int, r"data.test_mask must be a BoolTensor \[14\], found torch.int32"),
        ("test_mask", torch.zeros_like, "data.test_mask sets no node"),
        ("val_mask", Tensor.nonzero, "data.val_mask must be a BoolTensor"),
        ("train_mask", torch.zeros_like, "data.train_mask sets no node"),
        ("train_mask", lambda mask: mask.nonzero()[:, 0], r"found torch.int64 \(4,\)"),
        ("train_mask", lambda mask: torch.stack([mask, mask], 1), "several splits: choose one"),
        ("x", lambda x: x.clone().fill_(torch.nan), "data.x has 336 entries that are not finite"),
        ("y", lambda y: 0 * y - 1, "data.y is -1 for a node in data.train_mask"),
        ("y", lambda y: y.float(), "data.y must be integer labels"),
    ],
)
def test_what_is_wrong_is_named(name: str, turn: Any, message: str) -> None:
    data = citation_graph(dtype=torch.float32)
    flips = gp.RandomAttack()(gp.NodeClassification(data), 2)
    wrong = change(data, name, turn(data[name]))
    with pytest.raises(ValueError, match=message):
        gp.evaluate(wrong, flips, seeds=[0])
    if name in ("train_mask", "x", "y"):
        with pytest.raises(ValueError, match=message):
            gp.NodeClassification(wrong)


def test_what_is_missing_is_named() -> None:
    data = citation_graph()
    with pytest.raises(TypeError, match=r"data.train_mask is missing"):
        gp.NodeClassification(change(data, "train_mask", None))
    with pytest.raises(TypeError, match=r"data.y is missing"):
        gp.read_graph(change(data, "y", None))
    assert torch.equal(gp.read_graph(data).val_mask, data.val_mask)
    assert gp.read_graph(change(data, "val_mask", None)).val_mask is None
    assert gp.read_graph(change(data, "val_mask", 0 * data.val_mask > 0)).val_mask is None


def test_the_graph_given_stays_as_it_was() -> None:
    data = change(citation_graph(), "x", citation_graph().x.to(torch.int64))
    assert gp.read_graph(data).x.dtype == torch.float32
    assert data.x.dtype == torch.int64


def test_a_victim_that_diverges_is_no_result() -> None:
    victim = gp.ModuleVictim(SmallGCN, "small", epochs=20, lr=1e20)
    with pytest.raises(FloatingPointError, match="'small' diverged"):
        evaluated(citation_graph(dtype=torch.float32), victim)


def test_self_training_needs_unlabelled_nodes_and_oracles_know_all() -> None:
    data = citation_graph()
    whole = change(data, "train_mask", torch.ones_like(data.train_mask))
    with pytest.raises(ValueError, match=r"needs unlabelled nodes, but data\.train_mask has all"):
        gp.NodeClassification(whole, objective="both")
    assert gp.NodeClassification(whole, objective="train").unlabelled.numel() == 0
    unknown = change(data, "y", data.y.masked_fill(data.test_mask, -1))
    with pytest.raises(ValueError, match=r"needs the labels of all nodes, but data\.y has -1"):
        gp.NodeClassification(unknown, labels="oracle")
    assert len(gp.RandomAttack()(gp.NodeClassification(unknown), 2)) == 2


class SmallGCN(nn.Module):
    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.first, self.second = GCNConv(num_features, 4), GCNConv(4, num_classes)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        hidden = self.first(x, edge_index, edge_weight).relu()
        return self.second(hidden, edge_index, edge_weight)
