"""The public recommendation data sets, each as a table of rows and as a graph.

A function ``..._rows`` returns the interactions after the filters, with the columns ``user`` and
``item`` and all other columns of the file. The function without ``_rows`` returns the graph. If a
file is missing and cannot be downloaded, the error says where to put it.

``split`` is as in :func:`.from_interactions`. For MovieLens, ``"time"`` and ``"leave-one-out"`` use
the time of each rating. The other data sets are read without times: ``"time"`` raises a ValueError,
and ``"leave-one-out"`` is random.
"""

from pathlib import Path
from typing import Literal

import pandas as pd
from torch_geometric import datasets as pyg_datasets
from torch_geometric.data import HeteroData

from .._random import numpy_generator
from .counts import THESIS
from .filters import at_least, k_core, sample_users
from .interactions import from_interactions
from .locate import Source, find_files, movielens_100k
from .netflix_prize import read_netflix_prize
from .splits import BY_TIME, Split
from .tables import read_interactions

Root = str | Path | None

MOVIELENS_1M = Source(
    "movielens-1m",
    ("MovieLens1M/raw", "MovieLens1M/ml-1m", "MovieLens1M", "ml-1m"),
    (("ratings.dat",), ("interactions.csv.gz",)),
    download=lambda place: pyg_datasets.MovieLens1M(str(place / "MovieLens1M")),
)
STEAM = Source(
    "steam",
    ("Steam",),
    (("steam-200k.csv",), ("steam-200k.csv.gz",)),
    page="'Steam Video Games' by Tamber, https://www.kaggle.com/datasets/tamber/steam-video-games",
)
ANIME = Source(
    "anime",
    ("Anime",),
    (("rating.csv",), ("rating.csv.gz",), ("rating_5000users.csv.gz",)),
    page="'Anime Recommendations Database' by CooperUnion, "
    "https://www.kaggle.com/datasets/CooperUnion/anime-recommendations-database",
)
NETFLIX = Source(
    "netflix",
    ("Netflix",),
    (("combined_data_1.txt",), ("combined_data_1.txt.gz",)),
    page="'Netflix Prize data' by Netflix, "
    "https://www.kaggle.com/datasets/netflix-inc/netflix-prize-data",
)
GOWALLA = Source(
    "gowalla",
    ("LightGCN/gowalla", "gowalla"),
    (("train.txt", "test.txt"), ("train.txt.gz", "test.txt.gz")),
    page="the folder data/gowalla of the GitHub repository gusye1234/LightGCN-PyTorch",
)


def movielens(
    root: Root = None,
    seed: int = 0,
    test_fraction: float = 0.2,
    num_negatives: int | None = None,
    split: Split = "random",
) -> HeteroData:
    """MovieLens 100K (Harper and Konstan 2015): 943 users, 1,682 items, 100,000 interactions.

    Every rating counts as an interaction, whatever its value. Returns and raises as
    :func:`.from_interactions` and :func:`graphpoison.datasets.load` say.
    """
    rows = movielens_rows(root)
    return _graph("movielens-100k", rows, seed, test_fraction, num_negatives, split)


def movielens_rows(root: Root = None) -> pd.DataFrame:
    """All ratings of MovieLens 100K."""
    (file,) = find_files(movielens_100k("movielens-100k"), root)
    return pd.read_csv(file, sep="\t", names=["user", "item", "rating", "time"], dtype="int64")


def movielens_1m(
    root: Root = None,
    seed: int = 0,
    test_fraction: float = 0.2,
    num_negatives: int | None = None,
    split: Split = "random",
) -> HeteroData:
    """MovieLens 1M (Harper and Konstan 2015): 6,040 users, 3,706 items, 1,000,209 interactions.

    Every rating counts as an interaction. Returns and raises as :func:`movielens`. ``ratings.dat``
    has times; a table of the pairs has none.
    """
    rows = movielens_1m_rows(root)
    return _graph("movielens-1m", rows, seed, test_fraction, num_negatives, split)


def movielens_1m_rows(root: Root = None) -> pd.DataFrame:
    """All ratings of MovieLens 1M, from ``ratings.dat`` or from a table of only the pairs."""
    (file,) = find_files(MOVIELENS_1M, root)
    if file.suffix != ".dat":
        return pd.read_csv(file).rename(columns={"user_id": "user", "movie_id": "item"})
    names = ["user", "item", "rating", "time"]  # '::' is read as two ':' with an empty field
    return pd.read_csv(file, sep=":", header=None, usecols=[0, 2, 4, 6], dtype="int64").set_axis(
        names, axis="columns"
    )


def steam(
    root: Root = None,
    seed: int = 0,
    test_fraction: float = 0.2,
    num_negatives: int | None = THESIS["steam"].negatives,
    min_user: int = 20,
    min_item: int = 20,
    split: Split = "random",
) -> HeteroData:
    """Steam Video Games (thesis, section 4.7): 1,698 users, 1,397 games, 84,424 interactions.

    The thesis's 132,831 interactions are rows of the file, in which a game bought and played counts
    twice. They are 84,424 distinct pairs, and a graph holds each pair once.

    Args:
        root: folder of data sets.
        seed: seed of the negatives and the split.
        test_fraction: as in :func:`.from_interactions`.
        num_negatives: as in :func:`.from_interactions`; by default as in Table 4.19.
        min_user: rows that a user needs; the filters repeat until nothing changes.
        min_item: rows that a game needs; the filters repeat until nothing changes.
        split: as in :func:`.from_interactions`.
    """
    rows = steam_rows(root, min_user, min_item)
    return _graph("steam", rows, seed, test_fraction, num_negatives, split)


def steam_rows(root: Root = None, min_user: int = 20, min_item: int = 20) -> pd.DataFrame:
    """The purchases and plays of Steam that remain after :func:`.k_core`."""
    (file,) = find_files(STEAM, root)
    names = ["user", "item", "behaviour", "value"]
    frame = pd.read_csv(file, header=None, names=names, usecols=range(4))
    return k_core(frame, min_user, min_item)


def anime(
    root: Root = None,
    seed: int = 0,
    test_fraction: float = 0.2,
    num_negatives: int | None = THESIS["anime"].negatives,
    num_users: int = 2000,
    min_user: int = 30,
    min_item: int = 50,
    min_rating: int | None = None,
    split: Split = "random",
) -> HeteroData:
    """Anime Recommendations Database (thesis, section 4.7), 2,000 users drawn.

    The users drawn in the thesis are not known, so that its 207,662 interactions with 1,197 series
    are not reproduced. ``min_item`` counts the drawn users of a series. The thesis can also be read
    as counting all users before the draw, but then far more than 1,197 series would remain. The
    filter ``min_user`` is not applied again after the draw.

    Args:
        root: folder of data sets; holds ``rating.csv``, or a sample of 5,000 of its users.
        seed: seed of the drawn users, the negatives and the split.
        test_fraction: as in :func:`.from_interactions`.
        num_negatives: as in :func:`.from_interactions`; by default as in Table 4.19.
        num_users: number of users to draw.
        min_user: series that a user needs before the draw.
        min_item: drawn users that a series needs.
        min_rating: smallest rating of an interaction; None keeps all, also series watched but not
            rated.
        split: as in :func:`.from_interactions`.
    """
    rows = anime_rows(root, seed, num_users, min_user, min_item, min_rating)
    return _graph("anime", rows, seed, test_fraction, num_negatives, split)


def anime_rows(
    root: Root = None,
    seed: int = 0,
    num_users: int = 2000,
    min_user: int = 30,
    min_item: int = 50,
    min_rating: int | None = None,
) -> pd.DataFrame:
    """The rows of the drawn users, for series that at least ``min_item`` of them watched."""
    (file,) = find_files(ANIME, root)
    frame = pd.read_csv(file).rename(columns={"user_id": "user", "anime_id": "item"})
    if min_rating is not None:
        frame = at_least(frame, "rating", min_rating)
    frame = k_core(frame, min_user, 0, repeat=False)
    frame = sample_users(frame, num_users, numpy_generator(seed, 1))
    return k_core(frame, 0, min_item, repeat=False)


def netflix(
    root: Root = None,
    seed: int = 0,
    test_fraction: float = 0.2,
    num_negatives: int | None = THESIS["netflix"].negatives,
    min_user: int = 150,
    min_item: int = 150,
    min_rating: int = 4,
    split: Split = "random",
) -> HeteroData:
    """The first part of the Netflix Prize data, four and five stars (thesis, section 4.7).

    The thesis has 1,660,495 interactions, 8,138 users and 1,503 movies; :func:`.describe` compares
    your file with these numbers.

    Args:
        root: folder of data sets.
        seed: seed of the negatives and the split.
        test_fraction: as in :func:`.from_interactions`.
        num_negatives: as in :func:`.from_interactions`; by default as in Table 4.19.
        min_user: kept ratings that a user needs; the filters repeat until nothing changes.
        min_item: kept ratings that a movie needs; the filters repeat until nothing changes.
        min_rating: smallest number of stars of an interaction.
        split: as in :func:`.from_interactions`.
    """
    rows = netflix_rows(root, min_user, min_item, min_rating)
    return _graph("netflix", rows, seed, test_fraction, num_negatives, split)


def netflix_rows(
    root: Root = None, min_user: int = 150, min_item: int = 150, min_rating: int = 4
) -> pd.DataFrame:
    """The ratings of at least ``min_rating`` that remain after :func:`.k_core`."""
    (file,) = find_files(NETFLIX, root)
    return k_core(read_netflix_prize(file, min_rating), min_user, min_item)


def gowalla(
    root: Root = None,
    seed: int = 0,
    num_negatives: int | None = None,
    split: Split | Literal["published"] = "published",
    test_fraction: float = 0.2,
) -> HeteroData:
    """Gowalla as split by LightGCN (He et al. 2020): 29,858 users, 40,981 items.

    By default the published split is kept: 810,128 interactions to train on, 217,242 unseen.
    Returns and raises as :func:`movielens` does.

    Args:
        root: folder of data sets.
        seed: seed of the negatives and of a split other than the published one.
        num_negatives: as in :func:`.from_interactions`.
        split: ``"published"``, or as in :func:`.from_interactions`.
        test_fraction: as in :func:`.from_interactions`; ignored by the published split.
    """
    if split != "published":
        return _graph("gowalla", gowalla_rows(root), seed, test_fraction, num_negatives, split)
    train, test = _gowalla_parts(root)
    return from_interactions(train, seed=seed, num_negatives=num_negatives, unseen=test)


def gowalla_rows(root: Root = None) -> pd.DataFrame:
    """The check-ins of Gowalla's train and test files together."""
    return pd.concat(_gowalla_parts(root), ignore_index=True)


def _gowalla_parts(root: Root) -> list[pd.DataFrame]:
    return [read_interactions(file, lists=True) for file in find_files(GOWALLA, root)]


def _graph(
    name: str,
    rows: pd.DataFrame,
    seed: int,
    test_fraction: float,
    num_negatives: int | None,
    split: Split,
) -> HeteroData:
    """The graph of ``rows``, split by time if the rows have times and ``split`` uses them.

    Raises:
        ValueError: ``split="time"`` and the rows have no times.
    """
    timed = "time" in rows
    if split == "time" and not timed:
        raise ValueError(
            f"split='time' needs times, and {name!r} has none in the file that was read; use "
            "split='per-user' or split='leave-one-out', or make a graph of a table with times by "
            "from_interactions(frame, split='time', time=...)."
        )
    return from_interactions(
        rows,
        test_fraction=test_fraction,
        seed=seed,
        num_negatives=num_negatives,
        split=split,
        time="time" if timed and split in BY_TIME else None,
    )
