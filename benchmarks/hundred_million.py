"""100 million interactions in a file, two processes: ``python benchmarks/hundred_million.py``.

Writes a CSV file of synthetic interactions unless the file exists, and starts ``--ranks``
processes. Each process reads the file, takes part in one exact meta-gradient of CF (D = 32, T = 50,
as many negatives as interactions), and prints a line of JSON: seconds for reading, for making the
task and for the gradient, and the peak of its memory after each. ``--interactions 1000000`` is a
trial of a minute.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import distributed as dist

import graphpoison as gp
from graphpoison._memory import peak_bytes
from graphpoison._random import generator
from graphpoison.datasets.source import Reading, open_graph

CHUNK = 5_000_000
SHARE = 200
"""Average number of interactions of a user; the average of an item is 1,000, five times as many."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder of the file")
    parser.add_argument("--interactions", type=int, default=100_000_000)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--measure", action="store_true", help="run as one of the processes")
    args = parser.parse_args()
    path = args.out / f"interactions-{args.interactions}.csv"
    if args.measure:
        measure(path, args.steps)
        return
    if not path.exists():
        args.out.mkdir(parents=True, exist_ok=True)
        write(path, args.interactions)
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={args.ranks}"]
    subprocess.run(
        [sys.executable, *launcher, __file__, "--measure", *sys.argv[1:]],
        env={"OMP_NUM_THREADS": "1", **os.environ},
        check=True,
    )


def write(path: Path, count: int) -> None:
    """Popular items and active users are drawn more often; repeated pairs are not removed."""
    rng, part = np.random.default_rng(0), path.with_suffix(".part")
    users, items = max(1, count // SHARE), max(1, count // (5 * SHARE))
    with part.open("w") as file:
        file.write("user,item\n")
        for start in range(0, count, CHUNK):
            drawn = rng.random((2, min(CHUNK, count - start)))
            user = (users * drawn[0] ** 1.5).astype(np.int64)
            item = (items * drawn[1] ** 2.0).astype(np.int64)
            np.savetxt(file, np.stack([user, item], axis=1), fmt="u%d,i%d")
    part.rename(path)


def measure(path: Path, steps: int) -> None:
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    dist.init_process_group("gloo")
    ranks, seconds, peaks = gp.Ranks.of_group(), [time.perf_counter()], []

    def done() -> None:
        seconds.append(time.perf_counter())
        peaks.append(round((peak_bytes(torch.device("cpu")) or 0) / 2**20))

    data = open_graph(path, Reading(test_fraction=0.0))
    done()
    task = gp.Recommendation(data, gp.CF(32)).over(ranks)
    start = task.init(generator(0))
    done()
    found = gp.Unrolled().at(task, gp.Training(steps, 3000.0), task.state, start)
    best = found.topk(100, allow_removals=False)
    done()
    parts = ("read", "task", "gradient")
    took = {name: round(b - a, 1) for name, a, b in zip(parts, seconds, seconds[1:], strict=False)}
    pairs = task.state.num_listed
    line = {"rank": ranks.rank, "pairs": pairs, "best": float(best.score[0]), "seconds": took}
    print(json.dumps({**line, "peak MB": dict(zip(parts, peaks, strict=True))}), flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
