"""Does the runs of a study: joblib workers take one run after another."""

import logging
import os
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from .._checks import flag, positive_int
from .._logging import PACKAGE, collected, quiet
from .._memory import peak_bytes, reset_peak
from .._progress import progress_bar
from .._signals import terminable
from .folder import Folder, Row
from .runs import Run, TrainedOnce
from .study import Study, planned, refuse_other_settings
from .table import frame_of, write_table

if TYPE_CHECKING:
    from filelock import SoftFileLease

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
"""Time for which a worker waits if no run is free."""
SAVE_EVERY_SECONDS = 30.0
MOST_DEATHS = 3
"""A run that has killed its worker this often counts as failed."""
ALONE = "alone"
"""The key of a claim for last tries: runs that have killed workers have their last try one by
one."""


def sweep(
    study: Study | Iterable[Study],
    out: str | Path,
    jobs: int | None = None,
    retry: bool = False,
    progress: bool = False,
) -> pd.DataFrame:
    """Do all runs of a study, and write one row for each to ``out/runs.parquet``.

    Runs that ``out`` already holds are not repeated. The same call resumes an interrupted study,
    and a study with more seeds, more victims or smaller budgets adds rows to the folder. Several
    calls can do the runs of one study together, on one machine or on several that share the folder.
    A failed run gets a row with its error. Ctrl-C, SIGTERM, a killed worker and a lost machine lose
    only unfinished runs; an unfinished attack continues from its last saved flips.

    Args:
        study: one study, or several whose runs share the folder.
        out: the folder; created if it does not exist.
        jobs: the number of runs at a time, as in ``joblib.Parallel``; -1 for all processors. By
            default 1, or the number of a ``joblib.parallel_backend`` around the call.
        retry: repeat failed runs.
        progress: show a progress bar over all runs.

    Returns:
        The table of the runs of ``study``: one row for each attack and for each evaluation, see
        :data:`graphpoison.sweeps.table.COLUMNS` and :func:`graphpoison.report.runs_of`.

    Raises:
        TypeError, ValueError: ``study`` is not a :class:`Study`; two attacks or victims with the
            same name, in ``study`` or in the folder, have different settings; a file of the folder
            is damaged.
        OSError: the folder cannot be written.
    """
    runs = planned(_studies(study))
    if jobs is not None and jobs != -1:
        positive_int("jobs", jobs)
    flag("retry", retry)
    folder = Folder(Path(out).absolute()).made()  # workers may have other working directories
    known = folder.rows()
    refuse_other_settings({row["part"]: row["shared"] for row in known.values()}, runs)
    if retry:
        for run in runs:
            if known.get(run.key, {}).get("status") == "failed":
                folder.forget(run.key)
                del known[run.key]
    with terminable(), _watched(runs, folder, known, progress):
        _complete(runs, folder, jobs)
    rows = folder.rows(known)
    return frame_of(rows[run.key] for run in runs)


def _studies(study: Study | Iterable[Study]) -> list[Study]:
    studies = [study] if isinstance(study, Study) else study
    if not isinstance(studies, Iterable) or isinstance(studies, str):
        raise TypeError(f"study must be a Study or several Studies, found {study!r}.")
    studies = list(studies)
    for each in studies:
        if not isinstance(each, Study):
            raise TypeError(f"study must be a Study or several Studies, found {each!r} in it.")
    if not studies:
        raise ValueError("study must be one Study or more, found none.")
    return studies


def _complete(runs: Sequence[Run], folder: Folder, jobs: int | None) -> None:
    """Have workers do the runs that have no row; start new workers if some are lost."""
    from joblib import Parallel, delayed, effective_n_jobs  # takes long to import

    call, breaks = uuid.uuid4().hex, 0
    while left := [run for run in runs if not folder.has(run.key)]:
        workers = min(effective_n_jobs(jobs), len(left))
        parts = [left[number * len(left) // workers :] + left for number in range(workers)]
        try:
            Parallel(jobs, pre_dispatch="all", batch_size=1, max_nbytes=None)(
                delayed(_work)(part, folder, call, os.getpid()) for part in parts
            )
        except Exception as error:  # a failed run is a row, so this is an error of the back end
            rows = sum(folder.has(run.key) for run in left)
            breaks = 0 if rows else breaks + 1
            if breaks > MOST_DEATHS:
                raise
            logger.warning("a worker was lost; its runs are started again: %s", _said(error))


def _work(runs: Sequence[Run], folder: Folder, call: str, parent: int) -> None:
    """Do runs that no other worker does, until all have rows. ``parent`` is the id of the process
    that called ``sweep``."""
    left = {run.key: run for run in sorted(runs, key=lambda run: run.kind)}  # attacks first
    trained = TrainedOnce()
    claims: dict[str, SoftFileLease] = {}
    try:
        with quiet():
            while left:
                idle = True
                for key, run in list(left.items()):
                    if folder.has(key):
                        del left[key]
                        claims.pop(key, None)
                    elif all(folder.has(before) for before in run.needs):
                        # one object per claim: it detects a holder that does not renew the claim
                        claim = claims[key] = claims.get(key) or folder.claim(key)
                        if _acquired(claim):
                            try:
                                idle &= not _settle(run, folder, call, trained)
                            finally:
                                claim.release()
                if idle and left:
                    time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        if os.getpid() == parent:
            raise
        raise RuntimeError("a worker was interrupted") from None  # the other workers continue


def _acquired(claim: "SoftFileLease") -> bool:
    from filelock import Timeout

    try:
        claim.acquire()
    except Timeout:
        return False
    return True


def _settle(run: Run, folder: Folder, call: str, trained: TrainedOnce) -> bool:
    """Write the row of a claimed run. Returns False if the run has to wait for the claim
    :data:`ALONE`."""
    deaths = folder.deaths(run.key, call)
    if folder.has(run.key):
        return True
    if deaths >= MOST_DEATHS:
        said = f"the process of this run was killed {deaths} times, perhaps for lack of memory"
        folder.write(run.key, {**_head(run), **_told("failed", f"RuntimeError: {said}")})
        return True
    alone = folder.claim(ALONE)
    if deaths == MOST_DEATHS - 1 and not _acquired(alone):
        return False
    try:
        folder.begin(run.key, call)
        folder.write(run.key, _row(run, folder, trained))
    finally:  # not reached if the process is killed
        folder.end(run.key)
        alone.release()
    return True


def _row(run: Run, folder: Folder, trained: TrainedOnce) -> Row:
    """Do a run and return its row."""
    ticks, measured, told = time.monotonic(), {}, _told("done", None)
    head = _head(run)
    reset_peak(run.device)
    with collected(logging.getLogger(PACKAGE)) as warned:
        try:
            measured = run.measure(folder, trained)
        except Exception as error:
            told = _told("failed", _said(error))
    peak = peak_bytes(run.device)
    return {
        **head,
        **told,
        "warnings": "\n".join(dict.fromkeys(warned)) or None,
        "seconds": round(time.monotonic() - ticks, 3),
        "peak_mb": None if peak is None else round(peak / 2**20, 1),
        **measured,
    }


def _head(run: Run) -> Row:
    """The columns of a run that are known before the run starts."""
    return {
        "run": run.key,
        "kind": run.kind,
        "task": run.task_name,
        "attack": run.attack_name,
        "victim": run.victim_name,
        "seed": run.seed,
        "attack_seed": run.attack_seed,
        "budget": run.budget,
        "part": run.part,
        "shared": run.shared,
        "started": datetime.now(UTC).isoformat(timespec="microseconds"),
        "settings": run.settings,
    }


def _told(status: str, error: str | None) -> Row:
    return {"status": status, "error": error}


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


@contextmanager
def _watched(
    runs: Sequence[Run], folder: Folder, known: dict[str, Row], progress: bool
) -> Iterator[None]:
    """Show progress; write the table every :data:`SAVE_EVERY_SECONDS` and at the end."""
    keys, stop = {run.key for run in runs}, threading.Event()
    initial = len(keys & folder.keys())
    bar = progress_bar(len(keys), "run", progress, initial)

    def watch() -> None:
        saved = time.monotonic()
        while not stop.wait(1.0):
            bar.n = len(keys & folder.keys())
            bar.refresh()
            if time.monotonic() - saved >= SAVE_EVERY_SECONDS:
                with suppress(OSError, ValueError):  # the call at the end raises them
                    write_table(folder, known)
                saved = time.monotonic()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        bar.n = len(keys & folder.keys())
        bar.close()
        known.clear()  # another process may have repeated failed runs
        write_table(folder, known)
