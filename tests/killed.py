"""Runs in processes of their own, which are killed. Without pytest: the processes import it."""

import multiprocessing
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from conftest import citation_graph, interaction_graph

import graphpoison as gp
from graphpoison.attacks import checkpoint
from graphpoison.reproduce import DataSet, RecommenderExperiment, Trained, run

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["pytest", "torch_geometric", "graphpoison"])

SHORT = gp.Training(steps=4, lr=0.1, momentum=0.5)
SINGLETONS = [gp.NoSingletons()]
Job = Callable[[Path], pd.DataFrame]


def node_task() -> gp.NodeClassification:
    return gp.NodeClassification(citation_graph(num_nodes=20))


def link_task() -> gp.Recommendation:
    return gp.Recommendation(interaction_graph(), gp.CF(dim=3))


def attacking(attack: Any, task: Callable[[], gp.Task], budget: int) -> Job:
    def job(folder: Path) -> pd.DataFrame:
        return attack(task(), budget, seed=3, checkpoint=folder / "run.npz").flips

    return job


def evaluating(folder: Path) -> pd.DataFrame:
    data = interaction_graph()
    random = gp.RandomAttack()(link_task(), 6)
    training = gp.Training(steps=5, lr=0.1, optimizer="adam")
    victims = [gp.RecommenderVictim(gp.CF(dim=dim), f"cf {dim}", training) for dim in (2, 3)]
    file = folder / "runs.sqlite"
    return gp.evaluate(data, random, victims, range(2), [0, 3, 6], checkpoint=file).runs


def evaluating_nodes(folder: Path) -> pd.DataFrame:
    data = citation_graph(num_nodes=20)
    random = gp.RandomAttack()(gp.NodeClassification(data), 6)
    file = folder / "runs.sqlite"
    return gp.evaluate(data, random, ["sgc"], range(3), [3, 6], checkpoint=file).runs


def transferring(folder: Path) -> pd.DataFrame:
    victim = gp.RecommenderVictim(gp.CF(dim=2), "small", SHORT)
    return gp.transfer_matrix(
        interaction_graph(), {"cf": gp.CF(dim=3)}, [victim], gp.MetaAttack(SHORT, 2), 6, [0, 1],
        checkpoints=folder,
    )  # fmt: skip


def reproducing(folder: Path) -> pd.DataFrame:
    model = Trained(gp.CF(4, scale=0.5), gp.Training(steps=8, lr=0.1, optimizer="adam"))
    sizes = (("num_users", 25), ("num_items", 30), ("num_interactions", 150))
    case = RecommenderExperiment(
        name="small",
        dataset=DataSet("synthetic-interactions", sizes),
        budgets=(0, 10, 20),
        flips_per_step=5,
        attacks=("baseline", "meta-attack"),
        surrogate=model,
        target=model,
    )
    return run(case.quick(), folder, seeds=[0, 1])


ATTACKS = [
    gp.MetaAttack, gp.RandomAttack, gp.DICE, gp.DegreeAttack, gp.PGDAttack, gp.PRBCD, gp.GRBCD,
]  # fmt: skip
ADDING = gp.MetaAttack(SHORT, allow_removals=False)
IN_STEPS: dict[str, Job] = {
    "nodes": attacking(gp.MetaAttack(SHORT, 2, constraints=SINGLETONS), node_task, 13),
    "nodes, one start": attacking(gp.MetaAttack(SHORT, constraints=SINGLETONS), node_task, 7),
    "links": attacking(gp.MetaAttack(SHORT, 3), link_task, 20),
    "links, one start": attacking(gp.MetaAttack(SHORT, 2, constraints=SINGLETONS), link_task, 13),
    "new users": attacking(gp.NewUsers(3, ADDING), link_task, 7),
    "copied users": attacking(gp.SimilarUsers(4, attack=ADDING), link_task, 7),
    "mean users": attacking(gp.SimilarUsers(3, "kmeans", attack=ADDING), link_task, 7),
}
AT_ONCE: dict[str, Job] = {
    "random": attacking(gp.RandomAttack(SINGLETONS, allow_removals=True), node_task, 40),
    "dice": attacking(gp.DICE(SINGLETONS), node_task, 20),
    "degrees": attacking(gp.DegreeAttack(SINGLETONS, allow_removals=True), node_task, 20),
    "pgd": attacking(gp.PGDAttack(SHORT, 4, samples=2, constraints=SINGLETONS), node_task, 8),
    "prbcd": attacking(gp.PRBCD(SHORT, 4, block_size=60), node_task, 8),
    "grbcd": attacking(gp.GRBCD(SHORT, 4, block_size=60), node_task, 8),
}
OTHERS: dict[str, Job] = {
    "evaluate": evaluating,
    "evaluate nodes": evaluating_nodes,
    "transfer": transferring,
    "reproduce": reproducing,
}
JOBS = {**IN_STEPS, **AT_ONCE, **OTHERS}


def kill_and_resume(name: str, folder: Path, stops: list[int], draw: np.random.Generator) -> int:
    """Sessions of a job that are killed after some proposals or trainings, and one that is not.

    The moment is drawn: anything from the first file of a session to the last step before it stops.
    Returns how many were killed; the others were done before.
    """
    killed = 0
    marker = folder / "stopped"
    for stop in stops:
        before = _files(folder)
        marker.unlink(missing_ok=True)
        process = CONTEXT.Process(target=_session, args=(name, folder, stop))
        process.start()
        while process.is_alive() and _files(folder) == before and not marker.exists():
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.03))
        process.kill()
        process.join()
        assert process.exitcode in (-signal.SIGKILL, 0)
        killed += process.exitcode != 0
    marker.unlink(missing_ok=True)
    process = CONTEXT.Process(target=_session, args=(name, folder, None))
    process.start()
    process.join()
    assert process.exitcode == 0
    return killed


def _files(folder: Path) -> set[tuple[Path, int]]:
    """Finished files and when they were written."""
    found = [path for kind in ("npz", "sqlite") for path in folder.rglob(f"[!.]*.{kind}")]
    return {(path, path.stat().st_mtime_ns) for path in found}


def _session(name: str, folder: Path, stop: int | None) -> None:
    checkpoint.SAVE_EVERY_SECONDS = 0.0
    if stop is not None:
        done: list[int] = []
        _stop_at(gp.Task, "train", stop, done, folder)
        _stop_at(gp.ModuleVictim, "fit", stop, done, folder)
        if name not in OTHERS:
            for attack in ATTACKS:
                _stop_at(attack, "propose", stop, done, folder)
    JOBS[name](folder)


def _stop_at(owner: type, method: str, stop: int, done: list[int], folder: Path) -> None:
    """Have ``method`` wait for the end when it has been called ``stop`` times."""
    untouched = getattr(owner, method)

    def counted(*args: Any) -> Any:
        if len(done) == stop:
            (folder / "stopped").touch()
            time.sleep(600)
        done.append(1)
        return untouched(*args)

    setattr(owner, method, counted)
