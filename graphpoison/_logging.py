"""A filter that logs the repeated warnings of a loop once."""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


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
