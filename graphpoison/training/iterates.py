"""The iterates of a training run, for a reverse pass in bounded memory."""

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil, inf, sqrt
from typing import IO, Literal

import torch
from torch import Tensor

from .._ranks import ALONE, Ranks
from .prepared import Params

Iterate = tuple[Params, Params]
"""Coordinates of the parameters, and the optimiser's state."""

Place = Literal["memory", "file", "checkpoints"]
"""All iterates in memory, all in a temporary file, or every ``stride_of(count)``-th in memory."""

KEPT_BYTES = 32 * 2**20
"""Iterates of at most this size in total are kept in memory."""

SPOOLED_BYTES = 4 * 2**30
"""Larger iterates, up to this size in total, go to a temporary file (in ``TMPDIR``)."""


@dataclass(frozen=True, eq=False)
class Iterates:
    """Iterates 0 to ``count`` of ``step``.

    They are kept in memory if their total size is small, and on a CPU in a temporary file if it is
    larger. Otherwise every sqrt(count)-th iterate is kept in memory, and :meth:`backwards` computes
    the iterates in between again, which takes one more training run (Griewank 1992, one level).

    Args:
        step: maps an iterate to the next iterate.
        count: number of steps.
        kept: the iterates that are kept.
        last: iterate ``count``.
    """

    step: Callable[[Iterate], Iterate]
    count: int
    kept: "Kept"
    last: Iterate

    @classmethod
    def run(
        cls,
        step: Callable[[Iterate], Iterate],
        start: Iterate,
        count: int,
        ranks: Ranks = ALONE,
    ) -> "Iterates":
        """Runs ``count`` steps from ``start``, at the same time on all ``ranks``."""
        kept = _keep(start, count, ranks)
        current = start
        for number in range(count):
            if number % kept.stride == 0:
                kept.append(current)
            current = step(current)
        return cls(step, count, kept, current)

    def backwards(self) -> Iterator[Iterate]:
        """Yields iterates ``count - 1`` to 0."""
        stride = self.kept.stride
        for segment in range(ceil(self.count / stride) - 1, -1, -1):
            stretch = [self.kept[segment]]
            length = min(stride, self.count - segment * stride)
            while len(stretch) < length:
                stretch.append(self.step(stretch[-1]))
            while stretch:
                yield stretch.pop()


class Kept:
    """Every ``stride``-th iterate, in memory."""

    def __init__(self, stride: int = 1) -> None:
        self.stride = stride
        self._iterates: list[Iterate] = []

    def append(self, iterate: Iterate) -> None:
        self._iterates.append(iterate)

    def __getitem__(self, number: int) -> Iterate:
        return self._iterates[number]


class Spooled(Kept):
    """All iterates, in a temporary file; the operating system buffers writes and reads ahead.

    Args:
        like: an iterate, for shapes and types.
        file: the temporary file.
    """

    def __init__(self, like: Iterate, file: IO[bytes]) -> None:
        super().__init__()
        self._like, self._file = like, file
        self._size = _num_bytes(like)
        weakref.finalize(self, file.close)

    def append(self, iterate: Iterate) -> None:
        for tensor in (*iterate[0], *iterate[1]):
            self._file.write(tensor.detach().contiguous().numpy().tobytes())

    def __getitem__(self, number: int) -> Iterate:
        self._file.seek(number * self._size)
        coordinates, state = (tuple(map(self._read, part)) for part in self._like)
        return coordinates, state

    def _read(self, like: Tensor) -> Tensor:
        if not like.numel():
            return like
        found = torch.frombuffer(bytearray(self._file.read(like.nbytes)), dtype=like.dtype)
        return found.view(like.shape)


def place(size: int, on_cpu: bool = True, room: float = inf) -> Place:
    """Where iterates of ``size`` bytes in total are kept; a file takes at most ``room`` bytes."""
    if size <= KEPT_BYTES:
        return "memory"
    return "file" if on_cpu and size <= min(SPOOLED_BYTES, room) else "checkpoints"


def stride_of(count: int) -> int:
    """The number of steps between two checkpoints, for a run of ``count`` steps."""
    return ceil(sqrt(count))


def _keep(start: Iterate, count: int, ranks: Ranks) -> Kept:
    size = count * _num_bytes(start)
    on_cpu = all(tensor.device.type == "cpu" for part in start for tensor in part)
    free = shutil.disk_usage(tempfile.gettempdir()).free if size > KEPT_BYTES else inf
    where, device = place(size, on_cpu, free / 2), start[0][0].device
    if ranks.any(where == "checkpoints", device):  # then all ranks compute iterates again
        return Kept(stride_of(count))
    return Spooled(start, tempfile.TemporaryFile()) if where == "file" else Kept()


def _num_bytes(iterate: Iterate) -> int:
    return sum(tensor.nbytes for part in iterate for tensor in part)
