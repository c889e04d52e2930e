"""Data sets by name, and interactions from any DataFrame.

``load("cora")`` gives the same graph, split and order everywhere; see :func:`load` for where the
files are looked for. The names starting with ``synthetic-`` need no files.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, overload

from torch_geometric.data import Data, HeteroData

from .._checks import choice, positive_int
from .citation import citeseer, cora, cora_ml
from .interactions import from_interactions, movielens
from .synthetic import synthetic_citation, synthetic_interactions

__all__ = ["from_interactions", "load", "names"]

Citation = Literal["cora", "cora-ml", "citeseer", "synthetic-citation"]
Interaction = Literal["movielens-100k", "synthetic-interactions"]

_MAKERS: dict[str, Callable[..., Data | HeteroData]] = {
    "cora": cora,
    "cora-ml": cora_ml,
    "citeseer": citeseer,
    "movielens-100k": movielens,
    "synthetic-citation": synthetic_citation,
    "synthetic-interactions": synthetic_interactions,
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

    =========================  ==================================  ============
    name                       what                                default seed
    =========================  ==================================  ============
    ``cora``                   2,485 nodes, 5,069 edges            15
    ``cora-ml``                2,810 nodes, 7,981 edges            15
    ``citeseer``               2,120 nodes, 3,679 edges            15
    ``synthetic-citation``     about 2,450 nodes, 5,000 edges      15
    ``movielens-100k``         943 users, 1,682 items, 100,000     0
    ``synthetic-interactions`` 900 users, 1,600 items, 100,000     0
    =========================  ==================================  ============

    Raw files are looked for in ``root``, in the folder named by the environment variable
    ``GRAPHPOISON_DATA``, and in the user's cache, laid out as PyG's classes do
    (``Planetoid/Cora/raw``, ``CitationFull/cora_ml/raw``, ``MovieLens100K/raw``); failing these,
    PyG downloads them into the cache. Nothing is written anywhere else. Planetoid's files are
    pickles: give only folders that you trust.

    Args:
        name: one of :func:`names`.
        root: folder of data sets; the synthetic ones do not look at it.
        seed: of the split and, where there are any, of negatives and synthesis; None for the
            default above.
        options: of the data set, e.g. ``test_fraction=`` of ``movielens-100k`` or the sizes of the
            synthetic sets; see :mod:`.citation`, :mod:`.interactions` and :mod:`.synthetic`.

    Returns:
        A citation graph as ``Data`` (see :func:`.citation.largest_component`) or interactions as
        ``HeteroData`` (see :func:`from_interactions`).

    Raises:
        ValueError: unknown name, ``root`` not a directory, or an option out of range.
        TypeError: an option that the data set does not have.
        FileNotFoundError: the files are nowhere and could not be downloaded.
    """
    maker = _MAKERS[choice("name", name, names())]
    accepted = inspect.signature(maker).parameters
    for option in options:
        if option not in accepted:
            known = [parameter for parameter in accepted if parameter not in ("root", "seed")]
            raise TypeError(f"data set {name!r} has no option {option!r}; it has {known}.")
    if "root" in accepted:
        options["root"] = root
    if seed is not None:
        options["seed"] = positive_int("seed", seed, minimum=0)
    return maker(**options)
