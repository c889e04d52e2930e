"""100 million interactions in a file, two processes: ``python benchmarks/hundred_million.py``.

Writes a CSV file of synthetic interactions unless the file exists, and starts ``--ranks``
processes. The first process reads the file, draws negatives (by default one for ten interactions)
and makes the task; all processes map its tensors. Each process takes part in one exact
meta-gradient of CF (D = 32, T = 50), and prints a line of JSON: seconds for reading with the task
and for the gradient, its largest memory, and how much of the memory is shared.
``--interactions 1000000`` is a trial of a minute.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import distributed as dist

import graphpoison as gp
from graphpoison._memory import peak_bytes
from graphpoison._random import generator

CHUNK = 5_000_000
SHARE = 200
"""Average number of interactions of a user; the average of an item is 1,000, five times as many."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder of the file")
    parser.add_argument("--interactions", type=int, default=100_000_000)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--negatives", type=float, default=0.1, help="for each interaction")
    parser.add_argument("--measure", action="store_true", help="run as one of the processes")
    args = parser.parse_args()
    path = args.out / f"interactions-{args.interactions}.csv"
    if args.measure:
        measure(path, args.steps, args.negatives)
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


def measure(path: Path, steps: int, negatives: float) -> None:
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    dist.init_process_group("gloo")
    ranks, seconds = gp.Ranks.of_group(), [time.perf_counter()]

    def read() -> gp.Recommendation:
        frame = gp.datasets.read_interactions(path)
        drawn = round(negatives * len(frame))
        data = gp.datasets.from_interactions(frame, test_fraction=0.0, num_negatives=drawn)
        del frame
        return gp.Recommendation(data, gp.CF(32))

    task = ranks.mapped(read).over(ranks)
    seconds.append(time.perf_counter())
    read_peak = peak_bytes(torch.device("cpu")) or 0
    start = task.init(generator(0))
    found = gp.Unrolled().at(task, gp.Training(steps, 3000.0), task.state, start)
    best = found.topk(100, allow_removals=False)
    seconds.append(time.perf_counter())
    took = [round(after - before, 1) for before, after in pairwise(seconds)]
    peak = peak_bytes(torch.device("cpu")) or 0
    line = {
        "rank": ranks.rank,
        "interactions": int((task.state.clean > 0).sum()),
        "pairs": task.state.num_listed,
        "best": float(best.score[0]),
        "seconds": dict(zip(("read", "gradient"), took, strict=True)),
        "peak MB, reading": round(read_peak / 2**20),
        "peak MB": round(peak / 2**20),
        "of it shared MB": round(shared_bytes() / 2**20),
    }
    print(json.dumps(line), flush=True)
    dist.destroy_process_group()


def shared_bytes() -> int:
    """Bytes of mapped files in the memory of this process."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("RssFile:")[1].split()[0])


if __name__ == "__main__":
    main()
