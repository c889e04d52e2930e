"""Files in the format of the Netflix Prize, read in blocks."""

import gzip
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pandas as pd

BLOCK = 1 << 24
_MOVIE = re.compile(rb"^(\d+):\r?\n", re.MULTILINE)
_TYPES = {"user": np.int32, "rating": np.int8}


def read_netflix_prize(
    path: str | Path, min_rating: int = 1, block_bytes: int = BLOCK
) -> pd.DataFrame:
    """The ratings in a file such as ``combined_data_1.txt``, gzipped or not.

    A line ``movie:`` is followed by the lines ``user,rating,date`` of this movie. The memory needed
    is 9 bytes for each kept rating, at times twice as much, and one block.

    Args:
        path: the file.
        min_rating: ratings with fewer stars are skipped while reading.
        block_bytes: bytes read at a time.

    Returns:
        Columns ``user`` (int32), ``item`` (int32) and ``rating`` (int8), in the file's order.

    Raises:
        ValueError: the file is of another format.
    """
    parts = []
    with _open(Path(path)) as file:
        for part in _blocks(file, block_bytes, path):
            parts.append(part[part["rating"] >= min_rating])
    if not parts:
        raise ValueError(f"{path} holds no ratings; give a file such as combined_data_1.txt.")
    return pd.concat(parts, ignore_index=True)


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _blocks(file: BinaryIO, block_bytes: int, path: str | Path) -> Iterator[pd.DataFrame]:
    """The ratings in blocks of whole lines, each of about ``block_bytes`` bytes."""
    movie = None
    while block := file.read(block_bytes):
        block += file.readline()
        if not block.endswith(b"\n"):
            block += b"\n"
        try:
            frame, movie = _parse(block, movie)
        except ValueError as error:
            raise ValueError(
                f"{path} is not in the Netflix Prize's format, which has lines 'movie:' followed "
                f"by lines 'user,rating,date': {error}"
            ) from error
        if len(frame):
            yield frame


def _parse(block: bytes, movie: int | None) -> tuple[pd.DataFrame, int | None]:
    """The ratings in ``block``, whose first lines belong to ``movie``, and the last movie in it."""
    first, *rest = _MOVIE.split(block)
    movies = [movie, *map(int, rest[0::2])]
    lines = [first, *rest[1::2]]
    counts = [part.count(b"\n") for part in lines]
    if movie is None and counts[0]:
        raise ValueError("there are ratings before the first movie.")
    if not any(counts):
        return pd.DataFrame(), movies[-1]
    frame = pd.read_csv(
        io.BytesIO(b"".join(lines)),
        names=["user", "rating", "date"],
        usecols=["user", "rating"],
        dtype=_TYPES,
        skip_blank_lines=False,
    )
    ids = np.array([number or 0 for number in movies], dtype=np.int32)
    frame.insert(1, "item", np.repeat(ids, counts))
    return frame, movies[-1]
