"""Algorithm 1 (Meta-Attack) and Algorithm 2 (random) of the thesis on MovieLens-100K, section 4.2.

The attacks turn sampled training negatives into interactions. Victims with fresh initialisations
are retrained on the poisoned interactions and measured on training and unseen pairs. The script
prints a table, and writes the table, two figures and the flips to ``--out``.

    python examples/movielens_meta_attack.py
    python examples/movielens_meta_attack.py --model gmf --optimizer adam
    python examples/movielens_meta_attack.py --flips-per-step 10 --objective self
    python examples/movielens_meta_attack.py --dataset synthetic-interactions
"""

import argparse
import logging
from pathlib import Path

import pandas as pd

import graphpoison as gp

LEARNING_RATE = {"cf": 1000.0, "gmf": 300.0}  # for gradient descent
TERMS = {"cf": "matrix factorisation", "gmf": "generalised matrix factorisation"}  # in figures


def main() -> None:
    args = parse()
    logging.basicConfig(level=logging.WARNING)
    size = {"num_users": 40, "num_items": 60, "num_interactions": 400} if args.smoke else {}
    data = gp.datasets.load(args.dataset, root=args.root, seed=args.seed, **size).to(args.device)
    edges = data["user", "rates", "item"]
    print(
        f"{args.dataset}: {data['user'].num_nodes:,} users, {data['item'].num_nodes:,} items, "
        f"{edges.edge_index.size(1):,} training interactions and "
        f"{edges.neg_edge_index.size(1):,} training negatives"
    )
    model = {"cf": gp.CF, "gmf": gp.GMF}[args.model](dim=args.dim)
    training = gp.Training(args.steps, args.lr, args.momentum, args.optimizer)
    task = gp.Recommendation(data, model, args.objective)
    attacks = {
        "meta-attack": gp.MetaAttack(
            training, args.flips_per_step, allow_removals=False, redraw=args.redraw
        ),
        "random": gp.RandomAttack(),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, attack in attacks.items():
        found[name] = attack(task, args.flips, seed=args.attack_seed, progress=not args.quiet)
        found[name].save(args.out / f"{args.dataset}_{name}.npz")

    victim = gp.RecommenderVictim(model, args.model, training)
    counts = [args.flips * part // args.points for part in range(args.points + 1)]
    report = gp.evaluate(
        data, found, [victim], range(args.victims), counts, include_perturbed=args.include_perturbed
    )
    table = report.table
    print(f"{model}, mean over {args.victims} seeds, 95% interval of the paired drop:")
    print(table[table["flips"] == args.flips].to_string(index=False, float_format="{:.4f}".format))
    print_ratio(table, args.flips)
    table.to_csv(args.out / f"{args.dataset}_meta_attack.csv", index=False)
    drawn = gp.Report(report.runs.replace({"victim": TERMS}), report.perturbations)
    for metric in ("auroc", "accuracy"):
        path = args.out / f"{args.dataset}_meta_attack_{metric}.png"
        drawn.plot(metric, path=path)
        print(f"wrote {path}")


def print_ratio(table: pd.DataFrame, flips: int) -> None:
    chosen = (table["metric"] == "auroc") & (table["split"] == "unseen") & (table["flips"] == flips)
    drops = table[chosen].set_index("attack")["drop"]
    print(
        f"drop in unseen AUROC: {drops['meta-attack']:.4f} by meta-attack, {drops['random']:.4f} "
        f"by random, {drops['meta-attack'] / drops['random']:.2f} times"
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--dataset", default="movielens-100k", choices=["movielens-100k", "synthetic-interactions"])
    add("--root", help="folder with the raw files, searched first")
    add("--seed", type=int, default=0, help="seed of negatives and split")
    add("--model", default="cf", choices=["cf", "gmf"], help="surrogate and victim")
    add("--dim", type=int, default=8, help="embedding dimensions")
    add("--objective", default="train", choices=["train", "self", "heldout"])
    add("--steps", type=int, default=50, help="training steps, T")
    add(
        "--lr",
        type=float,
        help="learning rate on the mean loss of all pairs [sgd: cf 1000, gmf 300; adam 0.05]",
    )
    add("--momentum", type=float, default=0.0, help="momentum (sgd only)")
    add("--optimizer", default="sgd", choices=["sgd", "adam"], help="for surrogate and victim")
    add("--flips", type=int, default=8000, help="number of perturbations")
    add("--flips-per-step", type=int, default=100, help="flips made from one meta-gradient")
    add(
        "--redraw",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="newly drawn surrogate parameters at every step, as in the thesis",
    )
    add("--attack-seed", type=int, default=0, help="seed of the surrogate and of random flips")
    add("--points", type=int, default=4, help="how many budgets the figures show")
    add("--victims", type=int, default=5, help="number of victim seeds")
    add("--include-perturbed", action="store_true", help="keep perturbed pairs in the metrics")
    add("--device", default="cpu", help="device, e.g. cuda")
    add("--out", type=Path, default=Path("out"), help="folder for table, figures and flips")
    add("--quiet", action="store_true", help="no progress bars")
    add("--smoke", action="store_true", help="a small synthetic graph, a few flips")
    args = parser.parse_args()
    if args.smoke:
        args.dataset, args.flips, args.flips_per_step = "synthetic-interactions", 40, 20
        args.steps, args.victims, args.dim, args.lr = 30, 2, 4, args.lr or 20.0
    if args.lr is None:
        args.lr = 0.05 if args.optimizer == "adam" else LEARNING_RATE[args.model]
    return args


if __name__ == "__main__":
    main()
