"""Measure attacks on random graphs, and fit ``graphpoison estimate`` to them.

Every point is a whole attack in a separate process, on one thread. Finished points are saved in
``--points``, so that the same command resumes an interrupted run. The coefficients are written into
the package, or to ``--out``. ``--check`` measures thirteen other points, which are not part of the
fit, and prints measured and estimated values. Use a machine on which nothing else runs: the last
column, wall-clock time over processor time, is then 1.
"""

import argparse
import json
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from graphpoison import estimates
from graphpoison._memory import peak_bytes
from graphpoison._store import Store
from graphpoison.estimates import (
    Coefficients,
    NodeWorkload,
    RankingWorkload,
    RecommenderWorkload,
    Workload,
    estimate_by_size,
)
from graphpoison.estimates.fitting import fit, largest_ratio, total
from graphpoison.estimates.measuring import random_graph, run, smallest
from graphpoison.estimates.model import SHIPPED
from graphpoison.training import iterates

PACKAGES = ("graphpoison", "torch", "torch-geometric", "numpy")
TRIES, QUIET = 3, 1.1
"""A point is measured up to TRIES times, until wall-clock time is at most QUIET times processor
time."""
KINDS = {kind.__name__: kind for kind in (RecommenderWorkload, RankingWorkload, NodeWorkload)}


@dataclass(frozen=True)
class Point:
    """A workload to be measured.

    Args:
        workload: the attack.
        checkpoints: whether iterates are kept as checkpoints although they would fit into a file.
            On large graphs, iterates are always kept as checkpoints.
    """

    workload: Workload
    checkpoints: bool = False

    @property
    def key(self) -> str:
        known = {"kind": type(self.workload).__name__, **asdict(self.workload)}
        return json.dumps({**known, "checkpoints": self.checkpoints})

    @classmethod
    def of(cls, key: str) -> "Point":
        known = json.loads(key)
        kind, checkpoints = KINDS[known.pop("kind")], known.pop("checkpoints")
        lists = {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
        return cls(kind(**{**known, **lists}), checkpoints)

    @contextmanager
    def limits(self) -> Iterator[None]:
        """Set where iterates are kept, in this block."""
        before = iterates.KEPT_BYTES, iterates.SPOOLED_BYTES
        if self.checkpoints:
            iterates.KEPT_BYTES = iterates.SPOOLED_BYTES = 0
        try:
            yield
        finally:
            iterates.KEPT_BYTES, iterates.SPOOLED_BYTES = before


def R(users: int, items: int, pairs: int, dim: int, steps: int, **options: Any) -> Point:
    """A recommender trained in steps, by gradient descent unless ``options`` say otherwise."""
    checkpoints = options.pop("checkpoints", False)
    options = {"optimizer": "sgd", "dim": dim, "steps": steps, **options}
    return Point(RecommenderWorkload(users, items, pairs, **options), checkpoints)


def E(users: int, items: int, pairs: int, steps: int, halves: int = 2) -> Point:
    return Point(RankingWorkload(users, items, pairs, steps, halves))


def N(nodes: int, edges: int, features: int, classes: int, labels: int, **options: Any) -> Point:
    return Point(NodeWorkload(nodes, edges, features, classes, labels, **options))


ADAM: dict[str, Any] = {"optimizer": "adam"}
BPR: dict[str, Any] = {"loss": "bpr"}
LIGHT: dict[str, Any] = {"surrogate": "lightgcn"}
AGAIN: dict[str, Any] = {"checkpoints": True}
SGC: dict[str, Any] = {"surrogate": "sgc"}


def gmf(*layers: int) -> dict[str, Any]:
    return {"surrogate": "gmf", "layers": layers}


POINTS = [
    R(2_000, 1_000, 20_000, 16, 50, **ADAM),
    R(8_000, 4_000, 200_000, 32, 20, gradients=2, **ADAM),
    R(8_000, 4_000, 200_000, 64, 10, gradients=3),
    R(100_000, 20_000, 300_000, 16, 10, **ADAM),
    R(30_000, 10_000, 1_000_000, 32, 5),
    R(5_000, 40_000, 600_000, 64, 5),
    R(20_000, 5_000, 100_000, 128, 10, **ADAM),
    R(3_000, 2_000, 800_000, 16, 10),
    R(20_000, 10_000, 400_000, 32, 16, **ADAM, **AGAIN),
    R(50_000, 20_000, 100_000, 32, 9, **AGAIN),
    R(150_000, 10_000, 300_000, 64, 8, **ADAM),
    R(300_000, 20_000, 400_000, 32, 6),
    R(140_000, 140_000, 300_000, 64, 4, **ADAM),
    R(2_000, 1_000, 20_000, 16, 50, **BPR, **ADAM),
    R(8_000, 4_000, 200_000, 32, 10, gradients=2, **BPR),
    R(8_000, 4_000, 100_000, 128, 10, **BPR, **ADAM),
    R(20_000, 10_000, 600_000, 16, 5, **BPR),
    R(10_000, 5_000, 200_000, 32, 9, **BPR, **ADAM, **AGAIN),
    R(2_000, 1_000, 20_000, 16, 50, **LIGHT, **ADAM),
    R(8_000, 4_000, 200_000, 32, 10, gradients=2, **LIGHT),
    R(8_000, 4_000, 100_000, 64, 10, hops=1, **LIGHT, **ADAM),
    R(8_000, 4_000, 100_000, 32, 10, hops=3, **LIGHT),
    R(50_000, 20_000, 200_000, 16, 10, **LIGHT),
    R(10_000, 5_000, 400_000, 64, 5, **LIGHT),
    R(10_000, 5_000, 200_000, 32, 9, **LIGHT, **ADAM, **AGAIN),
    R(2_000, 1_000, 20_000, 16, 50, **gmf(16, 8), **ADAM),
    R(8_000, 4_000, 100_000, 32, 20, gradients=2, **gmf(16, 8)),
    R(8_000, 4_000, 100_000, 64, 10, **gmf(32), **ADAM),
    R(8_000, 4_000, 200_000, 32, 5, **gmf(64, 32)),
    R(20_000, 5_000, 300_000, 16, 10, **gmf(8)),
    R(5_000, 2_000, 100_000, 32, 9, **gmf(16, 8), **ADAM, **AGAIN),
    E(1_000, 300, 20_000, 4),
    E(2_000, 500, 40_000, 2),
    E(5_000, 500, 80_000, 3),
    E(2_000, 1_000, 60_000, 2),
    E(1_000, 2_000, 60_000, 2, halves=1),
    E(8_000, 300, 80_000, 4),
    E(3_000, 1_500, 90_000, 3),
    N(2_000, 4_000, 1_000, 5, 200, gradients=4),
    N(5_000, 10_000, 1_400, 7, 500, gradients=2),
    N(5_000, 50_000, 1_400, 7, 500, steps=20),
    N(20_000, 40_000, 500, 3, 2_000),
    N(40_000, 80_000, 300, 3, 2_000, steps=20, gradients=2),
    N(10_000, 20_000, 200, 20, 4_000, density=0.5),
    N(40_000, 200_000, 100, 10, 10_000, steps=50, density=0.5),
    N(2_000, 4_000, 1_000, 5, 200, gradients=4, **SGC),
    N(5_000, 10_000, 1_400, 7, 500, gradients=2, **SGC),
    N(3_000, 6_000, 2_000, 3, 1_000, steps=50, **SGC),
    N(20_000, 40_000, 500, 3, 2_000, **SGC),
    N(40_000, 80_000, 300, 3, 2_000, steps=20, gradients=2, **SGC),
    N(40_000, 200_000, 100, 10, 10_000, steps=50, density=0.5, **SGC),
]
CHECK = [
    R(5_000, 3_000, 90_000, 24, 30, gradients=2, **ADAM),
    R(80_000, 12_000, 1_200_000, 48, 6),
    R(180_000, 30_000, 500_000, 64, 12, **ADAM),  # iterates do not fit a file
    R(250_000, 20_000, 600_000, 48, 8),
    R(12_000, 7_000, 350_000, 40, 14, **BPR, **ADAM),
    R(7_000, 4_000, 150_000, 40, 16, **LIGHT, **ADAM),
    R(25_000, 15_000, 600_000, 32, 6, **LIGHT),
    R(9_000, 4_000, 120_000, 40, 24, **gmf(20, 10), **ADAM),
    E(4_000, 700, 70_000, 4),
    E(5_000, 1_400, 120_000, 3),
    N(8_000, 18_000, 900, 5, 500, gradients=3),
    N(50_000, 120_000, 300, 6, 8_000),
    N(12_000, 30_000, 600, 4, 2_500, gradients=2, **SGC),
]
TINY = [
    *(R(200, 100, 1_000, dim, steps, **ADAM) for dim in (4, 8) for steps in (3, 9)),
    *(R(200, 100, 2_000, 4, 3, **kind) for kind in (BPR, LIGHT, gmf(4), AGAIN)),
    R(200, 100, 2_000, 8, 3, gradients=2, **BPR),
    E(60, 40, 300, 2),
    N(200, 400, 50, 3, 20, steps=5),
    N(200, 400, 50, 3, 100, steps=5, **SGC),
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=Path, default=Path("fit_estimate.sqlite"))
    parser.add_argument("--out", type=Path, default=Path(estimates.__file__).with_name(SHIPPED))
    parser.add_argument("--check", action="store_true", help="measure the points of the check")
    parser.add_argument("--tiny", action="store_true", help="a few tiny points, to try this script")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--point", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.point:
        print(json.dumps(measure(Point.of(args.point), args.device)))
        return
    points = CHECK if args.check else TINY if args.tiny else POINTS
    store = Store(args.points)
    measured = [kept(store, point, args.device) for point in points]
    if not args.check:
        fitted(points, measured, args.device).save(args.device, args.out)
    lines = compared(points, measured, Coefficients.load(args.device, args.out), args.device)
    print(markdown([lines[0].keys(), ["---"] * len(lines[0]), *(line.values() for line in lines)]))
    for name in ("seconds", "MB"):
        ratio = largest_ratio((line[name], line[f"{name}, estimated"]) for line in lines)
        print(f"largest ratio of {name}: {ratio:.2f}")


def kept(store: Store, point: Point, device: str) -> dict[str, Any]:
    """The measured values of a point, read from the store if it has them."""
    key = f"{device} {point.key}"
    found = store.get(key)
    if found is None:
        tries: list[dict[str, Any]] = []
        while len(tries) < TRIES and (not tries or waited(tries[-1]) > QUIET):
            tries.append(measured_apart(point, device))
        found = store.put(key, min(tries, key=waited))
        print(f"{found['seconds']:8.3f} s, {waited(found):.2f}  {words(point)}", file=sys.stderr)
    return dict(found)


def waited(found: dict[str, Any]) -> float:
    """Wall-clock time over processor time: 1 if nothing else runs."""
    return float(found["seconds"] / found["processor"])


def measured_apart(point: Point, device: str) -> dict[str, Any]:
    """The values of a point, measured in a separate process."""
    command = [sys.executable, __file__, "--device", device, "--point", point.key]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{point.key}\n{done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(point: Point, device: str) -> dict[str, float]:
    """Wall-clock seconds and processor seconds of the attack, and bytes at the peak."""
    torch.set_num_threads(1)
    place, tiny = torch.device(device), smallest(point.workload)
    run(tiny, random_graph(tiny).to(device))  # loads modules that are imported late
    before = peak_bytes(place) or 0
    data = random_graph(point.workload).to(device)
    used = time.process_time()
    with point.limits():
        seconds = run(point.workload, data)
    used = time.process_time() - used
    more = (peak_bytes(place) or 0) - before
    return {"seconds": seconds, "processor": used, "bytes": more, "process": before}


def fitted(points: list[Point], measured: list[dict[str, Any]], device: str) -> Coefficients:
    """Coefficients that are fitted to the measured points."""
    seconds, arrays = [], []
    for point, found in zip(points, measured, strict=True):
        with point.limits():
            work, on_cpu = point.workload, device == "cpu"
            seconds.append((total(work.operations(on_cpu), work.num_gradients), found["seconds"]))
            arrays.append((total(work.bytes(on_cpu)), found["bytes"]))
    return Coefficients(
        fit(seconds),
        fit(arrays),
        max(found["process"] for found in measured),
        processor() if device == "cpu" else torch.cuda.get_device_name(),
        1,
        {name: metadata.version(name) for name in PACKAGES},
        len(points),
    )


def processor() -> str:
    """The name of the processor, as reported by Linux."""
    known = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.+)$", known.read_text(), re.M) if known.exists() else []
    return names[0] if names else platform.processor()


def compared(
    points: list[Point], measured: list[dict[str, Any]], known: Coefficients, device: str
) -> list[dict[str, Any]]:
    """Measured and estimated values, one line for each point."""
    lines = []
    for point, found in zip(points, measured, strict=True):
        with point.limits():
            cost = estimate_by_size(point.workload, device=device, coefficients=known)
        seconds = cost.setup_seconds + cost.seconds
        more = (cost.bytes or 0) - known.process_bytes
        lines.append(
            {
                "attack": words(point),
                "seconds": round(found["seconds"], 3),
                "seconds, estimated": round(seconds, 3),
                "ratio": round(seconds / found["seconds"], 2),
                "MB": round(found["bytes"] / 2**20),
                "MB, estimated": round(more / 2**20),
                "ratio of MB": round(more / found["bytes"], 2),
                "clock / processor": round(waited(found), 2),
            }
        )
    return lines


def markdown(rows: Iterable[Iterable[Any]]) -> str:
    """A table in markdown."""
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def words(point: Point) -> str:
    """The sizes, and the settings that differ from the defaults."""
    kind = type(point.workload)
    usual = {each.name: each.default for each in fields(kind)}
    known = asdict(point.workload)
    parts = [f"{name}={value}" for name, value in known.items() if value != usual[name]]
    return f"{kind.__name__}({', '.join(parts)})" + (", checkpoints" if point.checkpoints else "")


if __name__ == "__main__":
    main()
