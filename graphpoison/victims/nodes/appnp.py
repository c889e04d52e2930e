"""APPNP, Gasteiger et al. (2019)."""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout
from torch_geometric.nn import APPNP


class PropagatedMLP(nn.Module):
    """64 hidden units, dropout 0.5, 10 steps of personalised PageRank with teleport probability
    0.1; without the paper's dropout of edges."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.first = nn.Linear(num_features, 64)
        self.second = nn.Linear(64, num_classes)
        self.propagate = APPNP(K=10, alpha=0.1)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        hidden = dropout(torch.relu(self.first(x)), 0.5, self.training)
        logits: Tensor = self.propagate(self.second(hidden), edge_index, edge_weight)
        return logits
