"""Warnings that a loop would give over and over, given once; warnings kept; warnings of no use."""

import logging
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

PACKAGE = __name__.partition(".")[0]
HARMLESS = ("Sparse CSR tensor support is in beta", "Sparse invariant checks are implicitly")
"""The beginnings of PyTorch's remarks about its beta features."""


@contextmanager
def said_once(logger: logging.Logger) -> Iterator[None]:
    """Let each message of ``logger`` pass once in the block, whatever its numbers are; say at the
    end how often it would have come again."""
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
            logger.warning("%d times more, with other numbers: %s", count - 1, first[text])


@contextmanager
def collected(logger: logging.Logger) -> Iterator[list[str]]:
    """The warnings that ``logger``, and loggers below it, give in the block and in this thread."""
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
    """In this block nothing is said of :data:`HARMLESS` things."""
    with warnings.catch_warnings():
        for message in HARMLESS:
            warnings.filterwarnings("ignore", message)
        yield
