"""Graphs in files that ``torch.load(weights_only=True)`` reads."""

import errno
import json
import os
from typing import IO, Any
from zipfile import ZipFile

import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData

from .._io import atomic_write, refuse_large, refuse_special
from .._settings import describe, digest

FORMAT = 2
PLAIN = (Tensor, int, float, str, bytes, type(None))  # bool is an int


def save_graph(data: Data | HeteroData, path: str | os.PathLike[str]) -> None:
    """Write a graph as plain dicts of tensors, numbers and strings.

    ``torch.load(path, weights_only=True)`` reads the file as ``{"format": 2, "kind": "Data" or
    "HeteroData", "graph": data.to_dict(), "digest": of the graph}``. PyG is needed for this only if
    the graph has an ``EdgeIndex``.

    Args:
        data: the graph; not changed.
        path: the file, written completely or not at all.

    Raises:
        TypeError: ``data`` is no graph, or holds objects other than tensors, numbers, strings, and
            lists, tuples and dicts of these.
    """
    if type(data) not in (Data, HeteroData):
        raise TypeError(f"data must be Data or HeteroData, found {type(data).__name__}.")
    graph = data.to_dict()
    _refuse_objects("data", graph)
    with atomic_write(path) as file:
        kind, found = type(data).__name__, _digest(graph)
        torch.save({"format": FORMAT, "kind": kind, "graph": graph, "digest": found}, file)


def load_graph(path: str | os.PathLike[str]) -> Data | HeteroData:
    """Read a graph that :func:`save_graph` wrote, tensors on the CPU; no code in the file is run.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is of another kind or format, or it is damaged. Besides the checksums
            in the file, a digest of the tensors is verified: ``torch.load`` ignores the checksums,
            and leaves a tensor unread if its member is declared as a folder.
    """
    refuse_special(path)
    with open(path, "rb") as file:
        state = _read(path, file)
    kinds: dict[str, type[Data] | type[HeteroData]] = {"Data": Data, "HeteroData": HeteroData}
    if not isinstance(state, dict) or state.get("kind") not in kinds or "graph" not in state:
        raise ValueError(f"{path} is no file of save_graph.")
    if state.get("format") != FORMAT:
        raise ValueError(
            f"{path} is of another format than {FORMAT}; save the graph anew with this version."
        )
    if state.get("digest") != _digest(state["graph"]):
        raise ValueError(f"{path} is damaged: its graph has another digest than the saved one.")
    return kinds[state["kind"]].from_dict(state["graph"])


def _digest(graph: Any) -> str:
    return digest(json.dumps(describe(_strided(graph))))


def _strided(value: Any) -> Any:
    """``value`` with sparse tensors replaced by their layout, shape, indices and values."""
    if isinstance(value, dict):
        return {key: _strided(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_strided(part) for part in value]
    if isinstance(value, Tensor) and value.layout != torch.strided:
        coordinates = value.to_sparse_coo()
        parts = coordinates._indices(), coordinates._values()
        return [str(value.layout), list(value.shape), *parts]
    return value


def _read(path: str | os.PathLike[str], file: IO[bytes]) -> Any:
    try:
        refuse_large(file, lambda name: True)
        with ZipFile(file) as records:
            damaged = records.testzip()
        if damaged is None:
            file.seek(0)
            return torch.load(file, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # zipfile and torch raise many types for damaged bytes
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # EINVAL: a damaged offset
            raise
        raise ValueError(f"{path} is no file of save_graph, or it is damaged: {error}") from error
    raise ValueError(f"{path} is damaged, or lacks checksums: the checksum of {damaged} differs.")


def _refuse_objects(place: str, value: Any) -> None:
    """Raise a TypeError if ``value`` holds an object that ``torch.load(weights_only=True)`` would
    not read; ``place`` names its position."""
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
