"""Soft-median GCN (Geisler et al. 2021): neighbours far from the median have little weight."""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.utils import add_remaining_self_loops, scatter, softmax

from ...graphs import NodeGraph

MOST_NODES = 20_000  # largest graph for which PageRank is computed exactly
TIE = 1e-9  # tolerance for ties, relative to a node's weight; above the rounding errors of sums


def weighted_median(values: Tensor, weight: Tensor, target: Tensor, count: int) -> Tensor:
    """The edge that holds the weighted median of each node and dimension: LongTensor [N, D]. In a
    tie of two edges, the edge with the lower value.

    Args:
        values: Tensor [E, D].
        weight: Tensor [E], positive.
        target: LongTensor [E], the node of each edge; every node needs an edge.
        count: number of nodes.
    """
    low, high = values.min(), values.max()
    within = (values - low).double() / (high - low).clamp(min=torch.finfo(values.dtype).tiny)
    order = (within.t() / 2 + target).argsort(dim=1)  # by node, then value: [D, E]
    node = target.sort().values
    mass = weight.double()[order].cumsum(dim=1)
    total = scatter(weight.double(), target, dim_size=count)
    half = (total.cumsum(0) - (0.5 + TIE) * total)[node]
    below = torch.zeros(count, values.size(1), dtype=torch.long, device=values.device)
    below.index_add_(0, node, (mass < half).long().t())
    size = torch.bincount(target, minlength=count)
    first = size.cumsum(0) - size
    place = first.unsqueeze(1) + torch.minimum(below, size.unsqueeze(1) - 1)
    return order.t().gather(0, place)


def soft_median(x: Tensor, edge_index: Tensor, weight: Tensor, temperature: float) -> Tensor:
    r"""The soft median [N, D] of the neighbours' ``x`` [N, D], section 4 of the paper.

    .. math::
        \sum_v x_v \, \frac{s_v a_v}{\sum_u s_u a_u} \sum_u a_u, \qquad
        s = \text{softmax}\big(-\lVert x_v - \bar x \rVert / (T \sqrt D)\big)

    with :math:`\bar x` the weighted median of each dimension, T the ``temperature`` and a the
    positive edge weights ``weight`` [E]. Every node needs an edge, such as a self-loop.
    """
    source, target = edge_index
    count = x.size(0)
    sent = x[source]
    with torch.no_grad():
        middle = weighted_median(sent, weight, target, count)
    centre = sent.gather(0, middle)
    distance = (sent - centre[target]).square().sum(dim=1)
    distance = (distance + torch.finfo(x.dtype).tiny).sqrt()  # finite derivative at 0
    shares = softmax(-distance / (temperature * x.size(1) ** 0.5), target, num_nodes=count) * weight
    total = scatter(weight, target, dim_size=count) / scatter(shares, target, dim_size=count)
    found: Tensor = scatter((shares * total[target]).unsqueeze(1) * sent, target, dim_size=count)
    return found


def diffused(graph: NodeGraph, teleport: float = 0.15, neighbours: int = 64) -> NodeGraph:
    """``graph`` with the largest entries of personalised PageRank as weighted edges (Gasteiger et
    al. 2019, "GDC").

    Args:
        graph: a graph with or without edge weights.
        teleport: the restart probability.
        neighbours: number of entries kept in each row; they are scaled to the sum 1.

    Raises:
        ValueError: ``graph`` has more than 20,000 nodes; its dense matrix would take over 3 GB.
    """
    count = graph.num_nodes
    if count > MOST_NODES:
        raise ValueError(
            f"soft-median-gdc inverts a dense matrix of {count:,} x {count:,}; use "
            "'soft-median-gcn' for graphs of this size."
        )
    edges, weight = gcn_norm(graph.edge_index, graph.edge_weight, count, dtype=torch.float64)
    matrix = torch.eye(count, dtype=torch.float64, device=edges.device)
    matrix.index_put_((edges[1], edges[0]), (teleport - 1) * weight.double(), accumulate=True)
    rank = teleport * torch.linalg.inv(matrix)
    values, source = rank.topk(min(neighbours, count), dim=1)
    target = torch.arange(count, device=edges.device).unsqueeze(1).expand_as(source)
    values = values / values.sum(dim=1, keepdim=True)
    kept = values.flatten() > 0
    index = torch.stack([source.flatten(), target.flatten()])[:, kept]
    return graph.with_edges(index, values.flatten()[kept].to(graph.x.dtype))


class SoftMedianGCN(nn.Module):
    """A GCN whose weighted sums are soft medians; dropout 0.5, T = 0.5 as in the authors' code.

    It has the GCN's 16 hidden units, not the authors' 64, because every step sorts the values of
    each unit.
    """

    def __init__(self, num_features: int, num_classes: int, temperature: float = 0.5) -> None:
        super().__init__()
        self.first = nn.Linear(num_features, 16)
        self.second = nn.Linear(16, num_classes)
        self.temperature = temperature

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        edges, weight = gcn_norm(edge_index, edge_weight, x.size(0), dtype=x.dtype)
        return self.classify(x, edges, weight)

    def classify(self, x: Tensor, edges: Tensor, weight: Tensor) -> Tensor:
        """Logits [N, C] from ``edges`` [2, E] with ``weight`` [E] and a self-loop at every node."""
        hidden = soft_median(self.first(x), edges, weight, self.temperature).relu()
        hidden = dropout(hidden, 0.5, self.training)
        return soft_median(self.second(hidden), edges, weight, self.temperature)


class SoftMedianGDC(SoftMedianGCN):
    """A :class:`SoftMedianGCN` on a :func:`diffused` graph, with its edge weights unchanged."""

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        weight = x.new_ones(edge_index.size(1)) if edge_weight is None else edge_weight
        edges, weight = add_remaining_self_loops(edge_index, weight, 1.0, x.size(0))
        return self.classify(x, edges, weight)
