"""The iterates of a training run, to be walked backwards in bounded memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil, sqrt

from ..models import Params

Iterate = tuple[Params, Params]
"""Coordinates of the parameters, and the optimiser's state."""

KEPT_BYTES = 32 * 2**20
"""All iterates are kept as long as they take no more than this."""


@dataclass(frozen=True, eq=False)
class Iterates:
    """Iterates 0 to ``count`` of ``step``: all of them, or every ``stride``-th.

    Those between are computed again, a stretch at a time, when :meth:`backwards` comes to them: one
    more training run in time, for O(sqrt(count)) iterates in memory (Griewank 1992, one level).
    """

    step: Callable[[Iterate], Iterate]
    count: int
    stride: int
    kept: list[Iterate]
    last: Iterate

    @classmethod
    def run(cls, step: Callable[[Iterate], Iterate], start: Iterate, count: int) -> "Iterates":
        """From ``start``, ``count`` steps on."""
        size = sum(tensor.numel() * tensor.element_size() for part in start for tensor in part)
        stride = 1 if size * count <= KEPT_BYTES else ceil(sqrt(count))
        kept, current = [], start
        for number in range(count):
            if number % stride == 0:
                kept.append(current)
            current = step(current)
        return cls(step, count, stride, kept, current)

    def backwards(self) -> Iterator[Iterate]:
        """Iterates ``count - 1`` to 0."""
        for segment in range(len(self.kept) - 1, -1, -1):
            stretch = [self.kept[segment]]
            length = min(self.stride, self.count - segment * self.stride)
            while len(stretch) < length:
                stretch.append(self.step(stretch[-1]))
            while stretch:
                yield stretch.pop()
