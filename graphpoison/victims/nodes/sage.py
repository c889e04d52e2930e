"""GraphSAGE, Hamilton et al. (2017)."""

from torch import Tensor, nn
from torch_geometric.nn import GraphSAGE
from torch_geometric.utils import to_torch_csr_tensor


class MeanSAGE(nn.Module):
    """Mean aggregator, full-batch; width and dropout as in the GCN.

    PyG's model gets the graph as a sparse matrix, so that it makes no tensor [E, F].
    """

    supports_edge_weight = False

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.model = GraphSAGE(num_features, 16, 2, num_classes, dropout=0.5)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        adjacency = to_torch_csr_tensor(edge_index, size=(x.size(0), x.size(0))).to(x.dtype)
        logits: Tensor = self.model(x, adjacency)  # symmetric: the graph is undirected
        return logits
