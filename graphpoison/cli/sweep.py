"""``graphpoison sweep``."""

from pathlib import Path
from typing import Annotated

import typer

from . import options as shared
from .commands import loaded
from .options import OUTPUT, RUN, in_panel
from .output import logs
from .sweep_runs import run

EPILOG = "Example: graphpoison sweep study.yaml --out study --jobs 2"


def command(
    study: Annotated[
        Path,
        typer.Argument(
            metavar="STUDY.yaml",
            show_default=False,
            help="Tasks, attacks, victims, seeds and budgets; options have the names of the "
            "options of 'graphpoison attack'.",
        ),
    ],
    out: Annotated[
        Path,
        in_panel(
            OUTPUT,
            "FOLDER",
            "Folder of all results: runs.parquet has one row for each run. Runs that the "
            "folder already holds are not run again.",
        ),
    ] = Path("study"),
    jobs: Annotated[
        int, in_panel(RUN, "N", "Number of runs at a time; -1 for all processors.", min=-1)
    ] = 1,
    retry: Annotated[bool, in_panel(RUN, None, "Run failed runs again.", "--retry")] = False,
    root: shared.Root = None,
    device: shared.Device = "cpu",
    progress: shared.Progress = True,
    debug: shared.Debug = False,
    as_json: shared.Json = False,
) -> None:
    """Attack and evaluate for all tasks, attacks, victims, seeds and budgets of a study."""

    with logs(progress):
        run(study, loaded("attack"), out, jobs, retry, root, device, progress, as_json)
