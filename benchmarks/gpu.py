"""The table of ``run.py`` on a GPU, in 8 minutes at most: ``python benchmarks/gpu.py``.

Cases run in the order :data:`ORDER` until the time is up; in each case, the library runs before the
baseline. The page is written again after every case.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from pathlib import Path

import torch
from cases import CASES, Case

HERE = Path(__file__).parent
ORDER = [
    *("cora-linear", "arxiv-size", "movielens-cf", "movielens-gmf", "gowalla-cf", "cora-relu"),
    *("movielens-lightgcn", "movielens-neumf", "gowalla-lightgcn", "pubmed-size"),
    *("netflix-size", "movielens-cf-bpr", "movielens-lightgcn-bpr", "ml-20m-size"),
]
HEADER = "| case | seconds | MB | baseline, seconds | its MB | times |\n" + "| --- " * 6 + "|"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--only", nargs="+", choices=CASES, default=ORDER)
    parser.add_argument("--out", type=Path, default=Path("gpu.md"))
    args = parser.parse_args()
    end = time.monotonic() + 60 * args.minutes
    lines: list[str] = []
    for name in args.only:
        lines.append(row(CASES[name], name, args.device, end))
        args.out.write_text(page(args.device, lines))
    print(args.out.read_text())


def row(case: Case, name: str, device: str, end: float) -> str:
    ours = side(name, "ours", device, end, repeat=3)
    other = None if ours is None or case.baseline is None else side(name, "baseline", device, end)
    cells = [cell for found in (ours, other) for cell in figures(found)]
    if ours is not None and other is not None:
        cells.append(f"{min(other['seconds']) / min(ours['seconds']):.1f}")
    else:
        cells.append("-")
    return f"| {' | '.join([case.title, *cells])} |"


def side(name: str, which: str, device: str, end: float, repeat: int = 1) -> dict | None:
    """Seconds and bytes of one side; None if the time or the memory does not suffice."""
    command = [sys.executable, str(HERE / "cases.py"), name, which, "--repeat", str(repeat)]
    command += ["--device", device]
    left = end - time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=max(left, 0.1))
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        print(f"{name}, {which}: {said[-1]}", file=sys.stderr)
        return None
    found: dict = json.loads(done.stdout.splitlines()[-1])
    return found


def figures(found: dict | None) -> list[str]:
    if found is None:
        return ["-", "-"]
    return [f"{min(found['seconds']):.3f}", f"{found['bytes'] / 2**20:,.0f}"]


def page(device: str, lines: list[str]) -> str:
    name = platform.processor() or device
    if torch.device(device).type == "cuda":
        name = torch.cuda.get_device_name(device)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    intro = (
        f"{name}, torch {torch.__version__}, commit {commit.stdout.strip() or 'unknown'}; the best "
        "of three runs of the library, and one run of a baseline; `-` if there is no baseline, or "
        "if time or memory did not suffice."
    )
    return "\n".join(["# On a GPU", "", intro, "", HEADER, *lines, ""])


if __name__ == "__main__":
    main()
