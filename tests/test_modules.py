"""Modules of the user's own as surrogates: what trains, what stays, and what is refused."""

import pytest
import torch
from conftest import citation_graph
from torch import Tensor, nn
from torch_geometric.nn import GAT, GATConv, GCNConv

import graphpoison as gp
from graphpoison._random import generator

SHORT = gp.Training(steps=3, lr=0.1)


class Unweighted(nn.Module):
    """Takes edge weights and does nothing with them."""

    def __init__(self) -> None:
        super().__init__()
        self.only = GATConv(24, 3)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        return self.only(x, edge_index)


class Normed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = GCNConv(24, 4), GCNConv(4, 3)
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        hidden = self.norm(self.first(x, edge_index, edge_weight)).tanh()
        return self.second(hidden, edge_index, edge_weight)


def test_a_module_that_says_it_takes_no_weights_is_refused() -> None:
    data, module = citation_graph(), GAT(24, 4, 2, 3)
    with pytest.raises(ValueError, match="surrogate GAT takes no edge weights"):
        gp.NodeClassification(data, module)
    task = gp.NodeClassification(data, module, "train", candidates=None, feature_candidates="all")
    flips = gp.MetaAttack(SHORT)(task, 2).flips
    assert set(flips["kind"]) == {"feature"}
    assert (flips["score"] != 0).all()
    victim = gp.surrogate_victim(task, gp.MetaAttack(SHORT))
    assert victim.fit(gp.read_graph(data), seed=0).logits().shape == (14, 3)


@pytest.mark.parametrize("objective", ["train", "self"])
@pytest.mark.parametrize(
    "attack",
    [
        gp.MetaAttack(SHORT),
        gp.MetaAttack(SHORT, hypergradient=gp.Approximate()),
        gp.PGDAttack(SHORT),
        gp.PRBCD(SHORT, epochs=2),
        gp.GRBCD(SHORT, epochs=2),
    ],
    ids=lambda attack: type(attack).__name__,
)
def test_a_module_that_ignores_weights_is_refused(attack: gp.Attack, objective: str) -> None:
    task = gp.NodeClassification(citation_graph(), Unweighted(), objective)
    with pytest.raises(ValueError, match="is 0 for every pair: it does not use its edge_weight"):
        attack(task, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_frozen_parameters_and_buffers_stay_as_they_are(dtype: torch.dtype) -> None:
    data, module = citation_graph(dtype=dtype), Normed()
    module.first.lin.weight.requires_grad_(False)
    module.norm.running_mean.fill_(0.3)
    task = gp.NodeClassification(data, module, "train")
    found = gp.Unrolled()(task, SHORT, seed=0)
    names = [name for name, value in module.named_parameters() if value.requires_grad]
    assert len(found.params) == len(names) == 5
    edges, weight = data.edge_index, torch.ones(data.num_edges, dtype=dtype)
    params = dict(zip(names, task.init(generator(0)), strict=True))
    with torch.no_grad():
        trained = module.to(dtype).eval()
        logits = torch.func.functional_call(trained, params, (data.x, edges, weight))
    loss = nn.functional.cross_entropy(logits[data.train_mask], data.y[data.train_mask])
    mine = task.train_loss(tuple(params.values()), task.prepare(task.state))
    torch.testing.assert_close(mine, loss)


def test_a_module_that_is_frozen_whole_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogate has no parameters to train"):
        gp.NodeClassification(citation_graph(), Normed().requires_grad_(False))
