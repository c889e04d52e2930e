"""Seconds of each attack on a citation graph, beside Metattack with dense N x N matrices.

    python benchmarks/citation_time.py --data cora-deeprobust --share 0.05

All attacks run one after another in one process, under the same constraints. The dense baseline
makes ``--dense`` flips, and its time is scaled up to the budget.
"""

import argparse
import time
from dataclasses import replace

import torch
from baselines import best_dense_flip, dense_metattack
from torch_geometric.utils import to_dense_adj

import graphpoison as gp
from graphpoison.training import NODES

CONSTRAINTS = (gp.NoSingletons(), gp.DegreeDistribution())
MARGIN = gp.TanhMargin(scale=0.5)
PARTS = {
    "Metattack (linear GCN, cross-entropy)": ("linear-gcn", "cross-entropy", {}),
    "SGC, margin": ("sgc", MARGIN, {}),
    "SGC, margin, three stops": ("sgc", MARGIN, {"stops": (60, 100, 150)}),
}


def greedy(stops: tuple[int, ...] = (), **options: int) -> gp.MetaAttack:
    training = replace(NODES, steps=stops[-1] if stops else NODES.steps)
    return gp.MetaAttack(
        training, constraints=CONSTRAINTS, hypergradient=gp.Unrolled(stops), **options
    )


def seconds(attack: gp.Attack, task: gp.NodeClassification, flips: int) -> float:
    attack(task, 2)  # warm-up: some values are computed only once
    start = time.perf_counter()
    found = attack(task, flips)
    assert len(found) == flips
    return time.perf_counter() - start


def dense(graph: gp.NodeGraph, flips: int) -> float:
    """Seconds of one flip."""
    task = gp.NodeClassification(graph).with_pseudo_labels(NODES, 0)
    params = task.init(torch.Generator().manual_seed(0))
    adjacency = to_dense_adj(graph.edge_index, max_num_nodes=graph.num_nodes)[0]
    labelled = task.inputs.labelled
    start = time.perf_counter()
    for _ in range(flips):
        _, gradient = dense_metattack(
            "linear-gcn",
            adjacency,
            graph.x,
            graph.y,
            labelled,
            task.unlabelled,
            task.pseudo_labels,
            params,
            NODES.steps,
            NODES.lr,
            NODES.momentum,
        )
        best_dense_flip(adjacency, gradient)
    return (time.perf_counter() - start) / flips


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="cora-deeprobust")
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--dense", type=int, default=3, help="flips of the dense baseline")
    args = parser.parse_args()
    graph = gp.read_graph(gp.datasets.load(args.data))
    flips = int(args.share * graph.pairs.size(1))
    each = dense(graph, args.dense)
    print(f"{args.data}, {flips} flips, {torch.get_num_threads()} threads")
    print(f"| dense Metattack, {args.dense} flips, scaled | {each * flips:.0f} s | 1 |")
    for name, (surrogate, loss, options) in PARTS.items():
        task = gp.NodeClassification(graph, surrogate, attack_loss=loss)
        taken = seconds(greedy(redraw=surrogate != "sgc", **options), task, flips)
        print(f"| {name} | {taken:.1f} s | {each * flips / taken:.0f} |", flush=True)
    task = gp.strongest_task(graph)
    for name, attack in {
        "the same, swaps": gp.SwapSearch(greedy((60, 100, 150))),
        "the same, swaps and lookahead: strongest_attack()": gp.strongest_attack(CONSTRAINTS),
    }.items():
        taken = seconds(attack, task, flips)
        print(f"| {name} | {taken:.1f} s | {each * flips / taken:.0f} |", flush=True)


if __name__ == "__main__":
    main()
