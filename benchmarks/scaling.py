"""Time and memory against steps, edges and nodes: ``python benchmarks/scaling.py``.

Each point runs in a separate process. All points take turns, so that all are affected if the
machine slows down. Writes scaling.csv and scaling.png, and prints the exponents: the slopes of the
least-squares lines through the logarithms.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from cases import measure
from matplotlib.figure import Figure
from problems import Once, link_attack, link_task, node_attack
from problems import random_citation as citation
from problems import random_interactions as interactions

from graphpoison.report.colours import COLOURS

CPU = torch.device("cpu")


def steps_of(steps: int, model: str) -> Once:
    return link_attack(*link_task(model, CPU), steps=steps)


def edges_of_cf(edges: int) -> Once:
    return link_attack(interactions(8_000, 4_000, edges // 2, edges // 2, CPU), 1000.0)


def nodes_of_gcn(nodes: int) -> Once:
    return node_attack(citation(nodes, 2 * nodes, 500, 5, CPU))


SERIES: dict[str, tuple[Callable[[int], Once], list[int]]] = {
    "CF on MovieLens-100K, steps T": (partial(steps_of, model="cf"), [20, 50, 100, 200]),
    "GMF with layers, steps T": (partial(steps_of, model="gmf"), [20, 50, 100, 200]),
    "NeuMF, steps T": (partial(steps_of, model="neumf"), [20, 50, 100, 200]),
    "CF, pairs": (edges_of_cf, [160_000, 320_000, 640_000, 1_280_000, 2_560_000]),
    "linear GCN, all pairs, nodes": (nodes_of_gcn, [2_500, 5_000, 10_000, 20_000, 40_000, 80_000]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--rounds", type=int, default=3, help="turns of each point")
    parser.add_argument("--repeat", type=int, default=1, help="measurements in each turn")
    parser.add_argument("--only", help="only series whose names contain this")
    parser.add_argument("--point", nargs=2, metavar=("SERIES", "SIZE"), help="measure one point")
    args = parser.parse_args()
    torch.set_num_threads(2)
    if args.point:
        make, size = SERIES[args.point[0]][0], int(args.point[1])
        found = measure(lambda _: make(size), args.repeat, CPU)
        print(json.dumps([statistics.median(found["seconds"]), found["bytes"]]))
        return
    names = [name for name in SERIES if (args.only or "") in name]
    rows = [
        point(name, size, args.repeat)
        for _ in range(args.rounds)
        for name in names
        for size in SERIES[name][1]
    ]
    table = pd.DataFrame(rows).groupby(["series", "size"], sort=False, as_index=False)
    table = table.agg({"seconds": "median", "MB": "max"})
    print(table.to_string(index=False))
    for name, part in table.groupby("series", sort=False):
        print(f"{name}: seconds grow with exponent {slope(part, 'seconds'):.2f}")
    args.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(args.out / "scaling.csv", index=False)
    plot(table, args.out / "scaling.png")


def point(name: str, size: int, repeat: int) -> dict[str, object]:
    command = [sys.executable, __file__, "--repeat", str(repeat), "--point", name, str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    seconds, memory = json.loads(done.stdout.splitlines()[-1])
    return {"series": name, "size": size, "seconds": round(seconds, 3), "MB": round(memory / 2**20)}


def slope(part: pd.DataFrame, column: str) -> float:
    return float(np.polyfit(np.log(part["size"]), np.log(part[column]), 1)[0])


def plot(table: pd.DataFrame, path: Path) -> None:
    groups = list(table.groupby("series", sort=False))
    figure = Figure(figsize=(4 * len(groups), 6), layout="constrained")
    panels = figure.subplots(2, len(groups), squeeze=False)
    for column, (name, part) in enumerate(groups):
        for line, (quantity, colour) in enumerate(zip(("seconds", "MB"), COLOURS, strict=False)):
            axis = panels[line][column]
            axis.plot(part["size"], part[quantity], "o-", color=colour)
            axis.set(xscale="log", ylabel=quantity, xlabel=name)
            axis.set_xticks(part["size"], [f"{size:,}" for size in part["size"]], rotation=30)
            axis.set_xticks([], minor=True)
            if quantity == "seconds":
                axis.set_yscale("log")
                axis.set_title(f"exponent {slope(part, quantity):.2f}")
            else:
                axis.set_ylim(0, 1.1 * max(1, part[quantity].max()))
            axis.grid(alpha=0.3, which="both")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
