"""A study: two attacks, compared with random flips by paired tests.

Prints the comparison, and writes the comparison, the table of all runs and a picture to ``--out``.
The same command resumes an interrupted study.

    python examples/study.py
    python examples/study.py --jobs 2 --seeds 10
    python examples/study.py --dataset movielens-100k --budget 0.05
"""

import argparse
from pathlib import Path

import graphpoison as gp
from graphpoison.report import compare


def main() -> None:
    args = parse()
    data = gp.datasets.load(args.dataset, root=args.root, **args.size)
    ranking = gp.ranking_attack(max_profile_share=args.share, steps=args.steps)
    study = gp.Study(
        tasks={args.dataset: gp.Recommendation(data, "ease", objective=gp.Degrade(k=10))},
        attacks={
            "ranking": ranking,
            "rare": gp.HeuristicAttack("rare items become popular", args.share),
            "random": gp.random_like(ranking),
        },
        budgets=[args.budget],
        victims=args.victims,
        seeds=range(args.seeds),
        metrics=["ndcg@10"],
    )
    frame = gp.sweep(study, args.out, jobs=args.jobs, progress=not args.quiet)
    print(frame["status"].value_counts().to_string())
    found = compare(frame, against="random", test=args.test)
    columns = ["victim", "attack", "against", "difference", "low", "high", "p_holm", "pairs"]
    print(found.table[columns].to_string(index=False, float_format="{:.4f}".format))
    found.to_latex(args.out / "comparison.tex", caption="Drops of NDCG@10 beyond random flips")
    found.to_html(args.out / "comparison.html")
    found.plot(args.out / "comparison.png")
    print(f"wrote {args.out / 'runs.parquet'} and comparison.tex, .html and .png beside it")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--dataset", default="synthetic-interactions", choices=gp.datasets.names())
    add("--root", help="folder with the raw files, searched first")
    add("--victims", nargs="+", default=["ease", "item-knn"], help="recommenders, by name")
    add("--budget", type=float, default=0.02, help="share of the interactions that is flipped")
    add("--share", type=float, default=0.25, help="largest share of each user's interactions")
    add("--steps", type=int, default=20, help="gradient steps of the attack on rankings")
    add("--seeds", type=int, default=5, help="number of seeds of attacks and victims")
    add("--test", default="t", choices=["t", "wilcoxon"], help="paired test")
    add("--jobs", type=int, default=1, help="runs at a time, -1 for all processors")
    add("--out", type=Path, default=Path("out/study"), help="folder of the study")
    add("--quiet", action="store_true", help="no progress bar")
    add("--smoke", action="store_true", help="a small synthetic graph, two seeds")
    args = parser.parse_args()
    args.size = {}
    if args.smoke:
        args.dataset, args.seeds, args.steps, args.victims = (
            "synthetic-interactions",
            2,
            2,
            ["ease"],
        )
        args.size = {"num_users": 40, "num_items": 60, "num_interactions": 400}
    return args


if __name__ == "__main__":
    main()
