"""The command line: parsing and printing only."""

import logging
import math
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table
from torch_geometric.data import Data, HeteroData

import graphpoison.datasets as data_sets

from .graph.bipartite import read_interactions
from .reproduce import fill, names, reproduce

app = typer.Typer(
    help="Meta-gradient poisoning attacks on graphs and recommenders.",
    no_args_is_help=True,
    add_completion=False,
)

Root = Annotated[
    Path | None,
    typer.Option("--dataset-root", help="Folder of data sets, searched before other places."),
]
Name = Annotated[
    str, typer.Argument(metavar="TABLE", help="4.1 to 4.19, figure-4.1 to figure-4.9, or all.")
]
Quick = Annotated[bool, typer.Option("--quick", help="At most five meta-gradients an attack.")]
Seeds = Annotated[int | None, typer.Option(min=1, help="Number of seeds; 3, or 2 with --quick.")]
Out = Annotated[Path, typer.Option(help="Folder for everything; what it holds is not run again.")]
Page = Annotated[
    Path | None, typer.Option(help="Markdown page to put the section in, between its marks.")
]
Progress = Annotated[bool, typer.Option(help="Show progress bars.")]


@app.command("reproduce")
def reproduce_command(
    table: Name,
    quick: Quick = False,
    seeds: Seeds = None,
    out: Out = Path("out/reproduce"),
    root: Root = None,
    page: Page = None,
    progress: Progress = True,
) -> None:
    """Measure a table or figure of the thesis again; print ours beside the thesis's figures."""
    logging.basicConfig(
        level=logging.INFO, format="%(message)s", handlers=[RichHandler(show_path=False)]
    )
    console, failed = Console(), False
    for name in names() if table == "all" else [table]:
        try:
            outcome = reproduce(name, out, seeds, quick, root, progress)
            if outcome.frame is not None:
                console.print(_printable(outcome.frame, title=f"Table {name}"))
            for path in outcome.files:
                console.print(f"wrote {path}")
            if page is not None:
                fill(page, {name: outcome.section})
        except (LookupError, FileNotFoundError, ValueError, FloatingPointError) as error:
            _complain(f"{name}: {error}")
            failed = True
    if failed:
        raise typer.Exit(1)


@app.command()
def datasets(
    name: Annotated[str | None, typer.Argument(help="One to load and count.")] = None,
    root: Root = None,
) -> None:
    """Name the data sets, or count what one of them holds."""
    console = Console()
    if name is None:
        for known in data_sets.names():
            console.print(known)
        return
    try:
        data = data_sets.load(name, root=root)
    except (FileNotFoundError, ValueError) as error:
        _complain(str(error))
        raise typer.Exit(1) from error
    counts = pd.DataFrame(_counts(data).items(), columns=["count", "number"])
    console.print(_printable(counts, title=name))


def _counts(data: Data | HeteroData) -> dict[str, int]:
    if isinstance(data, Data):
        return {"nodes": int(data.num_nodes or 0), "edges": data.num_edges // 2}
    found = read_interactions(data)
    pairs = {
        "training interactions": found.positive,
        "training negatives": found.negative,
        "unseen interactions": found.unseen,
        "unseen negatives": found.unseen_negative,
    }
    sizes = {name: 0 if index is None else index.size(1) for name, index in pairs.items()}
    return {"users": found.shape[0], "items": found.shape[1], **sizes}


def _printable(frame: pd.DataFrame, title: str) -> Table:
    """A frame as a table; columns that say nothing are left out."""
    shown = frame.loc[:, [len(frame) == 1 or frame[key].nunique() > 1 for key in frame]]
    table = Table(*shown.columns, title=title)
    for line in shown.to_numpy():
        table.add_row(*map(_text, line))
    return table


def _text(value: object) -> str:
    if not isinstance(value, int | float):
        return str(value)
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4f}"


def _complain(message: str) -> None:
    Console(stderr=True).print(message, style="red", markup=False, highlight=False)
