"""Metattack on Cora (Zügner and Günnemann 2019; thesis, section 4.1), beside random flips.

The graph's structure is poisoned by meta-gradient; a GCN is retrained on the clean and on the
poisoned graph. Prints a table and writes it, a figure and the flips to ``--out``.

    python examples/cora_metattack.py
    python examples/cora_metattack.py --dataset synthetic-citation --budgets 0.01 0.05
    python examples/cora_metattack.py --objective train --budgets 0.025 0.05 0.1
"""

import argparse
import logging
from pathlib import Path

import graphpoison as gp


def main() -> None:
    args = parse()
    logging.basicConfig(level=logging.WARNING)
    size = {"num_nodes": 150} if args.smoke else {}
    data = gp.datasets.load(args.dataset, root=args.root, seed=args.seed, **size).to(args.device)
    print(
        f"{args.dataset}: {data.num_nodes:,} nodes, {data.num_edges // 2:,} edges, split "
        f"{int(data.train_mask.sum())}/{int(data.val_mask.sum())}/{int(data.test_mask.sum())}"
    )
    task = gp.NodeClassification(data, surrogate(args), args.objective)
    training = gp.Training(args.steps, args.lr, args.momentum)
    constraints = () if args.allow_singletons else (gp.NoSingletons(),)
    attacks = {
        f"meta-{args.objective}": gp.MetaAttack(
            training, args.flips_per_step, constraints, redraw=args.redraw
        ),
        "random": gp.RandomAttack(constraints),
    }
    budget = gp.Budget.fraction(max(args.budgets))
    args.out.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, attack in attacks.items():
        found[name] = attack(task, budget, seed=args.attack_seed, progress=not args.quiet)
        found[name].save(args.out / f"{args.dataset}_{name}.npz")

    flips = [gp.Budget.fraction(share).resolve(task.state) for share in sorted(args.budgets)]
    report = gp.evaluate(data, found, ["gcn"], range(args.victims), flips)
    table = report.table.drop(columns=["metric", "split"])
    shares = dict(zip(flips, sorted(args.budgets), strict=True))
    table.insert(2, "budget", [f"{shares[count]:.1%}" for count in table["flips"]])
    print(f"GCN test accuracy, mean over {args.victims} seeds, 95% interval of the paired drop:")
    print(table.to_string(index=False, float_format="{:.4f}".format))
    table.to_csv(args.out / f"{args.dataset}_metattack.csv", index=False)
    report.plot("accuracy", path=args.out / f"{args.dataset}_metattack.png")
    print(f"wrote {args.out / args.dataset}_metattack.png")


def surrogate(args: argparse.Namespace) -> gp.LinearGCN | gp.ReLUGCN:
    kinds = {"linear-gcn": gp.LinearGCN, "relu-gcn": gp.ReLUGCN}
    return kinds[args.surrogate](hidden=args.hidden)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--dataset", default="cora", choices=["cora", "cora-ml", "citeseer", "synthetic-citation"])
    add("--root", help="folder with the raw files, searched before the other places")
    add("--seed", type=int, default=15, help="of the split (and of a synthetic graph)")
    add("--objective", default="self", choices=["train", "self", "both"])
    add("--surrogate", default="linear-gcn", choices=["linear-gcn", "relu-gcn"])
    add("--hidden", type=int, default=16, help="hidden units of the surrogate")
    add("--steps", type=int, default=100, help="training steps of the surrogate, T")
    add("--lr", type=float, default=0.1, help="learning rate of the surrogate")
    add("--momentum", type=float, default=0.9, help="momentum of the surrogate")
    add(
        "--redraw",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="fresh surrogate parameters for every flip, as in the paper",
    )
    add("--flips-per-step", type=int, default=1, help="flips made from one meta-gradient")
    add("--allow-singletons", action="store_true", help="let nodes lose their last edge")
    add("--budgets", type=float, nargs="+", default=[0.01, 0.025, 0.05], help="shares of the edges")
    add("--attack-seed", type=int, default=0, help="of the surrogate and of the random flips")
    add("--victims", type=int, default=5, help="number of victim seeds")
    add("--device", default="cpu", help="where to compute, e.g. cuda")
    add("--out", type=Path, default=Path("out"), help="folder for table, figure and flips")
    add("--quiet", action="store_true", help="no progress bars")
    add("--smoke", action="store_true", help="a small synthetic graph, a few flips")
    args = parser.parse_args()
    if args.smoke:
        args.dataset, args.budgets, args.steps, args.victims = "synthetic-citation", [0.02], 10, 2
    return args


if __name__ == "__main__":
    main()
