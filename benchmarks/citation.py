"""Node classifiers under the strongest attack, and on poisoned graphs that others published.

    python benchmarks/citation.py strongest --data cora-deeprobust --splits 15 16 17 18 19 --out out
    python benchmarks/citation.py published --data cora-deeprobust --out out
    python benchmarks/citation.py transfer --data cora-deeprobust --splits 15 --out out
    python benchmarks/citation.py adaptive --data cora-deeprobust --splits 15 --out out

Needs the data sets of ``graphpoison.datasets.load``; ``published`` also needs Pro-GNN's folder
``meta`` (``*_meta_adj_0.05.npz``) as ``prognn`` below ``GRAPHPOISON_DATA``. Each study appends to
``OUT/<study>.csv``, one row for each victim, seed and epoch kept. Rows that the file already has
are not computed again. Flips are saved in ``OUT/flips``. ``citation_page.py`` prints the tables.
"""

import argparse
import csv
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import torch
from citation_adaptive import adaptive_attack

import graphpoison as gp
from graphpoison.victims.named import NODE_VICTIMS
from graphpoison.victims.nodes.module import EPOCHS

COLUMNS = ("data", "split", "share", "attack", "victim", "seed", "epoch", "accuracy", "seconds")
CONSTRAINTS = (gp.NoSingletons(), gp.DegreeDistribution())
SHARES = (0.05, 0.1)
USUAL = ("strongest", "metattack", "dice", "random")
PUBLISHED = (0.05, 0.1, 0.15, 0.2, 0.25)
FILES = {
    "cora-deeprobust": "cora",
    "citeseer-deeprobust": "citeseer",
    "cora-ml": "cora_ml",
    "polblogs": "polblogs",
}
TRANSFERRED = (
    *("gcn", "gat", "sage", "appnp", "sgc", "gcn-jaccard", "gcn-svd", "gnnguard", "rgcn"),
    *("soft-median-gcn", "grand", "mlp"),
)
ADAPTIVE = (
    *("gcn", "sgc", "appnp", "gcn-jaccard", "gnnguard", "rgcn", "soft-median-gcn", "grand", "sage"),
)

Flips = gp.Perturbation | None


class Study:
    """A table of results, appended row by row, and the flips of the attacks."""

    def __init__(self, folder: Path, name: str, args: argparse.Namespace) -> None:
        self.path, self.flips, self.args = folder / f"{name}.csv", folder / "flips", args
        self.flips.mkdir(parents=True, exist_ok=True)
        self.done: set[tuple[str, ...]] = set()
        if self.path.exists():
            with self.path.open() as file:
                self.done = {tuple(row[:6]) for row in csv.reader(file)}
        else:
            self.path.write_text(",".join(COLUMNS) + "\n")

    def attacked(
        self, name: str, make: Callable[[], gp.Perturbation]
    ) -> tuple[gp.Perturbation, float]:
        """The flips of that name, made or read from a file, and the seconds of the attack."""
        path = self.flips / f"{name}.npz"
        if not path.exists():
            make().save(path)
        found = gp.Perturbation.load(path)
        return found, found.provenance.get("seconds", float("nan"))

    def score(
        self, key: tuple[object, ...], graph: gp.NodeGraph, flips: Flips, seconds: float = 0.0
    ) -> None:
        """Train every victim on the graph with ``flips``."""
        poisoned = graph if flips is None else flips.apply(graph)
        for victim in self.args.victims:
            for seed in range(self.args.seeds):
                row = (*map(str, key), victim, str(seed))
                if row in self.done:
                    continue
                logits = NODE_VICTIMS[victim].train(poisoned, seed)
                with self.path.open("a") as file:
                    for epoch in EPOCHS:
                        accuracy = _accuracy(logits[epoch], graph)
                        csv.writer(file).writerow([*row, epoch, accuracy, round(seconds, 2)])
                self.done.add(row)
                print(*row, *(f"{_accuracy(logits[epoch], graph):.4f}" for epoch in EPOCHS))


def attacks_of(graph: gp.NodeGraph, share: float, seed: int) -> Iterator[tuple[str, Callable]]:
    """The strongest attack, the same attack through SGC with one propagation, Metattack as
    published, DICE with the true labels, and random flips."""
    budget = gp.Budget.fraction(share)
    paper = gp.NodeClassification(graph)
    one_hop = gp.NodeClassification(graph, gp.SGC(1), attack_loss=gp.TanhMargin(0.5))
    yield "strongest", lambda: gp.strongest_metattack(graph, share)
    yield "one-hop", lambda: gp.strongest_attack()(one_hop, budget, seed)
    yield "metattack", lambda: gp.metattack(constraints=CONSTRAINTS)(paper, budget, seed)
    yield "dice", lambda: gp.DICE(CONSTRAINTS)(paper, budget, seed)
    yield "random", lambda: gp.RandomAttack(CONSTRAINTS, allow_removals=True)(paper, budget, seed)


def strongest(study: Study, data: str, split: int) -> None:
    graph = gp.read_graph(gp.datasets.load(data, seed=split))
    study.score((data, split, 0.0, "clean"), graph, None)
    for share in study.args.shares:
        for name, make in attacks_of(graph, share, split):
            if name not in (study.args.attacks or USUAL):
                continue
            flips, seconds = study.attacked(f"{data}-{split}-{share}-{name}", make)
            study.score((data, split, share, name), graph, flips, seconds)


def published(study: Study, data: str, split: int) -> None:
    """Pro-GNN's poisoned graphs. The split of seed 15 is Pro-GNN's, except on Citeseer."""
    graph = gp.read_graph(gp.datasets.load(data, seed=split))
    study.score((data, split, 0.0, "clean"), graph, None)
    folder = Path(os.environ["GRAPHPOISON_DATA"]) / "prognn"
    for share in PUBLISHED:
        flips = gp.Perturbation.between(graph, folder / f"{FILES[data]}_meta_adj_{share}.npz")
        study.score((data, split, share, "pro-gnn"), graph, flips)


def adaptive(study: Study, data: str, split: int) -> None:
    """Attacks on each defence, with the defence itself as the surrogate."""
    graph = gp.read_graph(gp.datasets.load(data, seed=split))
    wanted, share = study.args.victims, study.args.shares[0]
    through_sgc, _ = study.attacked(
        f"{data}-{split}-{share}-strongest", lambda: gp.strongest_metattack(graph, share)
    )
    for victim in wanted:
        make = partial(adaptive_attack, graph, victim, share, through_sgc)
        flips, seconds = study.attacked(f"{data}-{split}-{share}-adaptive-{victim}", make)
        study.args.victims = [victim]
        study.score((data, split, share, "adaptive"), graph, flips, seconds)
    study.args.victims = wanted


STUDIES = {
    "strongest": (strongest, ("gcn",)),
    "transfer": (strongest, TRANSFERRED),
    "published": (published, ("gcn",)),
    "adaptive": (adaptive, ADAPTIVE),
}


def _accuracy(logits: torch.Tensor, graph: gp.NodeGraph) -> float:
    hits = (logits.argmax(dim=1) == graph.y)[graph.mask("test_mask")]
    return float(hits.double().mean())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--data", nargs="+", default=["cora-deeprobust"], choices=FILES)
    parser.add_argument("--splits", nargs="+", type=int, default=[15])
    parser.add_argument("--shares", nargs="+", type=float, default=list(SHARES))
    parser.add_argument("--attacks", nargs="*", help="only these")
    parser.add_argument("--victims", nargs="+", choices=NODE_VICTIMS)
    parser.add_argument("--seeds", type=int, default=5, help="victims for each graph")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    run, victims = STUDIES[args.study]
    args.victims = args.victims or list(victims)
    study = Study(args.out, args.study, args)
    for data in args.data:
        for split in args.splits:
            run(study, data, split)


if __name__ == "__main__":
    main()
