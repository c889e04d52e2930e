"""Graph attention network, Veličković et al. (2018)."""

from torch import nn
from torch_geometric.nn import GAT


def gat(num_features: int, num_classes: int) -> nn.Module:
    """8 heads of 8 units, ELU, dropout 0.6, also on attention. The output is the mean of 8 heads,
    as in PyG (in the paper, for PubMed only)."""
    module: nn.Module = GAT(num_features, 64, 2, num_classes, dropout=0.6, act="elu", heads=8)
    return module
