"""Graph convolutional network, Kipf and Welling (2017)."""

from torch import nn
from torch_geometric.nn import GCN


def gcn(num_features: int, num_classes: int) -> nn.Module:
    """16 hidden units, dropout 0.5."""
    module: nn.Module = GCN(num_features, 16, 2, num_classes, dropout=0.5)
    return module
