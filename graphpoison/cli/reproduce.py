"""``graphpoison reproduce``."""

from pathlib import Path
from typing import Annotated

import typer

from .._checks import choice
from ..reproduce import fill, names, reproduce, thesis_names
from ..reproduce.citation_tables import CITATION_TABLES
from . import options as shared
from .errors import FAILED, LIBRARY_ERRORS, message, usage
from .files import check_writable
from .options import OUTPUT, in_panel
from .output import logs, show_json, show_table

EPILOG = "Example: graphpoison reproduce 4.7 --quick --out out/reproduce"


def command(
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE",
            show_default=False,
            help="4.1 to 4.19, figure-4.1 to figure-4.9, or all of these; attacks on citation "
            f"graphs: {', '.join(CITATION_TABLES)}.",
        ),
    ],
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="At most five gradients per attack; in 4.1, one per ten flips."
        ),
    ] = False,
    seeds: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Number of seeds. Default: 3, or 2 with --quick; 1 for citation graphs, each "
            "with several victims.",
        ),
    ] = None,
    root: shared.Root = None,
    progress: shared.Progress = True,
    config: shared.Config = None,
    debug: shared.Debug = False,
    out: Annotated[
        Path,
        in_panel(
            OUTPUT,
            "FOLDER",
            "Folder of all results. Runs that the folder already holds are not run again.",
        ),
    ] = Path("out/reproduce"),
    page: Annotated[
        Path | None,
        in_panel(
            OUTPUT, "FILE", "Markdown page in which the section is replaced, between its marks."
        ),
    ] = None,
    as_json: shared.Json = False,
) -> None:
    """Repeat the measurement of a table or figure of the thesis, and print both results; or
    measure attacks on a citation graph."""

    with usage():
        choice("table", table, [*names(), "all"])
        check_writable(out / "table", page)
    found, failed = {}, False
    with logs(progress):
        for name in thesis_names() if table == "all" else [table]:
            try:
                outcome = reproduce(name, out, seeds, quick, root, progress)
                if page is not None:
                    fill(page, {name: outcome.section})
            except LIBRARY_ERRORS as error:
                if debug:
                    raise
                typer.secho(f"error: {name}: {message(error)}", err=True, fg="red")
                failed = True
                continue
            found[name] = {"table": outcome.frame, "files": outcome.files}
            if not as_json:
                if outcome.frame is not None:
                    show_table(outcome.frame, f"Table {name}")
                for path in outcome.files:
                    typer.echo(f"wrote {path}")
    if as_json:
        show_json(found)
    if failed:
        raise typer.Exit(FAILED)
