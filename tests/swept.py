"""Small studies that the tests sweep, in this process and in others. Without pytest."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from conftest import citation_graph
from torch import Tensor

import graphpoison as gp


@dataclass(frozen=True)
class Degrees(gp.FittedNodes):
    """The class of a node is its degree, modulo 3; ``seed`` shifts it."""

    graph: gp.NodeGraph
    seed: int

    def logits(self) -> Tensor:
        degree = self.graph.pairs.flatten().bincount(minlength=self.graph.num_nodes)
        return torch.nn.functional.one_hot((degree + self.seed) % 3, 3).double()


@dataclass(frozen=True)
class Counted(gp.Victim):
    """A victim that writes down each time it is trained, and may fail, wait or kill its process.

    Args:
        fails: with this seed.
        waits: as long as this file is not there.
        kills: its process, the first times with seed 0.
    """

    log: Path
    name: str = "degrees"
    fails: int | None = None
    waits: Path | None = None
    kills: int = 0

    def fit(self, graph: gp.NodeGraph, seed: int) -> Degrees:
        with self.log.open("a") as file:
            file.write(f"{self.name} {seed} {graph.pairs.size(1)}\n")
        lines = self.log.read_text().splitlines()
        if seed == 0 and len([line for line in lines if line.split()[1] == "0"]) <= self.kills:
            os.kill(os.getpid(), signal.SIGKILL)
        if seed == self.fails:
            raise ValueError(f"seed {seed} is not to my liking")
        while self.waits is not None and seed == 1 and not self.waits.exists():
            time.sleep(0.01)
        return Degrees(graph, seed)


def study(folder: Path, **options: Any) -> gp.Study:
    """Two attacks of 6 flips, budgets 3 and 6, three seeds: 6 attacks and 12 evaluations."""
    task = gp.NodeClassification(citation_graph(num_nodes=20))
    remove = gp.RandomAttack(allow_removals=True)
    attacks = {"random": gp.RandomAttack(), "both": remove}
    of_victim = {name: options.pop(name) for name in ("fails", "waits", "kills") if name in options}
    usual = {
        "tasks": task,
        "attacks": attacks,
        "budgets": [3, 6],
        "victims": [Counted(folder / "log", **of_victim)],
        "seeds": range(3),
    }
    return gp.Study(**{**usual, **options})


def sweeping(folder: Path, options: dict[str, Any]) -> None:
    """A sweep of :func:`study`, for a process of its own."""
    gp.sweep(study(folder, **options), folder / "out")


def trained(folder: Path) -> list[str]:
    """The lines of the log of victims."""
    path = folder / "log"
    return path.read_text().splitlines() if path.exists() else []
