"""Options that several commands share."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch_geometric.data import Data, HeteroData

from ..datasets import names
from ..datasets.source import TABLES, Reading, open_graph
from ..datasets.splits import SPLITS
from ..datasets.text_tables import suffix
from ..graphs import Graph, NodeGraph
from .completion import among
from .config import load_config, set_debug
from .errors import WrongUsage

INPUT, OUTPUT, RUN = "Input", "Output", "Run"


def in_panel(panel: str, metavar: str | None, text: str, *names: str, **more: Any) -> Any:
    """Return an option of the help panel ``panel``, with the help ``text``; ``names`` as in typer,
    by default the name of the parameter."""
    return typer.Option(*names, metavar=metavar, rich_help_panel=panel, help=text, **more)


def count(panel: str, text: str, *names: str) -> Any:
    """Return an option that is an integer of at least 1, see :func:`in_panel`."""
    return in_panel(panel, "N", text, *names, min=1)


def list_length(panel: str, text: str) -> Any:
    """Return the option ``--list-length``, see :func:`in_panel`."""
    return count(panel, text, "--list-length", "-k")


Input = Annotated[
    str,
    typer.Argument(
        metavar="INPUT",
        show_default=False,
        help="A data set by name (see 'graphpoison datasets'), a table of interactions (.csv, "
        ".tsv, .parquet, RecBole's .inter), or a graph saved by "
        "graphpoison.datasets.save_graph (.pt).",
    ),
]
UserColumn = Annotated[
    str | None, in_panel(INPUT, "NAME", "Column of user ids. Default: user, user_id, or the first.")
]
ItemColumn = Annotated[
    str | None,
    in_panel(INPUT, "NAME", "Column of item ids. Default: item, item_id, or the second."),
]
Header = Annotated[
    bool | None,
    in_panel(
        INPUT,
        None,
        "Whether the first line names the columns; without a header, the names are 0, 1, ... "
        "Default: --header.",
        "--header/--no-header",
    ),
]
RatingColumn = Annotated[
    str | None, in_panel(INPUT, "NAME", "Column of ratings, for --min-rating.")
]
MinRating = Annotated[float | None, in_panel(INPUT, "X", "Leave out rows with a lower rating.")]
TestFraction = Annotated[
    float | None, in_panel(INPUT, "X", "Share of the interactions kept unseen. Default: 0.2.")
]
DataSeed = Annotated[
    int | None,
    in_panel(
        INPUT,
        "N",
        "Seed of the sampled negatives and of the split. Default: the data set's seed.",
        min=0,
    ),
]
Split = Annotated[
    Any,
    in_panel(
        INPUT,
        "NAME",
        f"Which interactions are kept unseen: {', '.join(SPLITS)}. Default: per-user for a "
        "table, or time if --time-column is given; each named data set has a default.",
        autocompletion=among(SPLITS),
    ),
]
TimeColumn = Annotated[
    str | None,
    in_panel(INPUT, "NAME", "Column of times, for --split time and --split leave-one-out."),
]
Root = Annotated[
    Path | None,
    in_panel(
        INPUT, "FOLDER", "Folder of data sets, searched before other places.", "--dataset-root"
    ),
]
Device = Annotated[
    str,
    in_panel(
        RUN,
        "NAME",
        "Where to compute: cpu, cuda, cuda:1, ...",
        autocompletion=among(("cpu", "cuda")),
    ),
]
Progress = Annotated[
    bool,
    in_panel(
        RUN,
        None,
        "Show progress on stderr: a bar on a terminal, otherwise a line every 30 seconds.",
        "--progress/--no-progress",
    ),
]
Resume = Annotated[bool, in_panel(RUN, None, "Continue an interrupted run.", "--resume")]
Overwrite = Annotated[
    bool, in_panel(RUN, None, "Replace the files of an earlier run.", "--overwrite")
]
Html = Annotated[Path | None, in_panel(OUTPUT, "FILE", "Write an HTML page of all results.")]
Plot = Annotated[Path | None, in_panel(OUTPUT, "FILE", "Write the figure: .png, .svg or .pdf.")]
Latex = Annotated[Path | None, in_panel(OUTPUT, "FILE", "Write the LaTeX table.")]
Csv = Annotated[Path | None, in_panel(OUTPUT, "FILE", "Write the table as CSV.")]
Json = Annotated[bool, in_panel(OUTPUT, None, "Print only one JSON object on stdout.", "--json")]
Config = Annotated[
    Path | None,
    in_panel(
        RUN,
        "FILE",
        "YAML file of options; options on the command line override the file.",
        is_eager=True,
        callback=load_config,
    ),
]
SaveConfig = Annotated[
    Path | None,
    in_panel(
        OUTPUT,
        "FILE",
        "Write the options of this run to a YAML file, for --config.",
        "--save-config",
    ),
]
Debug = Annotated[
    bool,
    in_panel(
        RUN, None, "Show the traceback of an error.", "--debug", is_eager=True, callback=set_debug
    ),
]


def split_of_tables(source: str, reading: Reading) -> Reading:
    """Return ``reading``, with the default split if ``source`` is a table and no split is given."""

    if reading.split is not None or source in names() or suffix(Path(source)) not in TABLES:
        return reading
    return replace(reading, split="per-user" if reading.time is None else "time")


def open_input(source: str, reading: Reading, root: Path | None, device: str) -> Data | HeteroData:
    """Return the graph of the INPUT of a command, on ``device``.

    Raises:
        WrongUsage: the device is unknown or not available.
        ValueError, OSError: as :func:`.open_graph` raises.
    """

    place = _device(device)
    return open_graph(source, reading, root).to(place)


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise WrongUsage(f"device {name!r} is not known; use cpu or cuda.") from error
    if device.type not in ("cpu", "cuda"):
        raise WrongUsage(f"device {name!r} is not known; use cpu or cuda.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise WrongUsage(f"device {name!r} is not available: PyTorch finds {found} GPUs; use cpu.")
    return device


def sizes(graph: Graph) -> str:
    """Return the sizes of a graph, in words on one line."""

    if isinstance(graph, NodeGraph):
        return f"{graph.num_nodes:,} nodes, {graph.pairs.size(1):,} edges"
    users, _, items = graph.edge_type
    return (
        f"{graph.num_users:,} {users}s, {graph.num_items:,} {items}s, "
        f"{graph.edge_index.size(1):,} training interactions"
    )
