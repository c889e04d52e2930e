"""A whole attack on a large random graph: ``python benchmarks/whole_attack.py netflix``.

The graph of ``netflix`` has the size of the thesis's data set: 8,138 users, 1,503 items, 1.66
million interactions and 1.5 million negatives. The attack flips 5% of the negatives; the thesis
stopped at 2,000 flips. The graph of ``pubmed`` has the size of Pubmed: 19,717 nodes, 44,324 edges,
500 features and 3 classes. The attack flips 5% of its edges, one for each exact gradient of all 194
million pairs. The same command resumes a killed run and prints the minutes of all sessions.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from problems import random_citation, random_interactions

import graphpoison as gp
from graphpoison._memory import peak_bytes


@dataclass(frozen=True)
class Whole:
    """A task, an attack on it and a number of flips."""

    task: Callable[[torch.device], gp.Task]
    attack: gp.MetaAttack
    flips: int


ATTACKS = {
    "netflix": Whole(
        lambda device: random_interactions(8_138, 1_503, 1_660_000, 1_500_000, device),
        gp.MetaAttack(gp.Training(50, 3000.0), flips_per_step=500, allow_removals=False),
        75_000,
    ),
    "pubmed": Whole(
        lambda device: random_citation(19_717, 44_324, 500, 3, device), gp.metattack(), 2_216
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("attack", choices=list(ATTACKS))
    parser.add_argument("--flips", type=int, help="number of flips, if not the whole attack")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("out"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device, whole = torch.device(args.device), ATTACKS[args.attack]
    before = peak_bytes(device)
    checkpoint = args.out / f"{args.attack}.npz"
    flips = args.flips or whole.flips
    found = whole.attack(whole.task(device), flips, progress=True, checkpoint=checkpoint)
    figures = {
        "flips": len(found),
        "minutes": round(found.provenance["seconds"] / 60, 1),
        "MB": round((peak_bytes(device) - before) / 2**20),
        "attack_loss": [float(found.flips["attack_loss"].iloc[k]) for k in (0, -1)],
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
