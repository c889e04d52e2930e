"""Warnings that a loop would give over and over, given once."""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


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
