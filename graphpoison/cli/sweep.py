"""``graphpoison sweep``."""

from pathlib import Path
from typing import Annotated

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
from . import options as shared
from .errors import FAILED, Interrupted, usage
from .output import bars, logs, show_json, show_table
from .study import read_studies

EPILOG = "Example: graphpoison sweep study.yaml --out study --jobs 2"
SHOWN = 5  # errors and warnings


def sweep_command(
    ctx: typer.Context,
    study: Annotated[
        Path,
        typer.Argument(
            metavar="STUDY.yaml",
            show_default=False,
            help="Tasks, attacks, victims, seeds and budgets; options are spelt as the ones of "
            "'graphpoison attack'.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            rich_help_panel=shared.OUTPUT,
            help=f"Folder for everything: {TABLE} has a row for each run. What the folder holds is "
            "not run again.",
        ),
    ] = Path("study"),
    jobs: Annotated[
        int,
        typer.Option(
            min=-1, rich_help_panel=shared.RUN, help="Runs at a time; -1 for all processors."
        ),
    ] = 1,
    retry: Annotated[
        bool,
        typer.Option(
            "--retry", rich_help_panel=shared.RUN, help="Try the runs again that have failed."
        ),
    ] = False,
    root: shared.Root = None,
    device: shared.Device = "cpu",
    progress: shared.Progress = None,
    debug: shared.Debug = False,
    as_json: shared.Json = False,
) -> None:
    """Attack and evaluate for all tasks, attacks, victims, seeds and budgets of a study."""
    with logs(), usage():
        if not jobs:
            raise ValueError("jobs must be a number of runs at a time, or -1, found 0.")
        refuse_special(study)
        command = ctx.parent.command.commands["attack"]  # type: ignore[union-attr]
        studies = read_studies(study, command, root, device)
        if out.exists() and not out.is_dir():
            raise ValueError(f"out must be a folder, found the file {out}.")
        runs = {run.key for run in planned(studies)}
    try:
        frame = sweep(studies, out, jobs, retry, bars(progress))
    except KeyboardInterrupt as error:
        done = len(runs & Folder(out).made().keys())
        text = f"interrupted: {out} holds {done:,} of {counted(len(runs), 'run')}; the same command"
        raise Interrupted(f"{text} goes on.", error) from error
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
        typer.secho(f"{counted(len(failed), 'run')} failed; --retry tries again.", err=True)
        raise typer.Exit(FAILED)


def _means(frame: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds, a row for each task and each key of a report's table."""
    runs = runs_of(frame)
    parts = [means(part).assign(task=task) for task, part in runs.groupby("task", sort=False)]
    table = pd.concat(parts, ignore_index=True)
    return table[["task", *table.columns[:-1]]]


def _tell(kind: str, texts: pd.Series) -> None:
    """Each text once, on stderr, the first few."""
    found = texts.dropna()[lambda column: column != ""].value_counts()
    for text, count in list(found.items())[:SHOWN]:
        typer.secho(f"{kind} in {counted(count, 'run')}: {text}", err=True)
