"""The usual graph neural networks, of PyG's models and layers."""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout
from torch_geometric.nn import APPNP, GAT, GCN, GraphSAGE, SGConv


def gcn(num_features: int, num_classes: int) -> nn.Module:
    """Kipf and Welling (2017): 16 hidden units, dropout 0.5."""
    return _module(GCN(num_features, 16, 2, num_classes, dropout=0.5))


def gat(num_features: int, num_classes: int) -> nn.Module:
    """Veličković et al. (2018): 8 heads of 8 units, ELU, dropout 0.6 on attention too; the output
    is, as PyG has it, the mean of 8 heads (the paper's for PubMed)."""
    return _module(GAT(num_features, 64, 2, num_classes, dropout=0.6, act="elu", heads=8))


def sage(num_features: int, num_classes: int) -> nn.Module:
    """Hamilton et al. (2017), mean aggregator, full-batch; width and dropout of the GCN."""
    return _module(GraphSAGE(num_features, 16, 2, num_classes, dropout=0.5))


def sgc(num_features: int, num_classes: int) -> nn.Module:
    """Wu et al. (2019): logistic regression on features propagated twice."""
    return _module(SGConv(num_features, num_classes, K=2))


class PropagatedMLP(nn.Module):
    """APPNP, Gasteiger et al. (2019): 64 hidden units, dropout 0.5 of units and edges, 10 steps of
    personalised PageRank with teleport probability 0.1."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.first = nn.Linear(num_features, 64)
        self.second = nn.Linear(64, num_classes)
        self.propagate = APPNP(K=10, alpha=0.1, dropout=0.5)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        hidden = dropout(torch.relu(self.first(x)), 0.5, self.training)
        logits: Tensor = self.propagate(self.second(hidden), edge_index, edge_weight)
        return logits


def _module(module: nn.Module) -> nn.Module:
    return module  # PyG has no types
