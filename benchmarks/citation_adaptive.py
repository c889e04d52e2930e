"""Attacks whose surrogate is the victim's own defence.

SGC is attacked by the strongest attack without changes. GCN-Jaccard is attacked by the same attack
with additions between similar nodes only, because the defence keeps these additions. All other
defences are modules, trained by Adam in evaluation mode (no dropout, no sampling); Soft-Median-GCN
is attacked by the approximate meta-gradient. For these modules, the candidates are the edges and
the pairs that SGC's meta-gradient ranks first: 4,000 on the clean graph, and 4,000 on the graph
that the strongest attack has poisoned.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize
from torch_geometric.nn import GCN
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.utils import add_remaining_self_loops, scatter

import graphpoison as gp
from graphpoison.constraints.base import Predicate
from graphpoison.graphs import PairState
from graphpoison.presets import STOPS
from graphpoison.training import NODES
from graphpoison.victims.defences.gnnguard import THRESHOLD, GNNGuard
from graphpoison.victims.defences.grand import GRAND
from graphpoison.victims.defences.rgcn import RGCN
from graphpoison.victims.defences.similarity import cosine_similarity
from graphpoison.victims.defences.soft_median import SoftMedianGCN
from graphpoison.victims.nodes.appnp import PropagatedMLP
from graphpoison.victims.nodes.sparse_input import SparseInput

CONSTRAINTS = (gp.NoSingletons(), gp.DegreeDistribution())
CANDIDATES = 8_000
TRAINING = gp.Training(steps=50, lr=0.03, optimizer="adam", weight_decay=5e-4)
FLIPS_PER_STEP = 4


@dataclass(frozen=True, eq=False)
class SimilarAdditions(gp.Constraint):
    """Edges may only be added between nodes that have a word in common."""

    common: Tensor

    def additions(self, state: PairState) -> Predicate:
        return lambda source, target: self.common[source, target]

    def removals(self, state: PairState) -> None:
        return None

    def violation(self, clean: PairState, poisoned: PairState) -> None:
        return None


def weighted_sum(values: Tensor, edges: Tensor, weight: Tensor) -> Tensor:
    """``sum_j w_ji values_j`` [N, D], differentiable twice."""
    sent = weight.unsqueeze(1) * values[edges[0]]
    total: Tensor = scatter(sent, edges[1], dim_size=values.size(0))
    return total


class WeightedGuard(GNNGuard):
    """GNNGuard along weighted edges: similarities and counts of neighbours are weighted.

    Args:
        similarity: the cosines [N, N] of the features.
    """

    def __init__(self, num_features: int, num_classes: int, similarity: Tensor) -> None:
        super().__init__(num_features, num_classes)
        self.register_buffer("similarity", similarity)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        edges, weight = add_remaining_self_loops(edge_index, edge_weight, 1.0, x.size(0))
        first = guard(self.similarity[edges[0], edges[1]], edges, weight, x.size(0))
        hidden = (weighted_sum(self.first.lin(x), edges, first) + self.first.bias).relu()
        kept = self.memory.sigmoid()
        with torch.no_grad():
            cosines = cosine_similarity(hidden, edges)
        second = kept * first + (1.0 - kept) * guard(cosines, edges, weight, x.size(0))
        return weighted_sum(self.second.lin(hidden), edges, second) + self.second.bias


def guard(cosines: Tensor, edges: Tensor, weight: Tensor, count: int) -> Tensor:
    """The defence's weights [E] along edges of ``weight`` [E], from constant ``cosines`` [E]."""
    loop, target = edges[0] == edges[1], edges[1]
    cosines = torch.where((cosines < THRESHOLD) | loop, 0.0, cosines)
    left = scatter(weight * (cosines > 0), target, dim_size=count)
    total = scatter(weight * cosines, target, dim_size=count).clamp(min=THRESHOLD)
    share = weight * cosines / total[target]
    return torch.where(loop, 1.0, share * left[target]) / (left[target] + 1.0)


class WeightedRGCN(RGCN):
    """RGCN that does not store hidden values of a forward pass."""

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        logits = super().forward(x, edge_index, edge_weight)
        self._hidden = None
        return logits


class WeightedGRAND(GRAND):
    """GRAND without sampling, with sums that are differentiable twice."""

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        edges, weight = gcn_norm(edge_index, edge_weight, x.size(0), dtype=x.dtype)
        values = total = linear(x, self.first.weight)
        for _ in range(self.order):
            values = weighted_sum(values, edges, weight)
            total = total + values
        return self._classify(total / (self.order + 1))


class WeightedSAGE(nn.Module):
    """GraphSAGE with weighted means."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.first, self.own = nn.Linear(num_features, 16), nn.Linear(num_features, 16, bias=False)
        self.second, self.last = nn.Linear(16, num_classes), nn.Linear(16, num_classes, bias=False)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        degree = scatter(edge_weight, edge_index[1], dim_size=x.size(0)).clamp(min=1.0)
        share = edge_weight / degree[edge_index[1]]
        mean = weighted_sum(linear(x, self.first.weight), edge_index, share)
        hidden = (mean + self.first.bias + self.own(x)).relu()
        mean = weighted_sum(linear(hidden, self.second.weight), edge_index, share)
        return mean + self.second.bias + self.last(hidden)


MODULES = {
    "gcn": lambda features, classes: GCN(features, 16, 2, classes),
    "appnp": PropagatedMLP,
    "sage": WeightedSAGE,
    "rgcn": WeightedRGCN,
    "soft-median-gcn": SoftMedianGCN,
    "grand": WeightedGRAND,
}


def adaptive_attack(
    graph: gp.NodeGraph, victim: str, share: float, strongest: gp.Perturbation
) -> gp.Perturbation:
    """Flips of ``share`` of the edges, made for ``victim``; ``strongest`` are flips for SGC."""
    if victim == "sgc":
        return strongest
    if victim == "gcn-jaccard":
        words = (graph.x != 0).float()
        rule = SimilarAdditions(words @ words.t() > 0)
        return gp.strongest_metattack(graph, share, constraints=(*CONSTRAINTS, rule))
    if victim == "gnnguard":
        unit = normalize(graph.x)
        module = WeightedGuard(graph.num_features, graph.num_classes, unit @ unit.t())
    else:
        module = MODULES[victim](graph.num_features, graph.num_classes)
    candidates = candidates_of(graph, strongest)
    loss = gp.TanhMargin(0.5)
    task = gp.NodeClassification(graph, module, candidates=candidates, attack_loss=loss)
    # The adjoint of 50 steps through soft medians grows to 1e13, and diverges.
    exact = victim != "soft-median-gcn"
    how = gp.Unrolled() if exact else gp.Approximate()
    attack = gp.MetaAttack(TRAINING, FLIPS_PER_STEP, CONSTRAINTS, hypergradient=how)
    with SparseInput(graph.x):
        return attack(task, gp.Budget.fraction(share))


def candidates_of(graph: gp.NodeGraph, strongest: gp.Perturbation) -> Tensor:
    """The edges, and the additions that SGC's meta-gradient ranks first [2, K]."""
    training = replace(NODES, steps=STOPS[-1])
    task = gp.strongest_task(graph).with_pseudo_labels(training, 0)
    found = [graph.pairs]
    for state in (task.state, task.state.flip(strongest.pairs)):
        gradient = gp.Unrolled(STOPS)(task, training, state=state)
        found.append(gradient.topk(CANDIDATES // 2, allow_removals=False).pairs)
    return torch.cat(found, dim=1).unique(dim=1)
