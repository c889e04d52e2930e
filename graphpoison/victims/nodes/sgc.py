"""SGC, Wu et al. (2019)."""

import torch
from torch import Tensor, nn
from torch_geometric.nn import APPNP


class SGC(nn.Module):
    """PyG's ``SGConv`` with 2 steps, but with the linear layer before the propagation.

    The result is the same; only [N, C] values are propagated.
    """

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(num_features, num_classes, bias=False)
        self.bias = nn.Parameter(torch.zeros(num_classes))
        self.propagate = APPNP(K=2, alpha=0.0)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        logits: Tensor = self.propagate(self.linear(x), edge_index, edge_weight)
        return logits + self.bias
