"""Termination signals as an exception, so that a run can save its progress."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Slurm, Docker, ``timeout`` and a closing terminal send these signals."""


class Terminated(KeyboardInterrupt):
    """Raised when the process receives a signal of :data:`ENDING`.

    Args:
        number: the number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def terminable() -> Iterator[None]:
    """Make the signals of :data:`ENDING` raise :class:`Terminated` in this block, as Ctrl-C raises
    KeyboardInterrupt. Only in the main thread, and only for signals without another handler.

    After the first signal, further signals are ignored until the block ends: a closing terminal
    sends several, and they must not interrupt the writing of a file.
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
