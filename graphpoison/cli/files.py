"""Checks of the files of a command before its work: outputs are writable and replace no file."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from torch_geometric.data import Data, HeteroData

from .._io import atomic_write, locked
from ..datasets import save_graph, write_interactions
from ..datasets.export import SEPARATOR, interaction_table, write_text
from ..datasets.poisoned_table import rows_of, with_other_columns
from ..datasets.source import GRAPH, Reading
from ..datasets.text_tables import suffix
from ..registry import AttackSettings
from .errors import WrongUsage

SUFFIXES = {
    "html": (".html", ".htm"),
    "plot": (".png", ".svg", ".pdf"),
    "latex": (".tex",),
    "csv": (".csv",),
}
"""Option of an output -> the suffixes of its file."""


def check_writable(*paths: Path | None) -> None:
    """Raise a WrongUsage if one of ``paths`` cannot be written."""
    for path in paths:
        if path is None:
            continue
        if path.is_dir():
            raise WrongUsage(f"{path} is a folder; name a file to write.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            raise WrongUsage(f"cannot write {path}: {error.strerror}.") from error


def check_apart(inputs: Sequence[str | Path | None], *outputs: Path | None) -> None:
    """Raise a WrongUsage if an output is an input, or if two outputs are the same file."""
    read = {Path(path).resolve(): path for path in inputs if path is not None}
    written: set[Path] = set()
    for path in outputs:
        if path is None:
            continue
        place = path.resolve()
        if place in read:
            raise WrongUsage(
                f"{path} would be written over the input {read[place]}: name another file."
            )
        if place in written:
            raise WrongUsage(f"two outputs would be written to {path}: name two files.")
        written.add(place)


def checkpoint_beside(path: Path, kind: str) -> Path:
    """Return ``flips.checkpoint.npz`` for ``flips.npz``."""
    return path.parent / f"{path.stem}.checkpoint{kind}"


def fresh_or_resumed(path: Path, resume: bool, overwrite: bool) -> Path:
    """Return ``path``, the file of an interrupted run if it exists.

    The file is kept with ``resume``, and otherwise removed with ``overwrite``.

    Raises:
        WrongUsage: the file exists, and neither is given.
    """
    if path.exists() and overwrite and not resume:
        with locked(path):
            path.unlink()
    if path.exists() and not resume:
        raise WrongUsage(
            f"{path} was left by an interrupted run: continue with --resume, or start again with "
            "--overwrite."
        )
    return path


def checkpoint_of(out: Path, resume: bool, overwrite: bool) -> Path:
    """Return the file in which an attack saves its flips until it has finished.

    This is ``out`` itself if ``out`` is finished and is to be resumed: the attack then recognises
    its flips and computes nothing.

    Raises:
        WrongUsage: ``out`` or its checkpoint exists, without ``resume`` or ``overwrite``.
    """
    checkpoint = fresh_or_resumed(checkpoint_beside(out, ".npz"), resume, overwrite)
    if resume and out.exists() and not checkpoint.exists():
        return out
    if out.exists() and not overwrite and not checkpoint.exists():
        raise WrongUsage(f"{out} already exists: name another --out, or give --overwrite.")
    return checkpoint


def check_outputs(
    inputs: Sequence[str | Path | None],
    outputs: Mapping[str, Path | None],
    overwrite: bool,
    *kept: Path,
) -> list[Path]:
    """Check the files of a command before its work, and return the outputs that are given.

    Args:
        inputs: files that the command reads.
        outputs: files that the command writes, by the name of the option.
        overwrite: whether the outputs may exist.
        kept: files that the command also writes, and that may exist.

    Raises:
        WrongUsage: an output is an input or another output, has a suffix other than
            :data:`SUFFIXES`, exists, or cannot be written.
    """
    check_apart(inputs, *kept, *outputs.values())
    found = {name: path for name, path in outputs.items() if path is not None}
    for name, path in found.items():
        kinds = SUFFIXES.get(name)
        if kinds and path.suffix.lower() not in kinds:
            raise WrongUsage(f"{path} must end in {' or '.join(kinds)}.")
        if path.exists() and not overwrite:
            raise WrongUsage(f"{path} already exists: name another file, or give --overwrite.")
    check_writable(*kept, *found.values())
    return list(found.values())


def write_table(table: pd.DataFrame, path: Path | None) -> None:
    """Write ``table`` as CSV, if a path is given."""
    if path is not None:
        with atomic_write(path) as file:
            table.to_csv(file, index=False)


def check_export(path: Path | None, data: Data | HeteroData) -> None:
    """Raise a ValueError if ``data`` cannot be written in the format of ``path``."""
    if path is None:
        return
    kinds = [GRAPH, *SEPARATOR] if isinstance(data, HeteroData) else [GRAPH]
    if suffix(path) not in kinds:
        raise ValueError(f"export={str(path)!r} must end in {' or '.join(kinds)} for this input.")


def write_poisoned(
    poisoned: Any, path: Path, settings: AttackSettings, reading: Reading, source: Path, seed: int
) -> None:
    """Write the poisoned data. Tables made of tables with a header keep all columns."""
    if suffix(path) == GRAPH:
        return save_graph(poisoned.cpu(), path)
    texts = (".csv", ".tsv")
    if suffix(path) in texts and suffix(source) in texts and reading.header is not False:
        rows, user, item = rows_of(source, reading)
        pairs = interaction_table(poisoned, settings.edge_type)
        return write_text(with_other_columns(pairs, rows, user, item, seed), path)
    columns = None
    if reading.user and reading.item and reading.header is not False:
        columns = reading.user, reading.item
    write_interactions(poisoned, path, settings.edge_type, columns=columns)
