"""Writing of interactions, clean or poisoned, to files with their original ids."""

import csv
import itertools
import os
import re
from collections import Counter
from collections.abc import Hashable
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from torch import Tensor
from torch_geometric.data import HeteroData

from .._checks import choice
from .._io import atomic_write
from ..graphs import EdgeType
from ..graphs import read_interactions as read_graph_interactions
from .text_tables import suffix

SEPARATOR = {".inter": "\t", ".tsv": "\t", ".csv": ","}


def write_interactions(
    data: HeteroData,
    path: str | os.PathLike[str],
    edge_type: EdgeType | None = None,
    part: Literal["train", "unseen"] = "train",
    columns: tuple[str, str] | None = None,
) -> None:
    """Write the interactions of ``data`` as a table that :func:`read_interactions` reads.

    The suffix determines the format: ``.inter`` (RecBole: ``user_id:token``, ``item_id:token``,
    tabs), ``.csv`` or ``.tsv`` (``user``, ``item``), each also with ``.gz``. Ids are the ``raw_id``
    of the nodes, or their numbers if there is none. Nodes beyond the end of ``raw_id``, such as
    fake users, get new ids that look like the others: the integers after the largest id if all ids
    are integers, ``c042`` after ``c041`` if most ids are a prefix and a number, otherwise ``new-0``
    and so on. Rows are sorted by the numbers of the nodes. A user without interactions
    has no row.

    Args:
        data: a graph as :func:`from_interactions` makes it; not changed.
        path: the file, written completely or not at all.
        edge_type: the interactions to write; if None, the only edge type that is not a reverse
            type.
        part: ``"train"`` for ``edge_index``, ``"unseen"`` for ``unseen_edge_index``.
        columns: other names for the columns of users and items; ``.inter`` adds ``:token``.

    Raises:
        TypeError: ``data`` is no ``HeteroData``.
        ValueError: the suffix or ``part`` is unknown; both columns have one name; the edge type is
            absent or ambiguous; ``raw_id`` has more entries than there are nodes; two ids are equal
            as text, or one is empty.
    """
    target = Path(path)
    kind = choice("the suffix of path", suffix(target), SEPARATOR)
    user, item = _columns(kind, columns)
    table = interaction_table(data, edge_type, part)
    write_text(table.rename(columns={"user": user, "item": item}), target)


def interaction_table(
    data: HeteroData, edge_type: EdgeType | None = None, part: Literal["train", "unseen"] = "train"
) -> pd.DataFrame:
    """The interactions of ``data`` as columns ``user`` and ``item`` of ids, as text. The arguments
    and errors of :func:`write_interactions`."""
    found = read_graph_interactions(data, edge_type)
    parts = {"train": found.edge_index, "unseen": found.unseen}
    pairs = parts[choice("part", part, parts)]
    if pairs is None:
        raise ValueError(f"part='unseen', but data[{found.edge_type}] has no unseen_edge_index.")
    source, _, destination = found.edge_type
    return pd.DataFrame(
        {
            column: _ids(data, node_type)[nodes.cpu().numpy()]
            for column, node_type, nodes in zip(
                ("user", "item"), (source, destination), pairs, strict=True
            )
        }
    )


def write_text(table: pd.DataFrame, target: Path) -> None:
    """Write a table of text in the format of the suffix, completely or not at all."""
    returns = any("\r" in text for text in table.to_numpy().flat)  # csv would not quote them
    with atomic_write(target) as file:
        table.to_csv(
            file,
            sep=SEPARATOR[suffix(target)],
            index=False,
            lineterminator="\n",
            quoting=csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL,
            mode="wb",
            compression={"method": "gzip", "mtime": 0} if target.suffix == ".gz" else None,
        )


def _columns(kind: str, columns: tuple[str, str] | None) -> tuple[str, str]:
    end, token = ("_id", ":token") if kind == ".inter" else ("", "")
    user, item = columns or (f"user{end}", f"item{end}")
    if user == item:
        raise ValueError(f"columns has {user!r} twice; give users and items a name each.")
    return f"{user}{token}", f"{item}{token}"


def _ids(data: HeteroData, node_type: str) -> npt.NDArray[np.object_]:
    """The text that is written for each node; all texts are different."""
    store = data[node_type]
    number = int(store.num_nodes)
    raw = store["raw_id"] if "raw_id" in store else range(number)
    known: list[Hashable] = raw.tolist() if isinstance(raw, Tensor) else list(raw)
    if len(known) > number:
        raise ValueError(
            f"data[{node_type!r}] has {number} nodes, but {len(known)} in raw_id; set num_nodes."
        )
    texts = [str(identity) for identity in [*known, *_fresh_ids(known, number - len(known))]]
    if "" in texts:
        raise ValueError(f"data[{node_type!r}].raw_id has an empty id, which reads as missing.")
    twice = pd.Series(texts, dtype=object).duplicated()
    if twice.any():
        raise ValueError(
            f"data[{node_type!r}].raw_id has {int(twice.sum())} ids that look like others in a "
            f"text file, e.g. {texts[int(twice.argmax())]!r}; give every node a different id."
        )
    return np.array(texts, dtype=object)


def _fresh_ids(known: list[Hashable], count: int) -> list[Hashable]:
    """New ids that look like the known ones: the next integers; or, if most of the ids are a prefix
    and a number (``c041``), the next numbers with this prefix; else ``new-0`` and so on."""
    numbers = [identity for identity in known if type(identity) is int]
    if len(numbers) == len(known):
        start = max(numbers, default=-1) + 1
        return list(range(start, start + count))
    taken = {str(identity) for identity in known}
    found = [match for text in taken if (match := re.fullmatch(r"(.*\D)(\d{1,12})", text))]
    prefixes = Counter(match[1] for match in found)
    prefix, often = max(prefixes.items(), key=lambda each: (each[1], each[0]), default=("", 0))
    start, width = 0, 1
    if 2 * often > len(known):
        same = [match[2] for match in found if match[1] == prefix]
        start, width = 1 + max(map(int, same)), min(map(len, same))
    else:
        prefix = "new-"
    names = (f"{prefix}{number:0{width}}" for number in itertools.count(start))
    return list(itertools.islice((name for name in names if name not in taken), count))
