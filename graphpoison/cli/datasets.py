"""``graphpoison datasets``."""

from typing import TYPE_CHECKING, Annotated

import typer

from .._checks import choice
from .._names import DATASETS
from . import options as shared
from .completion import among
from .errors import usage
from .output import logs, show_counts, show_json

if TYPE_CHECKING:
    from ..graphs import Graph

EPILOG = "Example: graphpoison datasets synthetic-interactions"


def datasets(
    name: Annotated[
        str | None,
        typer.Argument(
            show_default=False, help="One to load and count.", autocompletion=among(DATASETS)
        ),
    ] = None,
    root: shared.Root = None,
    debug: shared.Debug = False,
    as_json: shared.Json = False,
) -> None:
    """Name the data sets, or count what one of them holds."""
    from ..datasets import load, names
    from ..graphs import read_graph

    if name is None:
        show_json({"names": names()}) if as_json else typer.echo("\n".join(names()))
        return
    with usage():
        choice("name", name, names())
    with logs():
        counts = _counts(read_graph(load(name, root=root)))
    show_json({"name": name, **counts}) if as_json else show_counts(counts, name)


def _counts(found: "Graph") -> dict[str, int]:
    from ..graphs import NodeGraph

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
