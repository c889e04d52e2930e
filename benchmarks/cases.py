"""One case of the benchmark in a process of its own: ``python benchmarks/cases.py CASE SIDE``.

Prints one line of JSON: seconds of each repetition, peak memory above the process with its
libraries imported, and what was computed, for the other side to be compared with.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import baselines
import sklearn.model_selection  # noqa: F401  imported here, since the first split would count its memory
import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData
from torch_geometric.utils import remove_self_loops, to_dense_adj, to_undirected

import graphpoison as gp
from graphpoison._random import generator

Once = Callable[[], Callable[[], Tensor]]
"""One meta-gradient and the search for its best flip; returns how to get it at some pairs."""

GCN = gp.Training(steps=100, lr=0.1, momentum=0.9)


@dataclass(frozen=True)
class Case:
    """What is measured.

    Args:
        title: a line of the table.
        ours: makes the library's side.
        baseline: makes the other side, None where it does not fit or takes hours.
        flops: of the library's algorithm, once, counting only what it cannot avoid.
        moved: bytes that its kernels read and write at the least: indices and values of sparse
            matrices, dense matrices once; gathered rows count as cached.
        size: "small" or "full".
    """

    title: str
    ours: Callable[[torch.device], Once]
    baseline: Callable[[torch.device], Once] | None
    flops: float
    moved: float
    size: str = "small"


def node_task(surrogate: str, device: torch.device) -> gp.Task:
    data = gp.datasets.load("cora", seed=15).to(device)
    return gp.NodeClassification(data, surrogate).with_pseudo_labels(GCN, 0)


def node_attack(task: gp.Task) -> Once:
    hypergradient, start = gp.Unrolled(), task.init(generator(0))
    probe = probe_pairs(task.state.shape[0], task.state.weight.device)

    def once() -> Callable[[], Tensor]:
        found = hypergradient.at(task, GCN, task.state, start)
        found.topk(1, constraints=[gp.NoSingletons()])
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
    """Some 20,000 pairs, the same on both sides, at which gradients are compared."""
    draw = torch.randint(num_nodes, (2, 20_000), generator=generator(1))
    draw = draw[:, draw[0] != draw[1]]
    return torch.stack([draw.min(dim=0).values, draw.max(dim=0).values]).to(device)


def link_task(model: str, device: torch.device) -> tuple[gp.Task, float]:
    data = gp.datasets.load("movielens-100k", seed=0).to(device)
    surrogate, lr = {
        "cf": (gp.CF(dim=32), 1000.0),
        "gmf": (gp.GMF(dim=32, layers=(16, 8)), 10.0),
        "neumf": (gp.NeuMF(dim=32, layers=(32, 16, 8)), 10.0),
    }[model]
    return gp.Recommendation(data, surrogate), lr


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
    """A CF task of 32 dimensions on uniformly drawn pairs."""
    codes = torch.randperm(users * items, generator=generator(0))[: positives + negatives]
    pairs = torch.stack([codes // items, codes % items])
    data = HeteroData()
    data["user"].num_nodes, data["item"].num_nodes = users, items
    edges = data["user", "rates", "item"]
    edges.edge_index, edges.neg_edge_index = pairs[:, :positives], pairs[:, positives:]
    return gp.Recommendation(data.to(device), gp.CF(dim=32))


def gcn_flops(nodes: float, labels: float, features: float, hidden: float, steps: float) -> float:
    """Gram matrix and its adjoint, four L x L x H products a step, and the scores of all pairs."""
    gram = 2 * 3 * labels**2 * features
    training = steps * 4 * 2 * labels**2 * hidden
    return gram + training + nodes**2 / 2 * 2 * 30


def cf_flops(pairs: float, dim: float, steps: float) -> float:
    """Three sparse kernels forwards, seven backwards: a multiply-add for each entry and column."""
    return steps * 10 * 2 * pairs * dim


def gcn_bytes(nodes: float, labels: float, features: float, hidden: float, steps: float) -> float:
    """Gram matrix four times a step, features and factors of the search once."""
    return 4 * (steps * 4 * labels**2 + 3 * labels * features + nodes * (2 * features + 4 * hidden))


def sparse_bytes(pairs: float, steps: float, kernels: int = 10) -> float:
    """A 32-bit index and a value of each entry, for each kernel of each step."""
    return steps * kernels * 8 * pairs


def tower_bytes(pairs: float, widths: tuple[int, ...], steps: float) -> float:
    """Inputs and outputs of each of the eleven products of a layer, once."""
    return steps * 11 * 4 * pairs * sum(a + b for a, b in pairwise(widths))


CASES = {
    "cora-linear": Case(
        "Cora, linear GCN, all pairs",
        lambda device: node_attack(node_task("linear-gcn", device)),
        lambda device: dense_node_attack("linear-gcn", device),
        gcn_flops(2485, 247, 1433, 16, 100),
        gcn_bytes(2485, 247, 1433, 16, 100),
    ),
    "cora-relu": Case(
        "Cora, ReLU GCN, all pairs",
        lambda device: node_attack(node_task("relu-gcn", device)),
        lambda device: dense_node_attack("relu-gcn", device),
        100 * 2 * (8 * 49_216 * 16 + 32 * 1000 * 1433 + 14 * 247 * 2485),
        100 * 4 * (8 * 2 * 49_216 + 2 * 1000 * 1433 + 2 * 247 * 2485),
    ),
    "movielens-cf": Case(
        "MovieLens-100K, CF, 160,000 pairs, D = 32, T = 50",
        lambda device: link_attack(*link_task("cf", device)),
        lambda device: gathered_link_attack("cf", device),
        cf_flops(160_000, 32, 50),
        sparse_bytes(160_000, 50),
    ),
    "movielens-gmf": Case(
        "MovieLens-100K, GMF with layers 16 and 8, T = 50",
        lambda device: link_attack(*link_task("gmf", device)),
        lambda device: gathered_link_attack("gmf", device),
        50 * 11 * 2 * 160_000 * (32 * 16 + 16 * 8 + 8),
        tower_bytes(160_000, (32, 16, 8, 1), 50),
        "full",
    ),
    "movielens-neumf": Case(
        "MovieLens-100K, NeuMF with layers 32, 16 and 8, T = 50",
        lambda device: link_attack(*link_task("neumf", device)),
        lambda device: gathered_link_attack("neumf", device),
        50 * 11 * 2 * 160_000 * (32 * 16 + 16 * 8 + 8) + cf_flops(160_000, 32, 50),
        tower_bytes(160_000, (32, 16, 8, 1), 50) + sparse_bytes(160_000, 50),
        "full",
    ),
    "pubmed-size": Case(
        "Pubmed's size, linear GCN, 194 million pairs",
        lambda device: node_attack(random_citation(19_717, 44_324, 500, 3, device)),
        None,
        2 * 2 * 19_717 * 500 * 1971 + 19_717**2 / 2 * 2 * 14 + 100 * 12 * 2 * 1971 * 500 * 16,
        gcn_bytes(19_717, 1971, 500, 16, 0) + 100 * 12 * 4 * 1971 * 500,
        "full",
    ),
    "netflix-size": Case(
        "Netflix's size, CF, 3.16 million pairs, D = 32, T = 50",
        lambda device: link_attack(
            random_interactions(8_138, 1_503, 1_660_000, 1_500_000, device), 3000.0
        ),
        None,
        cf_flops(3_160_000, 32, 50),
        sparse_bytes(3_160_000, 50),
        "full",
    ),
    "arxiv-size": Case(
        "ogbn-arxiv's size, linear GCN, 14.3 billion pairs",
        lambda device: node_attack(random_citation(169_343, 1_166_243, 128, 40, device)),
        None,
        169_343**2 / 2 * 2 * (2 * 256 + 160),
        gcn_bytes(169_343, 16_934, 128, 16, 0) + 100 * 12 * 4 * 16_934 * 128,
        "gpu",
    ),
}


def peak_bytes(device: torch.device) -> float:
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss starts from what the parent process had
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return 1024.0 * float(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def measure(
    make: Callable[[torch.device], Once], repeat: int, device: torch.device
) -> dict[str, object]:
    before = peak_bytes(device)
    once, seconds = make(device), []
    for _ in range(repeat):
        start = time.perf_counter()
        result = once()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds, "bytes": peak_bytes(device) - before, "result": result()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", choices=CASES)
    parser.add_argument("side", choices=["ours", "baseline"])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--result", type=Path, help="where to save the gradient at some pairs")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    found = measure(getattr(CASES[args.case], args.side), args.repeat, device)
    result = found.pop("result")
    if args.result is not None:
        torch.save(result.cpu(), args.result)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
