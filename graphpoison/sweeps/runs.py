"""One run of a study: an attack, or the evaluation of a prefix of its flips on a victim."""

import copy
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

import torch

from .._io import locked
from .._settings import digest
from ..attacks import Attack, Injection
from ..evaluation import evaluate
from ..graphs import Graph
from ..perturbation import Perturbation
from ..provenance import graph_digest
from ..report.columns import wide
from ..tasks import Task
from ..victims import Victim
from .folder import Folder

Columns = dict[str, Any]
LOCK_SECONDS = 300.0
ENVIRONMENT = ("device", "threads", "dtype", "versions")


class TrainedOnce:
    """Keeps the model that a victim has learnt on a clean graph, for the next runs that need it."""

    def __init__(self) -> None:
        self._key: tuple[Any, ...] = ()
        self._model: Any = None

    def victim(self, victim: Victim, settings: str, clean: str) -> Victim:
        """A copy of ``victim`` that is trained only once on the clean graph.

        Args:
            victim: the victim.
            settings: the digest of the victim's settings.
            clean: the digest of the clean graph.
        """
        found = copy.copy(victim)  # of the same class, with the same attributes
        try:
            object.__setattr__(found, "fit", partial(self._fit, victim, settings, clean))
        except AttributeError:  # a class with __slots__
            return victim
        return found

    def _fit(self, victim: Victim, settings: str, clean: str, graph: Graph, seed: int) -> Any:
        if graph_digest(graph) != clean:
            return victim.fit(graph, seed)
        key = (clean, settings, seed)
        if self._key != key:
            self._key, self._model = key, victim.fit(graph, seed)
        return self._model


@dataclass(frozen=True, eq=False)
class _Run:
    """A run of either kind.

    Args:
        settings: all settings that determine the result, as plain values.
        task_name, attack_name: the names in the study.
        seed: the seed of the victim or, in a run of an attack, of the attack.
        budget: the budget in the study, e.g. ``"5%"``; empty for an attack that serves all budgets.
    """

    settings: Columns
    task_name: str
    attack_name: str
    seed: int
    budget: str

    kind: ClassVar[str]
    victim_name: ClassVar[str | None] = None

    @cached_property
    def key(self) -> str:
        """Hexadecimal digits that identify the names and settings of the run."""
        names = [self.kind, self.task_name, self.attack_name, self.victim_name, self.budget]
        return digest(json.dumps([*names, self.settings], sort_keys=True), digits=20)


@dataclass(frozen=True, eq=False)
class AttackRun(_Run):
    """``attack`` on ``task``, with a budget of ``flips`` flips.

    Args:
        whole: whether a prefix of the flips is not an attack with a smaller budget.
    """

    task: Task[Any]
    attack: Attack | Injection
    flips: int
    whole: bool

    kind = "attack"

    @property
    def device(self) -> torch.device:
        return self.task.state.weight.device

    @property
    def attack_seed(self) -> int:
        return self.seed

    @property
    def needs(self) -> tuple[str, ...]:
        """The keys of the runs that must be finished before this run."""
        return ()

    @property
    def part(self) -> str:
        """A description of the attack; in a folder, it stands for one attack only."""
        end = f" to {self.flips} flips" if self.whole else ""
        return f"attack {self.attack_name!r} on {self.task_name!r}{end}"

    @property
    def shared(self) -> Columns:
        """The settings that all runs of the same attack share."""
        return {name: value for name, value in self.settings.items() if name != "attack_seed"}

    def measure(self, folder: Folder, trained: TrainedOnce) -> Columns:
        """Make the flips, or continue from the flips in the folder."""
        _wait_for(folder.flips(self.key))
        made = self.attack(self.task, self.flips, self.seed, checkpoint=folder.flips(self.key))
        return {**_made(made, len(made)), **_environment(made.provenance)}


@dataclass(frozen=True, eq=False)
class EvaluationRun(_Run):
    """``victim`` trained on the clean graph, and after the first ``flips`` flips of ``made_by``.

    Args:
        options: further arguments of :func:`graphpoison.evaluate`.
    """

    made_by: AttackRun
    graph: Graph
    victim: Victim
    flips: int
    options: Columns

    kind = "evaluation"

    @property
    def device(self) -> torch.device:
        return self.made_by.device

    @property
    def victim_name(self) -> str:  # type: ignore[override]
        return self.victim.name

    @property
    def attack_seed(self) -> int:
        return self.made_by.seed

    @property
    def needs(self) -> tuple[str, ...]:
        """The keys of the runs that must be finished before this run."""
        return (self.made_by.key,)

    @property
    def part(self) -> str:
        """A description of the victim; in a folder, it stands for one victim only."""
        return f"victim {self.victim.name!r} on {self.task_name!r}"

    @property
    def shared(self) -> Columns:
        """The settings that all evaluations of the same victim share."""
        apart = {*self.made_by.settings, "seed", "flips"}
        return {name: value for name, value in self.settings.items() if name not in apart}

    def measure(self, folder: Folder, trained: TrainedOnce) -> Columns:
        """Train the victim on the clean and on the poisoned graph, and evaluate both models.

        Raises:
            RuntimeError: the attack has failed.
        """
        before = folder.row(self.made_by.key)
        if before["status"] != "done":
            raise RuntimeError(f"the attack failed: {before['error']}")
        made = Perturbation.load(folder.flips(self.made_by.key))
        settings, clean = digest(json.dumps(self.settings["victim"])), self.settings["graph"]
        victim = trained.victim(self.victim, settings, clean)
        report = evaluate(
            *(self.graph, {self.attack_name: made}, [victim], [self.seed], [self.flips]),
            **self.options,
        )
        flips = int(report.runs["flips"].iloc[0])
        environment = _environment(report.meta["provenance"])
        return {**_made(made, flips), **environment, **wide(report.runs)}


Run = AttackRun | EvaluationRun


def _wait_for(flips: Path) -> None:
    """Wait while another process holds the lock of ``flips``, for at most :data:`LOCK_SECONDS`. A
    file server keeps the locks of a lost machine longer than the machine's claims are valid."""
    end = time.monotonic() + LOCK_SECONDS
    while time.monotonic() < end:
        with suppress(ValueError), locked(flips):
            return
        time.sleep(0.5)


def _made(made: Perturbation, flips: int) -> Columns:
    return {"flips": flips, "share": flips / max(1, made.meta["num_edges"])}


def _environment(provenance: Any) -> Columns:
    return {name: provenance[name] for name in ENVIRONMENT}
