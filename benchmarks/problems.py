"""The problems of the benchmarks: one meta-gradient and the search for its best flips."""

from collections.abc import Callable

import baselines
import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData
from torch_geometric.utils import remove_self_loops, to_dense_adj, to_undirected

import graphpoison as gp
from graphpoison._random import generator

Once = Callable[[], Callable[[], Tensor]]
"""Computes one meta-gradient and searches its best flips; returns a function that gives the
gradient at some pairs."""

GCN = gp.Training(steps=100, lr=0.1, momentum=0.9)


def node_task(surrogate: str, device: torch.device) -> gp.Task:
    data = gp.datasets.load("cora", seed=15).to(device)
    return gp.NodeClassification(data, surrogate).with_pseudo_labels(GCN, 0)


def node_attack(task: gp.Task, best: int = 1) -> Once:
    hypergradient, start = gp.Unrolled(), task.init(generator(0))
    probe = probe_pairs(task.state.shape[0], task.state.weight.device)

    def once() -> Callable[[], Tensor]:
        found = hypergradient.at(task, GCN, task.state, start)
        found.topk(best, constraints=[gp.NoSingletons()])
        return lambda: found.gradient.at(probe)

    return once


def dense_node_attack(surrogate: str, device: torch.device) -> Once:
    task = node_task(surrogate, device)
    num_nodes = task.state.shape[0]
    edges = torch.cat([task.state.index, task.state.index.flip(0)], dim=1)
    adjacency = to_dense_adj(edges, max_num_nodes=num_nodes)[0]
    inputs, start = task.inputs, task.init(generator(0))
    source, target = probe_pairs(num_nodes, device)

    def once() -> Callable[[], Tensor]:
        _, gradient = baselines.dense_metattack(
            surrogate,
            adjacency,
            inputs.features.x,
            task.labels,
            inputs.labelled,
            task.unlabelled,
            task.pseudo_labels,
            start,
            GCN.steps,
            GCN.lr,
            GCN.momentum,
        )
        baselines.best_dense_flip(adjacency, gradient)
        return lambda: gradient[source, target] + gradient[target, source]

    return once


def probe_pairs(num_nodes: int, device: torch.device) -> Tensor:
    """About 20,000 pairs, at which the gradients of both sides are compared."""
    draw = torch.randint(num_nodes, (2, 20_000), generator=generator(1))
    draw = draw[:, draw[0] != draw[1]]
    return torch.stack([draw.min(dim=0).values, draw.max(dim=0).values]).to(device)


def link_task(
    model: str, device: torch.device, name: str = "movielens-100k", dim: int = 32
) -> tuple[gp.Task, float]:
    """A task, and a learning rate for which its training is stable."""
    surrogate, lr, loss = {
        "cf": (gp.CF(dim), 1000.0, "log"),
        "cf-bpr": (gp.CF(dim), 100.0, "bpr"),
        "lightgcn": (gp.LightGCN(dim), 1000.0, "log"),
        "lightgcn-bpr": (gp.LightGCN(dim), 100.0, "bpr"),
        "cf-softmax": (gp.CF(dim), 100.0, "softmax"),
        "lightgcn-softmax": (gp.LightGCN(dim), 100.0, "softmax"),
        "gmf": (gp.GMF(dim, layers=(16, 8)), 10.0, "log"),
        "neumf": (gp.NeuMF(dim, layers=(32, 16, 8)), 10.0, "log"),
    }[model]
    data = gp.datasets.load(name, seed=0).to(device)
    return gp.Recommendation(data, surrogate, loss=loss), lr


def link_attack(task: gp.Task, lr: float, steps: int = 50) -> Once:
    hypergradient, training = gp.Unrolled(), gp.Training(steps, lr)
    start = task.init(generator(0))

    def once() -> Callable[[], Tensor]:
        found = hypergradient.at(task, training, task.state, start)
        found.topk(100, allow_removals=False)
        return lambda: found.values

    return once


def gathered_link_attack(model: str, device: torch.device) -> Once:
    task, lr = link_task(model, device)
    scores = {
        "cf": baselines.cf_scores,
        "gmf": baselines.gmf_scores,
        "neumf": baselines.neumf_scores,
    }[model]
    start, state = task.init(generator(0)), task.state

    def once() -> Callable[[], Tensor]:
        found = baselines.gathered_recommendation(scores, state.index, state.weight, start, 50, lr)
        found[1].topk(100)
        return lambda: found[1]

    return once


def random_citation(
    num_nodes: int,
    num_edges: int,
    num_words: int,
    num_classes: int,
    device: torch.device,
    num_labels: int | None = None,
) -> gp.Task:
    """A task on a random graph of the given size; by default a tenth of the nodes is labelled."""
    draw = generator(0)
    ends = torch.randint(num_nodes, (2, num_edges), generator=draw)
    labelled = torch.zeros(num_nodes, dtype=torch.bool)
    labelled[torch.randperm(num_nodes, generator=draw)[: num_labels or num_nodes // 10]] = True
    data = Data(
        x=(torch.rand(num_nodes, num_words, generator=draw) < 0.1).float(),
        y=torch.randint(num_classes, (num_nodes,), generator=draw),
        edge_index=to_undirected(remove_self_loops(ends)[0]),
        train_mask=labelled,
    )
    return gp.NodeClassification(data.to(device)).with_pseudo_labels(GCN, 0)


def random_interactions(
    users: int, items: int, positives: int, negatives: int, device: torch.device
) -> gp.Task:
    """A CF task of 32 dimensions on uniformly drawn, distinct pairs."""
    count, draw = positives + negatives, generator(0)
    codes = torch.empty(0, dtype=torch.long)
    while codes.numel() < count:
        more = torch.randint(users * items, (count + count // 8,), generator=draw)
        codes = torch.cat([codes, more]).unique()
    codes = codes[torch.randperm(codes.numel(), generator=draw)[:count]]
    pairs = torch.stack([codes // items, codes % items])
    data = HeteroData()
    data["user"].num_nodes, data["item"].num_nodes = users, items
    edges = data["user", "rates", "item"]
    edges.edge_index, edges.neg_edge_index = pairs[:, :positives], pairs[:, positives:]
    return gp.Recommendation(data.to(device), gp.CF(dim=32))
