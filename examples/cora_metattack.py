"""The strongest attack on Cora, compared with Metattack (thesis, section 4.1) and random flips.

Each attack flips the same number of edges. A GCN is retrained on the clean and on each poisoned
graph, and keeps its best validation epoch or its last epoch. The script prints a table, and writes
the table, a figure and the flips to ``--out``.

    python examples/cora_metattack.py
    python examples/cora_metattack.py --dataset cora-deeprobust --budget 0.1
    python examples/cora_metattack.py --dataset synthetic-citation --attacks strongest dice
"""

import argparse
import logging
import time
from pathlib import Path

import graphpoison as gp

CITATION = ["cora", "cora-deeprobust", "cora-ml", "citeseer", "citeseer-deeprobust", "polblogs"]
CONSTRAINTS = (gp.NoSingletons(), gp.DegreeDistribution())
TERMS = {"gcn": "GCN", "gcn:last": "GCN, last epoch"}  # in the figure
ATTACKS = {
    "strongest": gp.strongest_attack(CONSTRAINTS),
    "metattack": gp.metattack(constraints=CONSTRAINTS),
    "dice": gp.DICE(CONSTRAINTS),
    "random": gp.RandomAttack(CONSTRAINTS, allow_removals=True),
}


def main() -> None:
    args = parse()
    logging.basicConfig(level=logging.WARNING)
    size = {"num_nodes": 150} if args.smoke else {}
    data = gp.datasets.load(args.dataset, root=args.root, seed=args.seed, **size).to(args.device)
    print(
        f"{args.dataset}, split of seed {args.seed}: {data.num_nodes:,} nodes, "
        f"{data.num_edges // 2:,} edges, split {int(data.train_mask.sum())}/"
        f"{int(data.val_mask.sum())}/{int(data.test_mask.sum())}"
    )
    paper = gp.NodeClassification(data, "linear-gcn", "self")
    strongest = gp.strongest_task(data)  # SGC and a saturating margin
    found = {}
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.attacks:
        task, start = strongest if name == "strongest" else paper, time.monotonic()
        budget = gp.Budget.fraction(args.budget)
        found[name] = ATTACKS[name](task, budget, args.attack_seed, progress=not args.quiet)
        found[name].save(args.out / f"{args.dataset}_{name}.npz")
        print(f"{name}: {len(found[name])} flips, {time.monotonic() - start:.1f} s")
    report = gp.evaluate(data, found, ["gcn", "gcn:last"], range(args.victims))
    table = report.table.drop(columns=["metric", "split"])
    print(f"GCN test accuracy, mean over {args.victims} seeds, 95% interval of the paired drop:")
    print(table.to_string(index=False, float_format="{:.4f}".format))
    table.to_csv(args.out / f"{args.dataset}_metattack.csv", index=False)
    drawn = gp.Report(report.runs.replace({"victim": TERMS}), report.perturbations)
    drawn.plot("accuracy", path=args.out / f"{args.dataset}_metattack.png")
    print(f"wrote {args.out / args.dataset}_metattack.png")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--dataset", default="cora", choices=[*CITATION, "synthetic-citation"])
    add("--root", help="folder with the raw files, searched first")
    add("--seed", type=int, default=15, help="seed of the split (and of a synthetic graph)")
    add("--attacks", nargs="+", default=["strongest", "metattack", "random"], choices=ATTACKS)
    add("--budget", type=float, default=0.05, help="share of the edges")
    add("--attack-seed", type=int, default=0, help="seed of the surrogates and of random flips")
    add("--victims", type=int, default=5, help="number of victim seeds")
    add("--device", default="cpu", help="device, e.g. cuda")
    add("--out", type=Path, default=Path("out"), help="folder for table, figure and flips")
    add("--quiet", action="store_true", help="no progress bars")
    add("--smoke", action="store_true", help="a small synthetic graph, a few flips")
    args = parser.parse_args()
    if args.smoke:
        args.dataset, args.budget, args.victims = "synthetic-citation", 0.01, 2
        args.attacks = ["strongest", "random"]
    return args


if __name__ == "__main__":
    main()
