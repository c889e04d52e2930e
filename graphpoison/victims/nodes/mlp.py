"""A perceptron that ignores the graph: attacks on edges do not change its accuracy."""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout


class MLP(nn.Module):
    """16 hidden units and dropout 0.5, as in the GCN."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.first = nn.Linear(num_features, 16)
        self.second = nn.Linear(16, num_classes)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        logits: Tensor = self.second(dropout(torch.relu(self.first(x)), 0.5, self.training))
        return logits
