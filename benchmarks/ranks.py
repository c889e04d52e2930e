"""One attack over 1, 2 and 4 processes: ``python benchmarks/ranks.py``.

Every process has one thread. A measurement is one exact meta-gradient with the search for its best
100 flips; all numbers of ranks take turns. Writes ranks.csv and prints its rows: the median of the
seconds, the efficiency (seconds of one process over ranks times seconds), and whether the flips and
the last bits of their scores are the same as with one process.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from problems import GCN, link_task, node_task
from torch import distributed as dist

import graphpoison as gp
from graphpoison._memory import peak_bytes
from graphpoison._random import generator
from graphpoison._settings import digest

CPU = torch.device("cpu")
Problem = tuple[gp.Task, gp.Training]


def nodes(surrogate: str) -> Problem:
    return node_task(surrogate, CPU), GCN


def links(model: str, name: str = "movielens-100k", dim: int = 32) -> Problem:
    task, lr = link_task(model, CPU, name, dim)
    return task, gp.Training(50, lr)


CASES: dict[str, Callable[[], Problem]] = {
    "Cora, linear GCN": lambda: nodes("linear-gcn"),
    "Cora, SGC": lambda: nodes("sgc"),
    "MovieLens-100K, CF": lambda: links("cf"),
    "MovieLens-100K, CF, BPR": lambda: links("cf-bpr"),
    "MovieLens-100K, GMF with layers": lambda: links("gmf"),
    "MovieLens-100K, LightGCN": lambda: links("lightgcn"),
    "Gowalla, CF": lambda: links("cf", "gowalla", 64),
    "Gowalla, LightGCN": lambda: links("lightgcn", "gowalla", 64),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rounds", type=int, default=3, help="turns of each number of ranks")
    parser.add_argument("--repeat", type=int, default=1, help="measurements in each turn")
    parser.add_argument("--only", help="only cases whose names contain this")
    parser.add_argument("--measure", metavar="CASE", help="measure one case, in this process")
    args = parser.parse_args()
    if args.measure:
        measure(args.measure, args.repeat)
        return
    rows = []
    for case in (case for case in CASES if (args.only or "") in case):
        turns = [
            (size, turn(case, size, args.repeat)) for _ in range(args.rounds) for size in args.ranks
        ]
        of_size = {size: [each for at, each in turns if at == size] for size in args.ranks}
        median = {
            size: statistics.median(second for each in found for second in each["seconds"])
            for size, found in of_size.items()
        }
        flips = {size: {each["flips"] for each in found} for size, found in of_size.items()}
        for size in args.ranks:
            rows.append(
                {
                    "case": case,
                    "ranks": size,
                    "seconds": round(median[size], 4),
                    "efficiency": round(median[args.ranks[0]] / (size * median[size]), 2),
                    "same flips": flips[size] == flips[args.ranks[0]] and len(flips[size]) == 1,
                    "MB of a rank": max(round(each["bytes"] / 2**20) for each in of_size[size]),
                }
            )
            print(rows[-1], flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(args.out / "ranks.csv", index=False)
    print(pd.DataFrame(rows).to_string(index=False))


def turn(case: str, size: int, repeat: int) -> dict[str, object]:
    """One measurement, in ``size`` new processes."""
    start = [sys.executable]
    if size > 1:
        start += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={size}"]
    done = subprocess.run(
        [*start, __file__, "--measure", case, "--repeat", str(repeat)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))


def measure(case: str, repeat: int) -> None:
    """Print seconds, a digest of the flips and peak memory, if this process is the first."""
    torch.set_num_threads(1)
    task, training = CASES[case]()
    shared = "TORCHELASTIC_RUN_ID" in os.environ
    if shared:
        dist.init_process_group("gloo")
        task = task.over(gp.Ranks.of_group())
    start, seconds = task.init(generator(0)), []
    for _ in range(repeat + 1):  # the first is a warm-up and is not counted
        began = time.perf_counter()
        flips = gp.Unrolled().at(task, training, task.state, start).topk(100)
        seconds.append(time.perf_counter() - began)
    if task.ranks.first:
        found = {"seconds": seconds[1:], "flips": digest(flips.pairs, flips.score)}
        print(json.dumps({**found, "bytes": peak_bytes(CPU)}))
    if shared:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
