"""Graphs kept in files that ``torch.load(weights_only=True)`` reads."""

import os
import pickle
import struct
import zlib
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData

from .._io import atomic_write

FORMAT = 1
UNREADABLE = (BadZipFile, NotImplementedError, OverflowError, struct.error, zlib.error)
PLAIN = (Tensor, int, float, str, bytes, type(None))  # bool is an int


def save_graph(data: Data | HeteroData, path: str | os.PathLike[str]) -> None:
    """Write a graph as plain dicts of tensors, numbers and strings.

    ``torch.load(path, weights_only=True)`` reads the file as ``{"format": 1, "kind": "Data" or
    "HeteroData", "graph": data.to_dict()}``; without PyG, unless the graph has an ``EdgeIndex``.

    Args:
        data: the graph; not changed.
        path: the file to write, whole or not at all.

    Raises:
        TypeError: ``data`` is no graph, or holds something else than tensors, numbers, strings,
            and lists, tuples and dicts of them.
    """
    if type(data) not in (Data, HeteroData):
        raise TypeError(f"data must be Data or HeteroData, found {type(data).__name__}.")
    graph = data.to_dict()
    _refuse_objects("data", graph)
    with atomic_write(path) as file:
        torch.save({"format": FORMAT, "kind": type(data).__name__, "graph": graph}, file)


def load_graph(path: str | os.PathLike[str]) -> Data | HeteroData:
    """Read a graph that :func:`save_graph` wrote, tensors on the CPU; no code in the file is run.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is another kind of file, of another format, or damaged: ``torch.load`` does
            not look at the checksums that are in the file.
    """
    try:
        with ZipFile(path) as records:
            damaged = records.testzip()
        if damaged is not None:
            raise ValueError(
                f"{path} is damaged, or has no checksums: the one of {damaged} differs."
            )
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (*UNREADABLE, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise ValueError(f"{path} is no file of save_graph, or it is damaged: {error}") from error
    kinds: dict[str, type[Data] | type[HeteroData]] = {"Data": Data, "HeteroData": HeteroData}
    if not isinstance(state, dict) or state.get("kind") not in kinds or "graph" not in state:
        raise ValueError(f"{path} is no file of save_graph.")
    if state.get("format") != FORMAT:
        raise ValueError(f"{path} is of another format than {FORMAT}; save it anew.")
    return kinds[state["kind"]].from_dict(state["graph"])


def _refuse_objects(place: str, value: Any) -> None:
    """Descend to whatever ``torch.load(weights_only=True)`` would not read."""
    if isinstance(value, dict):
        for key, part in value.items():
            _refuse_objects(f"{place} key", key)
            _refuse_objects(f"{place}[{key!r}]", part)
    elif isinstance(value, list | tuple):
        for part in value:
            _refuse_objects(place, part)
    elif not isinstance(value, PLAIN):
        raise TypeError(
            f"{place} holds a {type(value).__name__}, which cannot be saved without pickling code; "
            "make it a tensor, a number, a string, or a list or dict of these."
        )
