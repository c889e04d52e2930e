"""``graphpoison datasets``."""

from typing import Annotated

import typer

from .._checks import choice
from ..datasets import load, names
from ..graphs import Graph, NodeGraph, read_graph
from . import options as shared
from .completion import among
from .errors import usage
from .output import logs, show_counts, show_json

EPILOG = "Example: graphpoison datasets synthetic-interactions"


def command(
    name: Annotated[
        str | None,
        typer.Argument(
            show_default=False, help="Data set to load and count.", autocompletion=among(names())
        ),
    ] = None,
    root: shared.Root = None,
    debug: shared.Debug = False,
    as_json: shared.Json = False,
) -> None:
    """List the data sets, or count the nodes and edges of one of them."""

    if name is None:
        show_json({"names": names()}) if as_json else typer.echo("\n".join(names()))
        return
    with usage():
        choice("name", name, names())
    with logs():
        counts = _counts(read_graph(load(name, root=root)))
    show_json({"name": name, **counts}) if as_json else show_counts(counts, name)


def _counts(found: Graph) -> dict[str, int]:

    if isinstance(found, NodeGraph):
        return {"nodes": found.num_nodes, "edges": found.pairs.size(1)}
    pairs = {
        "training interactions": found.edge_index,
        "training negatives": found.negatives,
        "unseen interactions": found.unseen,
        "unseen negatives": found.unseen_negatives,
    }
    sizes = {name: 0 if index is None else index.size(1) for name, index in pairs.items()}
    return {"users": found.shape[0], "items": found.shape[1], **sizes}
