"""Files of attacks and evaluations through any sequence of runs, interruptions and damage.

One invariant: the result of an uninterrupted run, or an error that names the file.
"""

import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import killed
import pandas as pd
import pytest
import torch
from conftest import citation_graph, interaction_graph
from damage import Damage, damages, tried
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from torch import Tensor
from torch_geometric.data import Data, HeteroData

import graphpoison as gp
from graphpoison.attacks import checkpoint

FILES = ("one.npz", "two.npz")
RUNS = "runs.sqlite"
GRAPH = "graph.pt"
BUDGET = 6
ATTACKS: dict[str, tuple[Any, Callable[[], Any]]] = {
    "links": (gp.MetaAttack(killed.SHORT, 2), killed.link_task),
    "nodes": (gp.MetaAttack(killed.SHORT, constraints=killed.SINGLETONS), killed.node_task),
    "new users": (gp.NewUsers(2, killed.ADDING), killed.link_task),
    "random": (gp.RandomAttack(allow_removals=True), killed.node_task),
}
VICTIMS = [gp.RecommenderVictim(gp.CF(dim=2), "cf", killed.SHORT)]
TABLE = ["victim", "seed", "flips", "metric", "clean", "poisoned"]


class Stopped(BaseException):
    """The end of a process."""


def graph_of(name: str) -> Data | HeteroData:
    return citation_graph(num_nodes=20) if name in ("nodes", "random") else interaction_graph()


def attacked(name: str, file: Path | None = None) -> gp.Perturbation:
    attack, task = ATTACKS[name]
    return attack(task(), BUDGET, seed=1, checkpoint=file)


@cache
def expected(name: str) -> gp.Perturbation:
    return attacked(name)


def evaluated(flips: int, seeds: tuple[int, ...], file: Path | None = None) -> pd.DataFrame:
    found = expected("links").prefix(flips)
    return gp.evaluate(interaction_graph(), found, VICTIMS, seeds, checkpoint=file).runs


figures = cache(evaluated)


def same_flips(found: gp.Perturbation, name: str) -> None:
    wanted = expected(name)
    pd.testing.assert_frame_equal(found.flips, wanted.flips, check_exact=True)
    assert found.meta["settings"] == wanted.meta["settings"]


def edges(data: Data | HeteroData) -> set[tuple[int, int]]:
    store = data if isinstance(data, Data) else data["user", "rates", "item"]
    index: Tensor = store.edge_index
    return set(zip(*index.tolist(), strict=True))


class Files(RuleBasedStateMachine):
    """A folder; ``owner`` says which run each sound file belongs to, None if it may be damaged."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.owner: dict[str, str | None] = {}
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(checkpoint, "SAVE_EVERY_SECONDS", 0.0)
        self.catch = warnings.catch_warnings()
        self.catch.__enter__()
        warnings.simplefilter("ignore")

    def teardown(self) -> None:
        self.catch.__exit__(None, None, None)
        self.patch.undo()
        shutil.rmtree(self.folder)

    @initialize()
    def nothing(self) -> None:
        self.owner = {}

    def sound(self, file: str, owner: str) -> bool:
        """Whether a run of ``owner`` must succeed with ``file``."""
        return file not in self.owner or self.owner[file] == owner

    def checked(self, file: str, owner: str, work: Callable[[Path], None]) -> bool:
        """Whether ``work`` was done; an error must name the file, and be due."""
        _, refused = tried(lambda: work(self.folder / file))
        if refused:
            assert not self.sound(file, owner), refused
            assert file in refused
            return False
        self.owner[file] = owner
        return True

    @contextmanager
    def interrupted(
        self, owner: type, method: str, calls: int, kill: bool, file: str
    ) -> Iterator[None]:
        """A context in which ``method`` ends the process, by a signal or at once, at a call."""
        untouched, made = getattr(owner, method), []
        path, kept = self.folder / file, self.folder / "kept"

        def counted(*args: Any) -> Any:
            if len(made) == calls:
                kept.unlink(missing_ok=True)
                if path.exists():
                    shutil.copy(path, kept)
                raise Stopped
            made.append(1)
            return untouched(*args)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, method, counted)
            try:
                yield
            except Stopped:
                if kill:  # nothing is written any more
                    path.unlink(missing_ok=True)
                    if kept.exists():
                        kept.replace(path)

    # Attacks

    @rule(file=st.sampled_from(FILES), name=st.sampled_from(list(ATTACKS)))
    def attack(self, file: str, name: str) -> None:
        self.checked(file, name, lambda path: same_flips(attacked(name, path), name))

    @rule(
        file=st.sampled_from(FILES),
        name=st.sampled_from(list(ATTACKS)),
        calls=st.integers(0, 5),
        kill=st.booleans(),
    )
    def stop_an_attack(self, file: str, name: str, calls: int, kill: bool) -> None:
        attack = ATTACKS[name][0]
        kind = type(getattr(attack, "attack", attack))

        def work(path: Path) -> None:
            with self.interrupted(kind, "propose", calls, kill, file):
                attacked(name, path)

        if self.checked(file, name, work) and not (self.folder / file).exists():
            del self.owner[file]

    @rule(file=st.sampled_from(FILES), name=st.sampled_from(list(ATTACKS)))
    def attack_a_file_in_use(self, file: str, name: str) -> None:
        kind = type(getattr(ATTACKS[name][0], "attack", ATTACKS[name][0]))
        untouched, refused = kind.propose, []

        def meanwhile(*args: Any) -> Any:
            if not refused:
                with pytest.raises(ValueError, match=f"{file} is in use by another process"):
                    attacked("links", self.folder / file)
                refused.append(1)
            return untouched(*args)

        def work(path: Path) -> None:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(kind, "propose", meanwhile)
                same_flips(attacked(name, path), name)

        self.checked(file, name, work)

    # Flips

    @rule(file=st.sampled_from(FILES), other=st.sampled_from(FILES))
    def load_and_save(self, file: str, other: str) -> None:
        if file not in self.owner:
            return
        owner = self.owner[file]
        found, refused = tried(lambda: gp.Perturbation.load(self.folder / file))
        if refused:
            assert owner is None, refused
            assert file in refused
            return
        assert isinstance(found, gp.Perturbation)
        found.save(self.folder / other)
        again = gp.Perturbation.load(self.folder / other)
        pd.testing.assert_frame_equal(found.flips, again.flips)
        assert (found.meta, found.provenance) == (again.meta, again.provenance)
        self.owner[other] = owner

    @rule(file=st.sampled_from(FILES))
    def apply(self, file: str) -> None:
        owner = self.owner.get(file)
        if owner is None:
            return
        found = gp.Perturbation.load(self.folder / file)
        data = graph_of(owner)
        poisoned = found.apply(data)
        flips = set(zip(*found.pairs.tolist(), strict=True))
        both = flips | ({(b, a) for a, b in flips} if isinstance(data, Data) else set())
        assert edges(poisoned) == edges(data) ^ both
        assert edges(data) == edges(graph_of(owner))
        if found.fake_users is None:
            assert len(gp.Perturbation.between(data, poisoned)) == len(found)
        gp.datasets.save_graph(poisoned, self.folder / GRAPH)
        self.owner[GRAPH] = owner
        self.poisoned = poisoned

    @precondition(lambda self: GRAPH in self.owner)
    @rule()
    def load_the_graph(self) -> None:
        def work(path: Path) -> None:
            found = gp.datasets.load_graph(path)
            for one, other in zip(found.stores, self.poisoned.stores, strict=True):
                assert set(one.keys()) == set(other.keys())
                for key, value in one.items():
                    alike = torch.equal if isinstance(value, Tensor) else type(value).__eq__
                    assert alike(value, other[key])

        self.checked(GRAPH, self.owner[GRAPH] or "", work)

    # Evaluations

    @rule(flips=st.integers(0, BUDGET), seeds=st.sampled_from([(0,), (0, 1), (1, 2)]))
    def evaluate(self, flips: int, seeds: tuple[int, ...]) -> None:
        def work(path: Path) -> None:
            found = evaluated(flips, seeds, path)
            wanted = figures(flips, seeds)
            pd.testing.assert_frame_equal(found[TABLE], wanted[TABLE], check_exact=True)

        self.checked(RUNS, "evaluate", work)

    @rule(flips=st.integers(0, BUDGET), calls=st.integers(0, 4))
    def stop_an_evaluation(self, flips: int, calls: int) -> None:
        def work(path: Path) -> None:
            with self.interrupted(gp.RecommenderVictim, "fit", calls, False, RUNS):
                evaluated(flips, (0, 1), path)

        if self.checked(RUNS, "evaluate", work) and not (self.folder / RUNS).exists():
            del self.owner[RUNS]

    @rule(flips=st.integers(1, BUDGET), other=st.integers(1, BUDGET), calls=st.integers(0, 3))
    def evaluate_together(self, flips: int, other: int, calls: int) -> None:
        untouched, made = gp.RecommenderVictim.fit, []

        def meanwhile(*args: Any) -> Any:
            made.append(1)
            if len(made) == calls + 1:
                evaluated(other, (0, 1), self.folder / RUNS)
            return untouched(*args)

        def work(path: Path) -> None:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(gp.RecommenderVictim, "fit", meanwhile)
                found = evaluated(flips, (0, 1), path)
            wanted = figures(flips, (0, 1))
            pd.testing.assert_frame_equal(found[TABLE], wanted[TABLE], check_exact=True)

        self.checked(RUNS, "evaluate", work)

    # Damage

    @rule(file=st.sampled_from((*FILES, RUNS, GRAPH)), damage=damages)
    def damage(self, file: str, damage: Damage) -> None:
        path = self.folder / file
        if path.exists():
            path.write_bytes(damage.of(path.read_bytes()))
            self.owner[file] = None

    @rule(file=st.sampled_from((*FILES, RUNS, GRAPH)))
    def remove(self, file: str) -> None:
        (self.folder / file).unlink(missing_ok=True)
        self.owner.pop(file, None)

    @invariant()
    def nothing_is_left_behind(self) -> None:
        known = {*FILES, RUNS, GRAPH, "kept"}
        assert {path.name for path in self.folder.iterdir()} <= known


QUICK = settings(
    max_examples=25,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
Files.TestCase.settings = QUICK
TestFiles = Files.TestCase


class LongFiles(Files):
    """The same, longer."""


LongFiles.TestCase.settings = settings(QUICK, max_examples=400, stateful_step_count=40)
TestLongFiles = pytest.mark.slow(LongFiles.TestCase)
