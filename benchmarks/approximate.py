"""Time and memory of one exact and of one approximate meta-gradient (Meta-Approx).

``python benchmarks/approximate.py`` measures each side of each case in a separate process; the two
sides take turns. Seconds are medians. Megabytes are the peak above the memory of the process before
its first gradient.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

import pandas as pd
import torch

import graphpoison as gp
from graphpoison._random import generator

DESCENT = gp.Training(steps=100, lr=0.1, momentum=0.9)
ADAM = gp.Training(steps=40, lr=0.02, optimizer="adam")


def cora() -> tuple[gp.Task, gp.Training]:
    return gp.NodeClassification(gp.datasets.load("cora", seed=15)), DESCENT


def movielens(model: gp.Recommender) -> tuple[gp.Task, gp.Training]:
    data = gp.datasets.load("movielens-100k", seed=1, test_fraction=0.0)
    return gp.Recommendation(data, model), ADAM


CASES = {
    "Cora, linear GCN, T = 100": cora,
    "MovieLens-100K, CF, T = 40": lambda: movielens(gp.CF(32)),
    "MovieLens-100K, GMF with layers, T = 40": lambda: movielens(gp.GMF(8, (16, 8))),
}
SIDES = {"exact": gp.Unrolled(), "approximate": gp.Approximate()}


def main() -> None:
    args = parse()
    if args.case is not None:
        print(json.dumps(measure(args.case, args.side, args.repeat)))
        return
    rows = []
    for case in CASES:
        turns: dict[str, list] = {side: [] for side in SIDES}
        for _ in range(args.rounds):
            for side in SIDES:
                turns[side].append(in_process(case, side, args))
        row: dict[str, object] = {"case": case}
        for side, found in turns.items():
            seconds = [second for turn in found for second in turn["seconds"]]
            row[f"{side}, s"] = round(statistics.median(seconds), 3)
            row[f"{side}, MB"] = round(max(turn["megabytes"] for turn in found))
        rows.append(row)
    print(pd.DataFrame(rows).to_string(index=False))


def in_process(case: str, side: str, args: argparse.Namespace) -> dict:
    command = [sys.executable, __file__, "--case", case, "--side", side]
    command += ["--repeat", str(args.repeat)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
    return json.loads(done.stdout)


def measure(case: str, side: str, repeat: int) -> dict[str, object]:
    task, training = CASES[case]()
    hypergradient = SIDES[side]
    task = task.with_pseudo_labels(training, 0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for number in range(repeat + 1):
        started = time.perf_counter()
        hypergradient.at(task, training, task.state, task.init(generator(number))).topk(1)
        seconds.append(time.perf_counter() - started)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds[1:], "megabytes": (after - before) / 1024}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side")
    parser.add_argument("--repeat", type=int, default=3, help="gradients in each turn")
    parser.add_argument("--case", choices=list(CASES), help="only this case, with --side")
    parser.add_argument("--side", choices=list(SIDES))
    torch.set_num_threads(min(2, torch.get_num_threads()))
    return parser.parse_args()


if __name__ == "__main__":
    main()
