"""The files of a command: none is lost, and none turns out not to be writable after hours."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch_geometric.data import Data, HeteroData

from .._io import locked
from ..datasets import save_graph, write_interactions
from ..datasets.export import SEPARATOR, interaction_table, write_text
from ..datasets.poisoned_table import rows_of, with_other_columns
from ..datasets.source import GRAPH, Reading
from ..datasets.text_tables import suffix
from ..registry import AttackSettings
from .errors import WrongUsage


def check_writable(*paths: Path | None) -> None:
    """Refuse at once a path that could not be written after hours of work."""
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
    """Refuse to write over an input, or one output over another."""
    read = {Path(path).resolve(): path for path in inputs if path is not None}
    written: set[Path] = set()
    for path in outputs:
        if path is None:
            continue
        place = path.resolve()
        if place in read:
            raise WrongUsage(f"{path} would be written over the input {read[place]}: name another.")
        if place in written:
            raise WrongUsage(f"two outputs would be written to {path}: name another for one.")
        written.add(place)


def check_new(path: Path | None, overwrite: bool) -> None:
    """Refuse to replace a file unless told to."""
    if path is not None and path.exists() and not overwrite:
        raise WrongUsage(f"{path} is there already: give it another name, or give --overwrite.")


def checkpoint_beside(path: Path, kind: str) -> Path:
    """``flips.checkpoint.npz`` for ``flips.npz``."""
    return path.with_name(f"{path.stem}.checkpoint{kind}")


def fresh_or_resumed(path: Path, resume: bool, overwrite: bool) -> Path:
    """Refuse to go on with, or to lose, the file of an interrupted run, unless told to."""
    if path.exists() and overwrite and not resume:
        with locked(path):
            path.unlink()
    if path.exists() and not resume:
        raise WrongUsage(
            f"{path} is there, left by an interrupted run: go on with --resume, or start anew with "
            "--overwrite."
        )
    return path


def checkpoint_of(out: Path, resume: bool, overwrite: bool) -> Path:
    """Where an attack keeps its flips until they are whole: ``out`` itself, if that is to be
    resumed and is finished, so that it is seen to be that attack and nothing is done again."""
    checkpoint = fresh_or_resumed(checkpoint_beside(out, ".npz"), resume, overwrite)
    if resume and out.exists() and not checkpoint.exists():
        return out
    if out.exists() and not overwrite and not checkpoint.exists():
        raise WrongUsage(f"{out} is there already: name another --out, or give --overwrite.")
    return checkpoint


def check_output(path: Path | None, kinds: Sequence[str], overwrite: bool) -> None:
    """Refuse a name that says the file is something else, and to replace a file."""
    if path is not None and path.suffix.lower() not in kinds:
        raise WrongUsage(f"{path} must end in {' or '.join(kinds)}.")
    check_new(path, overwrite)


def check_export(path: Path | None, data: Data | HeteroData) -> None:
    if path is None:
        return
    kinds = [GRAPH, *SEPARATOR] if isinstance(data, HeteroData) else [GRAPH]
    if suffix(path) not in kinds:
        raise ValueError(f"export={str(path)!r} must end in {' or '.join(kinds)} for this input.")


def write_poisoned(
    poisoned: Any, path: Path, settings: AttackSettings, reading: Reading, source: Path, seed: int
) -> None:
    """Write the poisoned data. A table made of a table with a header keeps all its columns."""
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
