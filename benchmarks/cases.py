"""One case of the benchmark in a separate process: ``python benchmarks/cases.py CASE SIDE``.

Prints one line of JSON: seconds of each repetition, and peak memory above the memory of the process
with its libraries imported. ``--result`` saves the gradient, to compare both sides.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import sklearn.model_selection  # noqa: F401  imported here, since the first split would count its memory
import torch
from problems import (
    Once,
    dense_node_attack,
    gathered_link_attack,
    link_attack,
    link_task,
    node_attack,
    node_task,
    random_citation,
    random_interactions,
)

from graphpoison._memory import peak_bytes


@dataclass(frozen=True)
class Case:
    """A case of the benchmark.

    Args:
        title: the name of the case in the table.
        ours: makes the library's side.
        baseline: makes the baseline; None if it does not fit in memory or takes hours.
        flops: floating-point operations of one run of the library's algorithm; only the unavoidable
            ones are counted.
        moved: lower bound of the bytes that the kernels read and write: indices and values of
            sparse matrices, and each dense matrix once; gathered rows count as cached.
        size: "small", "full" or "large".
    """

    title: str
    ours: Callable[[torch.device], Once]
    baseline: Callable[[torch.device], Once] | None
    flops: float
    moved: float
    size: str = "small"


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


def movielens_case(title: str, model: str, flops: float, moved: float) -> Case:
    """A model of ``link_task`` on MovieLens-100K, D = 32, T = 50, without a baseline."""
    return Case(
        f"MovieLens-100K, {title}, D = 32, T = 50",
        lambda device: link_attack(*link_task(model, device)),
        None,
        flops,
        moved,
    )


CF, LIGHTGCN = cf_flops(160_000, 32, 50), cf_flops(160_000, 32, 50) * 4.0
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
    "movielens-cf-bpr": movielens_case(
        "CF, BPR, 640,000 triples",
        "cf-bpr",
        CF,
        sparse_bytes(160_000, 50) + sparse_bytes(640_000, 50, 6),
    ),
    "movielens-cf-softmax": movielens_case(
        "CF, softmax, 1.28 million couples",
        "cf-softmax",
        CF,
        sparse_bytes(160_000, 50) + sparse_bytes(1_280_000, 50, 6),
    ),
    "movielens-lightgcn": movielens_case(
        "LightGCN, 2 layers", "lightgcn", LIGHTGCN, sparse_bytes(160_000, 50, 40)
    ),
    "movielens-lightgcn-bpr": movielens_case(
        "LightGCN, BPR",
        "lightgcn-bpr",
        LIGHTGCN,
        sparse_bytes(160_000, 50, 40) + sparse_bytes(640_000, 50, 6),
    ),
    "movielens-lightgcn-softmax": movielens_case(
        "LightGCN, softmax",
        "lightgcn-softmax",
        LIGHTGCN,
        sparse_bytes(160_000, 50, 40) + sparse_bytes(1_280_000, 50, 6),
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
        100 * 7 * 2 * 1971 * 500 * 3,
        100 * 7 * 4 * 1971 * 500,
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
        "ogbn-arxiv's size, linear GCN, 91,000 labels, 14.3 billion pairs",
        lambda device: node_attack(
            random_citation(169_343, 1_166_243, 128, 40, device, 91_000), best=1_000
        ),
        None,
        100 * 7 * 2 * 91_000 * 128 * 40,
        100 * 7 * 4 * 91_000 * 128,
        "large",
    ),
    "gowalla-cf": Case(
        "Gowalla, CF, 1.62 million pairs, D = 64, T = 50",
        lambda device: link_attack(*link_task("cf", device, "gowalla", 64)),
        None,
        cf_flops(1_620_256, 64, 50),
        sparse_bytes(1_620_256, 50),
        "large",
    ),
    "gowalla-lightgcn": Case(
        "Gowalla, LightGCN, 2 layers, D = 64, T = 50",
        lambda device: link_attack(*link_task("lightgcn", device, "gowalla", 64)),
        None,
        cf_flops(1_620_256, 64, 50) * 4.0,
        sparse_bytes(1_620_256, 50, 40),
        "large",
    ),
    "ml-20m-size": Case(
        "ML-20M's size, CF, 40 million pairs, D = 32, T = 50",
        lambda device: link_attack(
            random_interactions(138_493, 26_744, 20_000_000, 20_000_000, device), 3000.0
        ),
        None,
        cf_flops(40_000_000, 32, 50),
        sparse_bytes(40_000_000, 50),
        "large",
    ),
    "hundred-million": Case(
        "CF, 100 million pairs of 300,000 users and 60,000 items, D = 32, T = 50",
        lambda device: link_attack(
            random_interactions(300_000, 60_000, 50_000_000, 50_000_000, device), 3000.0
        ),
        None,
        cf_flops(100_000_000, 32, 50),
        sparse_bytes(100_000_000, 50),
        "large",
    ),
}


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
