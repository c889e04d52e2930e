"""Warnings of a loop logged once, warnings collected in a list, and harmless warnings hidden."""

import logging
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

PACKAGE = __name__.partition(".")[0]
PROGRESS = f"{PACKAGE}._progress"
"""The logger of the progress of a step."""
HARMLESS = ("Sparse CSR tensor support is in beta", "Sparse invariant checks are implicitly")
"""The beginnings of PyTorch's remarks about its beta features."""


@contextmanager
def said_once(logger: logging.Logger) -> Iterator[None]:
    """Log each message template of ``logger`` once in this block, whatever its arguments are. At
    the end, log how often each was repeated."""
    times: Counter[str] = Counter()
    first: dict[str, str] = {}

    def is_new(record: logging.LogRecord) -> bool:
        text = str(record.msg)
        times[text] += 1
        first.setdefault(text, record.getMessage())
        return times[text] == 1

    logger.addFilter(is_new)
    try:
        yield
    finally:
        logger.removeFilter(is_new)
    for text, count in times.items():
        if count > 1:
            logger.warning("repeated %d times with other numbers: %s", count - 1, first[text])


@contextmanager
def collected(logger: logging.Logger) -> Iterator[list[str]]:
    """A list of the warnings that this thread logs to ``logger`` or its children in the block."""
    found: list[str] = []
    thread = threading.get_ident()
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: found.append(record.getMessage())  # type: ignore[method-assign]
    handler.addFilter(lambda record: record.thread == thread)
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)


@contextmanager
def quiet() -> Iterator[None]:
    """Hide the :data:`HARMLESS` warnings in the block."""
    with warnings.catch_warnings():
        for message in HARMLESS:
            warnings.filterwarnings("ignore", message)
        yield
