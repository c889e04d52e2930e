"""GNNGuard (Zhang and Zitnik 2020): a GCN that aggregates similar neighbours only."""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout
from torch_geometric.nn import GCNConv
from torch_geometric.utils import add_remaining_self_loops, scatter

from ...graphs import NodeGraph
from .similarity import cosine_similarity

THRESHOLD = 0.1  # similarities below it are pruned, as in the authors' code


def guarded(graph: NodeGraph) -> NodeGraph:
    """``graph`` with self-loops and the defence weights of the first layer as edge weights.

    The weights depend on the features only and are therefore computed once, not at every step.
    """
    edges, _ = add_remaining_self_loops(graph.edge_index, num_nodes=graph.num_nodes)
    return graph.with_edges(edges, defence_weights(graph.x, edges))


def defence_weights(hidden: Tensor, edge_index: Tensor) -> Tensor:
    r"""The weights [E] of the edges into each node, equations 2 and 3 of the paper; they sum to 1.

    .. math::
        \alpha_{uv} = \frac{s_{uv}}{\sum_v s_{uv}} \cdot \frac{N_u}{N_u + 1}, \qquad
        \alpha_{uu} = \frac{1}{N_u + 1}

    with s the cosine similarities of ``hidden`` [N, D], set to 0 below 0.1, and N the number of
    remaining neighbours. Autograd treats the weights as constants, as in the authors' code.
    """
    source, target = edge_index
    count = hidden.size(0)
    with torch.no_grad():
        loop = source == target
        similarity = cosine_similarity(hidden, edge_index)
        similarity = torch.where((similarity < THRESHOLD) | loop, 0.0, similarity)
        total = scatter(similarity, target, dim_size=count)
        left = scatter((similarity > 0).to(similarity), target, dim_size=count)
        share = similarity / total.clamp(min=THRESHOLD)[target]
        weight: Tensor = torch.where(loop, 1.0, share * left[target]) / (left[target] + 1.0)
        return weight


class GNNGuard(nn.Module):
    """Two layers with :func:`defence_weights`, 16 hidden units, dropout 0.5.

    The weights of the second layer are mixed with the weights of the first (layer-wise graph
    memory), with a trained coefficient between 0 and 1. ``edge_weight``, if given, are the weights
    of the first layer, and ``edge_index`` has self-loops, as :func:`guarded` returns them.
    """

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.first = GCNConv(num_features, 16, normalize=False)
        self.second = GCNConv(16, num_classes, normalize=False)
        self.memory = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        if edge_weight is None:
            edge_index, _ = add_remaining_self_loops(edge_index, num_nodes=x.size(0))
            edge_weight = defence_weights(x, edge_index)
        hidden = self.first(x, edge_index, edge_weight).relu()
        kept = self.memory.sigmoid()
        weight = kept * edge_weight + (1.0 - kept) * defence_weights(hidden, edge_index)
        hidden = dropout(hidden, 0.5, self.training)
        logits: Tensor = self.second(hidden, edge_index, weight)
        return logits
