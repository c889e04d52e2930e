"""A study of 200 small runs on one worker and on two, and the ratio of the times.

OMP_NUM_THREADS=1 python benchmarks/sweep.py --out /tmp/sweep
"""

import argparse
import shutil
import time
from pathlib import Path

import graphpoison as gp


def small_study(seeds: int = 40) -> gp.Study:
    """40 attacks and 160 evaluations: one attack, two victims, two budgets, 40 seeds."""
    data = gp.datasets.load(
        "synthetic-interactions", num_users=300, num_items=400, num_interactions=12_000
    )
    return gp.Study(
        tasks={"small": gp.Recommendation(data)},
        attacks={"ranking": gp.ranking_attack(steps=10)},
        budgets=[100, 200],
        victims=["ease", "item-knn"],
        seeds=range(seeds),
        metrics=["ndcg@10"],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder, which is emptied")
    parser.add_argument("--seeds", type=int, default=40, help="a fifth of the number of runs")
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    args = parser.parse_args()
    study, seconds = small_study(args.seeds), []
    for jobs in args.jobs:
        shutil.rmtree(args.out, ignore_errors=True)
        began = time.perf_counter()
        frame = gp.sweep(study, args.out, jobs=jobs)
        seconds.append(time.perf_counter() - began)
        assert len(frame) == 5 * args.seeds
        assert frame["status"].eq("done").all()
        print(
            f"{len(frame)} runs on {jobs}: {seconds[-1]:.1f} s, "
            f"{frame['seconds'].sum():.1f} s of them in runs, {seconds[0] / seconds[-1]:.2f} times"
        )


if __name__ == "__main__":
    main()
