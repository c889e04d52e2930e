"""Implementation of ``graphpoison sweep``: studies from a file, their runs, a table of means."""

from pathlib import Path
from typing import Any

import pandas as pd
import typer

from .._io import refuse_special
from .._text import counted
from ..report.columns import runs_of
from ..report.summary import means
from ..sweeps import sweep
from ..sweeps.folder import Folder
from ..sweeps.study import planned
from ..sweeps.table import TABLE
from .errors import FAILED, Interrupted, usage
from .output import show_json, show_table
from .study import read_studies

SHOWN = 5  # largest number of errors, and of warnings, that are printed


def run(
    study: Path,
    command: Any,
    out: Path,
    jobs: int,
    retry: bool,
    root: Path | None,
    device: str,
    progress: bool,
    as_json: bool,
) -> None:
    """Do all runs of the file ``study``, and print their means.

    Options in the file have the names of the options of ``command``.

    Raises:
        WrongUsage: an option or a key of the file is not valid.
        Interrupted: Ctrl-C, SIGTERM or SIGHUP.
        typer.Exit: with code 1 if runs have failed.
    """
    with usage():
        if not jobs:
            raise ValueError("jobs must be a number of runs at a time, or -1, found 0.")
        refuse_special(study)
        studies = read_studies(study, command, root, device)
        if out.exists() and not out.is_dir():
            raise ValueError(f"out must be a folder, found the file {out}.")
        runs = {each.key for each in planned(studies)}
    try:
        frame = sweep(studies, out, jobs, retry, progress)
    except KeyboardInterrupt as error:
        done = len(runs & Folder(out).made().keys())
        text = f"interrupted: {out} holds {done:,} of {counted(len(runs), 'run')}; the same command"
        raise Interrupted(f"{text} continues.", error) from error
    failed = frame[frame["status"] == "failed"]
    evaluated = (frame["kind"] == "evaluation") & (frame["status"] == "done")
    table = _means(frame) if evaluated.any() else pd.DataFrame()
    if as_json:
        errors = failed[["task", "attack", "victim", "seed", "budget", "error"]]
        show_json({"table": table, "failed": errors, "files": [out / TABLE]})
    else:
        if evaluated.any():
            show_table(table, f"{study}: {counted(int(evaluated.sum()), 'evaluation')}")
        typer.echo(f"wrote {out / TABLE}")
    _tell("warning", frame["warnings"])
    _tell("failed", failed["error"])
    if len(failed):
        typer.secho(f"{counted(len(failed), 'run')} failed; --retry runs them again.", err=True)
        raise typer.Exit(FAILED)


def _means(frame: pd.DataFrame) -> pd.DataFrame:
    """Return means over seeds: the table of a report, with a column for the task."""
    runs = runs_of(frame)
    parts = [means(part).assign(task=task) for task, part in runs.groupby("task", sort=False)]
    table = pd.concat(parts, ignore_index=True)
    return table[["task", *table.columns[:-1]]]


def _tell(kind: str, texts: pd.Series) -> None:
    """Print the most frequent texts on stderr, each once, with its number of runs."""
    found = texts.dropna()[lambda column: column != ""].value_counts()
    for text, count in list(found.items())[:SHOWN]:
        typer.secho(f"{kind} in {counted(count, 'run')}: {text}", err=True)
