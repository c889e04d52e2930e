"""The raw files of public data sets: found in several folders, else downloaded by PyG.

Nothing is written outside the user's cache.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch_geometric import datasets as pyg_datasets

logger = logging.getLogger(__name__)

VARIABLE = "GRAPHPOISON_DATA"


@dataclass(frozen=True)
class Source:
    """The raw files of one data set.

    Args:
        name: as given to :func:`graphpoison.datasets.load`.
        folders: raw folders relative to a data folder; the folder of PyG's class comes first.
        files: one set of file names for each form in which the data exist. The first set that is
            complete in one of ``folders`` is read.
        page: source of the files, if they must be downloaded by hand.
        download: creates ``folders[0]`` under the given folder, by PyG's own class; None if PyG
            does not have the data set.
    """

    name: str
    folders: tuple[str, ...]
    files: tuple[tuple[str, ...], ...]
    page: str = ""
    download: Callable[[Path], object] | None = None


def planetoid(name: str, folder: str) -> Source:
    """A graph of PyG's ``Planetoid`` in ``Planetoid/<folder>/raw``."""
    parts = ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index")
    return Source(
        name,
        (f"Planetoid/{folder}/raw",),
        (tuple(f"ind.{folder.lower()}.{part}" for part in parts),),
        download=lambda place: pyg_datasets.Planetoid(str(place / "Planetoid"), folder),
    )


def citation_full(name: str, folder: str) -> Source:
    """A graph of PyG's ``CitationFull`` in ``CitationFull/<folder>/raw``."""
    return Source(
        name,
        (f"CitationFull/{folder}/raw",),
        ((f"{folder}.npz",),),
        download=lambda place: pyg_datasets.CitationFull(str(place / "CitationFull"), folder),
    )


def movielens_100k(name: str) -> Source:
    """PyG's ``MovieLens100K``, or the folder ``ml-100k`` of GroupLens' archive."""
    return Source(
        name,
        ("MovieLens100K/raw", "MovieLens100K/ml-100k", "ml-100k"),
        (("u.data",),),
        download=lambda place: pyg_datasets.MovieLens100K(str(place / "MovieLens100K")),
    )


def find_raw(source: Source, root: str | Path | None = None) -> Path:
    """The folder with the raw files of ``source``. Arguments and errors as :func:`find_files`."""
    return find_files(source, root)[0].parent


def find_files(source: Source, root: str | Path | None = None) -> tuple[Path, ...]:
    """The raw files of ``source``, in the order of ``source.files``.

    Searches ``root``, then the folder that the environment variable ``GRAPHPOISON_DATA`` names,
    then the user's cache (``$XDG_CACHE_HOME/graphpoison`` or ``~/.cache/graphpoison``). If the
    files are in none of these and PyG has the data set, PyG downloads them into the cache. ``root``
    and ``GRAPHPOISON_DATA`` may be read-only.

    Raises:
        TypeError: ``root`` is no path.
        ValueError: ``root`` or ``GRAPHPOISON_DATA`` is set, but is not a directory.
        FileNotFoundError: the files are in none of the folders and could not be downloaded.
    """
    places = {
        "root": _directory("root", root),
        VARIABLE: _directory(VARIABLE, os.environ.get(VARIABLE) or None),
        "cache": user_cache(),
    }
    for label, place in places.items():
        found = _look(source, place)
        if found is not None:
            logger.info("%s: reading %s (found by %s).", source.name, found[0].parent, label)
            return found
        if place is not None:
            logger.info("%s: not in %s (%s).", source.name, place, label)
    return _download(source, places)


def user_cache() -> Path:
    """``$XDG_CACHE_HOME/graphpoison``, or ``~/.cache/graphpoison`` if the variable is not set."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "graphpoison"


def _directory(label: str, value: object) -> Path | None:
    if value is None:
        return None
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{label} must be a path or None, found {type(value).__name__}.")
    path = Path(value).expanduser()
    if not path.is_dir():
        raise ValueError(
            f"{label}={str(value)!r} is not a directory; give the folder that holds the data "
            "sets, or leave it out to use the user's cache."
        )
    return path


def _look(source: Source, place: Path | None) -> tuple[Path, ...] | None:
    if place is None:
        return None
    for folder in source.folders:
        for names in source.files:
            files = tuple(place / folder / name for name in names)
            if all(file.is_file() for file in files):
                return files
    return None


def _download(source: Source, places: dict[str, Path | None]) -> tuple[Path, ...]:
    """Download into a temporary folder of the cache, then move: no partial download is left."""
    if source.download is None:
        raise FileNotFoundError(_nowhere(source, places))
    cache = user_cache()
    logger.info("%s: downloading into %s.", source.name, cache)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=cache) as staging:
            source.download(Path(staging))
            if _look(source, cache) is None:  # else another process was faster
                _move(Path(staging), cache, Path(source.folders[0]).parent)
        found = _look(source, cache)
        if found is None:
            raise OSError(f"the download did not hold {_files(source)}")
    except Exception as error:  # PyG's downloads fail with whatever their transport raises
        raise FileNotFoundError(_nowhere(source, places, error)) from error
    return found


def _move(staging: Path, cache: Path, folder: Path) -> None:
    """Move ``folder`` into the cache, replacing files of an earlier incomplete download."""
    (cache / folder).parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(cache / folder, ignore_errors=True)
    shutil.move(staging / folder, cache / folder)


def _files(source: Source) -> str:
    return " or ".join(", ".join(names) for names in source.files)


def _nowhere(source: Source, places: dict[str, Path | None], error: Exception | None = None) -> str:
    def tried(label: str, absent: str) -> str:
        place = places[label]
        return absent if place is None else f"{place}: no {source.folders[0]} with all its files"

    lines = [
        f"  1. root argument: {tried('root', 'not given')}",
        f"  2. environment variable {VARIABLE}: {tried(VARIABLE, 'not set')}",
        f"  3. user's cache: {tried('cache', 'none')}",
    ]
    if error is None:
        todo = f"It cannot be downloaded for you: get it from {source.page}, and put"
    else:
        lines.append(f"  4. download by PyG: {type(error).__name__}: {error}")
        todo = "Connect to the network and try again, or put"
    return "\n".join(
        [
            f"data set {source.name!r} was found in none of the {len(lines)} places:",
            *lines,
            f"{todo} {_files(source)} into "
            f"{source.folders[0]} under a folder given as root= or {VARIABLE}; "
            "the data sets named 'synthetic-...' need no files.",
        ]
    )
