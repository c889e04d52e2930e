"""Progress of long loops: a bar on a terminal or in a notebook, otherwise a line now and then."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, TypeVar

from tqdm.auto import tqdm
from tqdm.notebook import tqdm_notebook

from ._logging import PROGRESS

Item = TypeVar("Item")
logger = logging.getLogger(PROGRESS)
FIRST, EVERY = 5.0, 30.0
"""Seconds until the first line, and between lines."""


class Lines:
    """Progress as lines of text, with the part of the interface of a tqdm bar that loops need.

    Args:
        total: number of units of the whole loop.
        unit: name of a unit.
        say: takes a line; by default, lines are log messages of level INFO.
        initial: number of units that are done before the loop.
    """

    def __init__(
        self,
        total: int,
        unit: str,
        say: Callable[[str], object] = logger.info,
        initial: int = 0,
    ) -> None:
        self.total, self.unit, self.say = total, unit, say
        self.n = self.initial = initial
        self.began = time.monotonic()
        self.due, self.spoke = self.began + FIRST, False

    def update(self, number: int = 1) -> None:
        """Count ``number`` more units."""
        self.n += number
        self.refresh()

    def refresh(self) -> None:
        """Say a line if one is due. The last line is left to :meth:`close`."""
        now = time.monotonic()
        if now >= self.due and self.n < self.total:
            self.due, self.spoke = now + EVERY, True
            self.say(self.line(now - self.began))

    def close(self) -> None:
        """Say the last line, if there was a line before."""
        if self.spoke:
            self.spoke = False
            self.say(self.line(time.monotonic() - self.began))

    def line(self, seconds: float) -> str:
        """``"40 of 500 flips in 0:20, about 3:50 left"``, ``seconds`` after the start."""
        text = f"{self.n:,} of {self.total:,} {self.unit}s in {clock(seconds)}"
        done, left = self.n - self.initial, self.total - self.n
        return f"{text}, about {clock(seconds / done * left)} left" if done and left else text

    def __enter__(self) -> "Lines":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def clock(seconds: float) -> str:
    """``"0:20"``, ``"3:50"``, ``"1:02:03"``: minutes, or hours and minutes, and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def progress_bar(total: int, unit: str, shown: bool, initial: int = 0) -> "Lines | tqdm[Any]":
    """Return a bar of tqdm on a terminal or in a notebook, otherwise lines on stderr.

    Args:
        total: number of units of the whole loop.
        unit: name of a unit.
        shown: whether to show progress at all.
        initial: number of units that are done before the loop.
    """
    stream = sys.stderr
    if not shown or issubclass(tqdm, tqdm_notebook) or stream.isatty():
        return tqdm(total=total, unit=unit, disable=not shown, initial=initial)
    return Lines(total, unit, lambda text: stream.write(f"{text}\n"), initial)


def tracked(items: Iterable[Item], total: int, unit: str, shown: bool) -> Iterator[Item]:
    """Iterate over the ``total`` items with a :func:`progress_bar`."""
    with progress_bar(total, unit, shown) as bar:
        for item in items:
            yield item
            bar.update(1)


def paced(total: int, unit: str) -> Iterator[int]:
    """Iterate over 0 to ``total - 1`` and log :class:`Lines`, for loops within a step of a bar."""
    lines = Lines(total, unit)
    for number in range(total):
        yield number
        lines.update()
    lines.close()
