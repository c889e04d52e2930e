"""A graph from the name of a data set, from a table, or from a saved graph."""

import pickle
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch_geometric.data import Data, HeteroData

from .._checks import choice
from . import load, names
from .filters import at_least, refuse_text
from .interactions import from_interactions
from .splits import Split
from .storage import load_graph
from .tables import read_interactions
from .text_tables import suffix

TABLES = (".csv", ".tsv", ".inter", ".parquet")
GRAPH = ".pt"


@dataclass(frozen=True)
class Reading:
    """Settings of :func:`open_graph`; None stands for the default.

    Args:
        user, item: columns of a table, see :func:`graphpoison.datasets.read_interactions`.
        header: whether the first line of a table names its columns.
        rating: the column of a table to which ``min_rating`` applies.
        min_rating: rows of a table with a smaller rating are left out.
        test_fraction: share of the interactions that is unseen.
        seed: seed of the negatives and the split.
        split: as in :func:`graphpoison.datasets.from_interactions`; by default ``"random"``, and
            the published split for ``gowalla``.
        time: the column of a table with the times for ``split``.
    """

    user: str | None = None
    item: str | None = None
    header: bool | None = None
    rating: str | None = None
    min_rating: float | None = None
    test_fraction: float | None = None
    seed: int | None = None
    split: Split | None = None
    time: str | None = None

    def __post_init__(self) -> None:
        if (self.rating is None) != (self.min_rating is None):
            raise ValueError("rating and min_rating belong together: give both or neither.")


def open_graph(
    source: str | Path, reading: Reading | None = None, root: str | Path | None = None
) -> Data | HeteroData:
    """The graph of ``source``.

    Args:
        source: one of :func:`graphpoison.datasets.names`; the path of a table (``.csv``, ``.tsv``
            or ``.inter``, also with ``.gz``); or the path of a graph (``.pt``) that
            :func:`graphpoison.datasets.save_graph` wrote.
        reading: settings for the reading.
        root: folder of data sets, see :func:`graphpoison.datasets.load`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a name, column or suffix is unknown; a file does not match its suffix; a setting
            of ``reading`` does not apply to this kind of source.
        TypeError: the data set does not have a setting.
    """
    reading, path = reading or Reading(), Path(source)
    if str(source) not in names():
        kind = suffix(path)
        if kind in (*TABLES, GRAPH) and not path.is_file():
            raise FileNotFoundError(f"there is no file {str(source)!r}.")
        if kind in TABLES:
            return _of_table(path, reading)
        if kind == GRAPH:
            return _of_graph(path, reading)
        if path.exists():
            raise ValueError(
                f"{path} ends in {kind!r}; a table must end in {', '.join(TABLES)} (or these and "
                f".gz), a graph in {GRAPH}: rename it if it is one."
            )
    _refuse_columns(source, reading)
    wanted = {"test_fraction": reading.test_fraction, "split": reading.split}
    options = {option: value for option, value in wanted.items() if value is not None}
    return load(choice("input", str(source), names()), root, reading.seed, **options)


def _of_table(path: Path, reading: Reading) -> HeteroData:
    header = reading.header is not False
    others = [name for name in (reading.rating, reading.time) if name is not None]
    read = partial(read_interactions, path, reading.user, reading.item, header=header)
    frame = read(others=others)
    if not set(others) <= set(map(str, frame.columns)):
        frame = read()  # for an error that knows all columns
    if frame.empty:
        raise ValueError(f"{path} has no rows; give at least one interaction.")
    frame.columns = frame.columns.map(str)
    if reading.rating is not None and reading.min_rating is not None:
        refuse_text(frame, reading.rating, argument="rating")
        rows, frame = len(frame), at_least(frame, reading.rating, reading.min_rating)
        if frame.empty:
            raise ValueError(
                f"none of the {rows} rows of {path} has {reading.rating} >= {reading.min_rating}."
            )
    share = 0.2 if reading.test_fraction is None else reading.test_fraction
    return from_interactions(
        frame,
        test_fraction=share,
        seed=reading.seed or 0,
        split=reading.split or "random",
        time=reading.time,
    )


def _of_graph(path: Path, reading: Reading) -> Data | HeteroData:
    _refuse_columns(path, reading)
    if any(value is not None for value in (reading.test_fraction, reading.seed, reading.split)):
        raise ValueError(
            f"{path} is a graph and has its split already: leave out test_fraction, seed and split."
        )
    try:
        return load_graph(path)
    except ValueError as error:
        if isinstance(error.__cause__, pickle.UnpicklingError):
            raise ValueError(
                f"{path} needs pickle, which may run code, and is not read; if you trust it, run "
                f"in Python: graphpoison.datasets.save_graph(torch.load({str(path)!r}, "
                "weights_only=False), 'safe.pt')."
            ) from error
        raise ValueError(
            f"{path} is no graph written by graphpoison.datasets.save_graph."
        ) from error


def _refuse_columns(source: str | Path, reading: Reading) -> None:
    columns = (reading.user, reading.item, reading.header, reading.rating, reading.time)
    if any(value is not None for value in columns):
        raise ValueError(f"{str(source)!r} is no table: it has no columns to choose.")
