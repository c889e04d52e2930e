"""The library beside plain autograd, both measured in one run: ``python benchmarks/run.py``.

Each side of each case runs in a separate process. Both sides of a case take turns, so that both are
affected if the machine slows down. Times are medians over all turns.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from cases import CASES, Case
from torch import Tensor

HERE = Path(__file__).parent
SIZES = {"small": ("small",), "full": ("small", "full"), "large": ("small", "full", "large")}


@dataclass(frozen=True)
class Speed:
    """The peak speed of this machine, from which the lower bounds are computed."""

    gflops: float
    gigabytes: float


@dataclass(frozen=True)
class Measured:
    """One side: seconds of each repetition, peak memory."""

    seconds: list[float]
    bytes: float

    def joined(self, other: "Measured") -> "Measured":
        return Measured(self.seconds + other.seconds, max(self.bytes, other.bytes))


def main() -> None:
    args = parse()
    chosen = [name for name, case in CASES.items() if case.size in SIZES[args.size]]
    chosen = args.only or chosen
    torch.set_num_threads(args.threads)
    speed = Speed(matmul_gflops(args.device), copy_gigabytes(args.device))
    print(
        f"{args.threads} threads, {args.device}, matrix product {speed.gflops:.0f} GFLOP/s, "
        f"copy {speed.gigabytes:.0f} GB/s"
    )
    rows = [row(name, CASES[name], speed, args) for name in chosen]
    table = pd.DataFrame(rows)
    print(table.to_string(index=False))
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        table.to_csv(args.out / "table.csv", index=False)


def row(name: str, case: Case, speed: Speed, args: argparse.Namespace) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        files = {side: Path(folder) / f"{side}.pt" for side in ("ours", "baseline")}
        alone = case.baseline is None or args.ours_only
        ours, other = Measured([], 0.0), Measured([], 0.0)
        for _ in range(args.rounds):
            ours = ours.joined(side(name, "ours", args.repeat, files["ours"], args))
            if not alone:
                turn = side(name, "baseline", args.baseline_repeat, files["baseline"], args)
                other = other.joined(turn)
        found: dict[str, object] = {
            "case": case.title,
            "seconds": round(statistics.median(ours.seconds), 3),
            "MB": round(ours.bytes / 2**20),
            "FLOP bound": round(case.flops / speed.gflops / 1e9, 3),
            "byte bound": round(case.moved / speed.gigabytes / 1e9, 3),
        }
        if alone:
            return found
        left, right = (torch.load(file, weights_only=True).double() for file in files.values())
    found["baseline"] = round(statistics.median(other.seconds), 2)
    found["baseline MB"] = round(other.bytes / 2**20)
    found["times"] = round(float(found["baseline"]) / float(found["seconds"]), 1)
    found["difference"] = f"{float((left - right).norm() / right.norm()):.0e}"
    return found


def side(name: str, which: str, repeat: int, file: Path, args: argparse.Namespace) -> Measured:
    command = [sys.executable, str(HERE / "cases.py"), name, which, "--repeat", str(repeat)]
    command += ["--threads", str(args.threads), "--device", args.device, "--result", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def matmul_gflops(device: str) -> float:
    matrix = torch.rand(2048, 2048, device=device)
    return 2 * 2048**3 / fastest(lambda: matrix @ matrix) / 1e9


def copy_gigabytes(device: str) -> float:
    """Gigabytes per second that a copy larger than the cache reads and writes."""
    source = torch.rand(2**26, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / fastest(lambda: target.copy_(source)) / 1e9


def fastest(once: Callable[[], Tensor]) -> float:
    times = []
    for _ in range(6):
        start = time.perf_counter()
        float(once().view(-1)[0])
        times.append(time.perf_counter() - start)
    return min(times)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--size", default="small", choices=SIZES)
    parser.add_argument("--only", nargs="+", choices=CASES, help="only these cases")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side")
    parser.add_argument("--repeat", type=int, default=5, help="runs of the library in each turn")
    parser.add_argument("--baseline-repeat", type=int, default=2, help="its runs in each turn")
    parser.add_argument("--ours-only", action="store_true", help="leave the baselines out")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="folder for table.csv")
    return parser.parse_args()


if __name__ == "__main__":
    main()
