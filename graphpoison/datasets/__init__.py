"""Data sets by name, and interactions from and to files.

``load("cora")`` gives the same graph, split and order everywhere; see :func:`load` for the folders
that are searched. The data sets whose names start with ``synthetic-`` need no files.
:func:`read_interactions` and :func:`from_interactions` make a graph from your own file;
:func:`write_interactions` and :func:`save_graph` write a graph to a file.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, overload

import pandas as pd
from torch_geometric.data import Data, HeteroData

from .._checks import choice, seed_number
from . import recommenders
from .citation import (
    citeseer,
    citeseer_deeprobust,
    cora,
    cora_deeprobust,
    cora_ml,
    polblogs,
    pubmed,
)
from .counts import THESIS, Counts, Description, count
from .export import write_interactions
from .filters import at_least, k_core, sample_users
from .interactions import from_interactions
from .link_split import from_link_split
from .splits import validation_split
from .storage import load_graph, save_graph
from .synthetic import synthetic_citation, synthetic_interactions
from .tables import read_interactions

__all__ = [
    "Counts",
    "Description",
    "at_least",
    "describe",
    "from_interactions",
    "from_link_split",
    "k_core",
    "load",
    "load_graph",
    "names",
    "read_interactions",
    "sample_users",
    "save_graph",
    "validation_split",
    "write_interactions",
]
__dir__ = __all__.copy

Citation = Literal[
    "cora",
    "cora-deeprobust",
    "cora-ml",
    "citeseer",
    "citeseer-deeprobust",
    "pubmed",
    "polblogs",
    "synthetic-citation",
]
Interaction = Literal[
    "movielens-100k",
    "movielens-1m",
    "steam",
    "anime",
    "netflix",
    "gowalla",
    "synthetic-interactions",
]

_MAKERS: dict[str, Callable[..., Data | HeteroData]] = {
    "cora": cora,
    "cora-deeprobust": cora_deeprobust,
    "cora-ml": cora_ml,
    "citeseer": citeseer,
    "citeseer-deeprobust": citeseer_deeprobust,
    "pubmed": pubmed,
    "polblogs": polblogs,
    "movielens-100k": recommenders.movielens,
    "movielens-1m": recommenders.movielens_1m,
    "steam": recommenders.steam,
    "anime": recommenders.anime,
    "netflix": recommenders.netflix,
    "gowalla": recommenders.gowalla,
    "synthetic-citation": synthetic_citation,
    "synthetic-interactions": synthetic_interactions,
}
_ROWS: dict[str, Callable[..., pd.DataFrame]] = {
    "movielens-100k": recommenders.movielens_rows,
    "movielens-1m": recommenders.movielens_1m_rows,
    "steam": recommenders.steam_rows,
    "anime": recommenders.anime_rows,
    "netflix": recommenders.netflix_rows,
    "gowalla": recommenders.gowalla_rows,
}


def names() -> list[str]:
    """The names that :func:`load` knows."""
    return list(_MAKERS)


@overload
def load(
    name: Citation, root: str | Path | None = None, seed: int | None = None, **options: Any
) -> Data: ...
@overload
def load(
    name: Interaction, root: str | Path | None = None, seed: int | None = None, **options: Any
) -> HeteroData: ...
@overload
def load(
    name: str, root: str | Path | None = None, seed: int | None = None, **options: Any
) -> Data | HeteroData: ...
def load(
    name: str, root: str | Path | None = None, seed: int | None = None, **options: Any
) -> Data | HeteroData:
    """The data set ``name``.

    ==========================  =============================================  ============
    name                        contents                                       default seed
    ==========================  =============================================  ============
    ``cora``                    Planetoid's order, 2,485 nodes, 5,069 edges    15
    ``cora-deeprobust``         the same graph, DeepRobust's order             15
    ``cora-ml``                 2,810 nodes, 7,981 edges                       15
    ``citeseer``                Planetoid's, 2,120 nodes, 3,679 edges          15
    ``citeseer-deeprobust``     DeepRobust's, 2,110 nodes, 3,668 edges         15
    ``pubmed``                  PyG's, largest component                       15
    ``polblogs``                1,222 nodes, 16,714 edges                      15
    ``synthetic-citation``      about 2,450 nodes, 5,000 edges                 15
    ``movielens-100k``          943 users, 1,682 items, 100,000                0
    ``movielens-1m``            6,040 users, 3,706 items, 1,000,209            0
    ``steam``                   1,698 users, 1,397 items, 84,424               0
    ``anime``                   2,000 users, about 1,500 items, 250,000        0
    ``netflix``                 as the file has it; see :func:`describe`       0
    ``gowalla``                 29,858 users, 40,981 items, 1,027,370          0
    ``synthetic-interactions``  900 users, 1,600 items, 100,000                0
    ==========================  =============================================  ============

    Raw files are searched in ``root``, in the folder named by the environment variable
    ``GRAPHPOISON_DATA``, and in the user's cache, in the layout of PyG's classes
    (``Planetoid/Cora/raw``, ``CitationFull/cora_ml/raw``, ``MovieLens100K/raw``). If they are not
    found, PyG downloads them into the cache. Data sets that PyG does not have (``polblogs``,
    ``steam``, ``anime``, ``netflix``, ``gowalla`` and the names that end in ``-deeprobust``) must
    be downloaded by hand; the error names the source and the folder. Nothing is written outside
    the cache. Planetoid's files are pickles: use only folders that you trust.

    Args:
        name: one of :func:`names`.
        root: folder of data sets; ignored by the synthetic data sets.
        seed: seed of the split and, if the data set has them, of negatives and synthesis; None for
            the default above.
        options: options of the data set, e.g. ``test_fraction=`` and ``split=`` of
            ``movielens-100k`` (see :func:`from_interactions`) or the sizes of the synthetic sets;
            see :mod:`.citation`, :mod:`.recommenders` and :mod:`.synthetic`.

    Returns:
        A citation graph as ``Data`` (see :func:`.citation.largest_component`) or interactions as
        ``HeteroData`` (see :func:`from_interactions`).

    Raises:
        ValueError: unknown name, ``root`` not a directory, or an option out of range.
        TypeError: an option that the data set does not have.
        FileNotFoundError: the files were not found and could not be downloaded.
    """
    maker = _MAKERS[choice("name", name, names())]
    return maker(**_arguments(name, maker, root, seed, options))


def describe(
    name: str, root: str | Path | None = None, seed: int | None = None, **options: Any
) -> Description:
    """The numbers of users, items and interactions of a data set, with the thesis's Table 4.19.

    Counts come from the files, after the filters; negatives are as many as :func:`load` draws
    by default. ``describe("steam", min_user=1, min_item=1)`` counts the whole file.

    Args:
        name: a recommendation data set among :func:`names`; not a synthetic one.
        root: as in :func:`load`.
        seed: seed of the sampled users; only for ``anime``.
        options: options of the filters, e.g. ``min_user=``.

    Raises:
        ValueError, TypeError, FileNotFoundError: as :func:`load`.
    """
    read = _ROWS[choice("name", name, _ROWS)]
    thesis = THESIS.get(name)
    rows = read(**_arguments(name, read, root, seed, options))
    return Description(name, count(rows, thesis.negatives if thesis else None), thesis)


def _arguments(
    name: str,
    function: Callable[..., object],
    root: str | Path | None,
    seed: int | None,
    options: dict[str, Any],
) -> dict[str, Any]:
    """The checked ``options``, with ``root`` and ``seed`` if ``function`` takes them."""
    accepted = inspect.signature(function).parameters
    for option in options:
        if option not in accepted:
            known = [parameter for parameter in accepted if parameter not in ("root", "seed")]
            raise TypeError(f"data set {name!r} has no option {option!r}; it has {known}.")
    arguments = dict(options)
    if "root" in accepted:
        arguments["root"] = root
    if seed is not None and "seed" in accepted:
        arguments["seed"] = seed_number("seed", seed)
    return arguments
