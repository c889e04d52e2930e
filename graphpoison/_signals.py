"""Signals that end a process, as an exception that lets a run save what it has."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Slurm, Docker, ``timeout`` and a closing terminal send these signals."""


class Terminated(KeyboardInterrupt):
    """A signal of :data:`ENDING` has come.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def terminable() -> Iterator[None]:
    """In this block the signals of :data:`ENDING` raise :class:`Terminated`, as Ctrl-C raises a
    KeyboardInterrupt; in the main thread alone, and where nobody else handles the signal.

    After the first signal the others are ignored until the block ends: a terminal that closes sends
    several, and the file that is being saved is to be whole.
    """
    ours = []
    if threading.current_thread() is threading.main_thread():
        ours = [number for number in ENDING if signal.getsignal(number) is signal.SIG_DFL]

    def end(number: int, frame: FrameType | None) -> None:
        for each in ours:
            signal.signal(each, signal.SIG_IGN)
        raise Terminated(number)

    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
