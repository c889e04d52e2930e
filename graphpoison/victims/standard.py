"""The usual graph neural networks, of PyG's models and layers."""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout
from torch_geometric.nn import APPNP, GAT, GCN, GraphSAGE
from torch_geometric.utils import to_torch_csr_tensor


def gcn(num_features: int, num_classes: int) -> nn.Module:
    """Kipf and Welling (2017): 16 hidden units, dropout 0.5."""
    return _module(GCN(num_features, 16, 2, num_classes, dropout=0.5))


def gat(num_features: int, num_classes: int) -> nn.Module:
    """Veličković et al. (2018): 8 heads of 8 units, ELU, dropout 0.6 on attention too; the output
    is, as PyG has it, the mean of 8 heads (the paper's for PubMed)."""
    return _module(GAT(num_features, 64, 2, num_classes, dropout=0.6, act="elu", heads=8))


class PropagatedMLP(nn.Module):
    """APPNP, Gasteiger et al. (2019): 64 hidden units, dropout 0.5, 10 steps of personalised
    PageRank with teleport probability 0.1; without the paper's dropout of edges."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.first = nn.Linear(num_features, 64)
        self.second = nn.Linear(64, num_classes)
        self.propagate = APPNP(K=10, alpha=0.1)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        hidden = dropout(torch.relu(self.first(x)), 0.5, self.training)
        logits: Tensor = self.propagate(self.second(hidden), edge_index, edge_weight)
        return logits


class MeanSAGE(nn.Module):
    """GraphSAGE, Hamilton et al. (2017): mean aggregator, full-batch; width and dropout of the GCN.

    PyG's model gets the graph as a sparse matrix, with which it makes no [E, F] tensor.
    """

    supports_edge_weight = False

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.model = GraphSAGE(num_features, 16, 2, num_classes, dropout=0.5)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        adjacency = to_torch_csr_tensor(edge_index, size=(x.size(0), x.size(0))).to(x.dtype)
        logits: Tensor = self.model(x, adjacency)  # of an undirected graph
        return logits


class SGC(nn.Module):
    """SGC, Wu et al. (2019): PyG's ``SGConv`` of 2 steps, with the linear layer before them.

    The result is the same, and propagation as narrow as there are classes.
    """

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(num_features, num_classes, bias=False)
        self.bias = nn.Parameter(torch.zeros(num_classes))
        self.propagate = APPNP(K=2, alpha=0.0)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        logits: Tensor = self.propagate(self.linear(x), edge_index, edge_weight)
        return logits + self.bias


def _module(module: nn.Module) -> nn.Module:
    """``module``, of a type that mypy knows; PyG tells it none."""
    return module
