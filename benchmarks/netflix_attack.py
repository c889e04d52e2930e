"""75,000 flips in a set of Netflix's size: ``python benchmarks/netflix_attack.py``.

The graph is random, of the size of the thesis's Netflix set: 8,138 users, 1,503 items, 1.66 million
interactions, 1.5 million negatives, of which 5% are flipped. The thesis stopped at 2,000 flips.
Killed, the command goes on where it was.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from problems import random_interactions

import graphpoison as gp
from graphpoison.attacks.estimate import peak_bytes


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--flips", type=int, default=75_000)
    parser.add_argument("--flips-per-step", type=int, default=500)
    parser.add_argument("--steps", type=int, default=50, help="of training, T")
    parser.add_argument("--lr", type=float, default=3000.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("out"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    args.out.mkdir(parents=True, exist_ok=True)
    before = peak_bytes(device)
    task = random_interactions(8_138, 1_503, 1_660_000, 1_500_000, device)
    attack = gp.MetaAttack(
        gp.Training(args.steps, args.lr), args.flips_per_step, allow_removals=False
    )
    start = time.perf_counter()
    found = attack(task, args.flips, progress=True, checkpoint=args.out / "netflix.ckpt")
    seconds = time.perf_counter() - start
    found.save(args.out / "netflix.npz")
    figures = {
        "flips": len(found),
        "minutes": round(seconds / 60, 1),
        "MB": round((peak_bytes(device) - before) / 2**20),
        "attack_loss": [float(found.flips["attack_loss"].iloc[k]) for k in (0, -1)],
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
