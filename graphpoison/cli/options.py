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
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=INPUT,
        help="Column of user ids. Default: user, user_id, or the first.",
    ),
]
ItemColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=INPUT,
        help="Column of item ids. Default: item, item_id, or the second.",
    ),
]
Header = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header",
        rich_help_panel=INPUT,
        help="Whether the first line names the columns; without a header, the names are 0, 1, ... "
        "Default: --header.",
    ),
]
RatingColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", rich_help_panel=INPUT, help="Column of ratings, for --min-rating."
    ),
]
MinRating = Annotated[
    float | None,
    typer.Option(metavar="X", rich_help_panel=INPUT, help="Leave out rows with a lower rating."),
]
TestFraction = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        rich_help_panel=INPUT,
        help="Share of the interactions kept unseen. Default: 0.2.",
    ),
]
DataSeed = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=0,
        rich_help_panel=INPUT,
        help="Seed of the sampled negatives and of the split. Default: the data set's seed.",
    ),
]
Split = Annotated[
    Any,
    typer.Option(
        metavar="NAME",
        autocompletion=among(SPLITS),
        rich_help_panel=INPUT,
        help=f"Which interactions are kept unseen: {', '.join(SPLITS)}. Default: per-user for a "
        "table, or time if --time-column is given; each named data set has a default.",
    ),
]
TimeColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=INPUT,
        help="Column of times, for --split time and --split leave-one-out.",
    ),
]
Root = Annotated[
    Path | None,
    typer.Option(
        "--dataset-root",
        metavar="FOLDER",
        rich_help_panel=INPUT,
        help="Folder of data sets, searched before other places.",
    ),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        autocompletion=among(("cpu", "cuda")),
        rich_help_panel=RUN,
        help="Where to compute: cpu, cuda, cuda:1, ...",
    ),
]
Progress = Annotated[
    bool,
    typer.Option(
        "--progress/--no-progress",
        rich_help_panel=RUN,
        help="Show progress on stderr: a bar on a terminal, otherwise a line every 30 seconds.",
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume", rich_help_panel=RUN, help="Continue an interrupted run.")
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", rich_help_panel=RUN, help="Replace the files of an earlier run."),
]
Json = Annotated[
    bool,
    typer.Option("--json", rich_help_panel=OUTPUT, help="Print only one JSON object on stdout."),
]
Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        is_eager=True,
        callback=load_config,
        rich_help_panel=RUN,
        help="YAML file of options; options on the command line override the file.",
    ),
]
SaveConfig = Annotated[
    Path | None,
    typer.Option(
        "--save-config",
        metavar="FILE",
        rich_help_panel=OUTPUT,
        help="Write the options of this run to a YAML file, for --config.",
    ),
]
Debug = Annotated[
    bool,
    typer.Option(
        "--debug",
        is_eager=True,
        callback=set_debug,
        rich_help_panel=RUN,
        help="Show the traceback of an error.",
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
