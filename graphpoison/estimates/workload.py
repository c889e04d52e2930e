"""Operations and arrays of an attack that is known by its sizes alone."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from .._checks import positive_int

FLOAT = 4
"""Bytes of a number: surrogates are trained in float32."""
LARGEST = 10**12
"""No size is larger."""


def check_sizes(workload: object, *names: str) -> None:
    """Raise a TypeError or ValueError for a size that is no positive integer."""
    for name in names:
        positive_int(name, getattr(workload, name), maximum=LARGEST)


@dataclass(frozen=True)
class Counts:
    """Operations, or bytes, by kind.

    Args:
        once: before the first gradient.
        shared: of one gradient, in the part of the work that ranks divide among themselves.
        whole: of one gradient, in the part that every rank does.
    """

    once: Mapping[str, float] = field(default_factory=dict)
    shared: Mapping[str, float] = field(default_factory=dict)
    whole: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Workload(ABC):
    """An attack by its sizes.

    Attributes:
        divisible: whether ranks can divide its pairs.
    """

    divisible: ClassVar[bool] = False

    @property
    @abstractmethod
    def num_edges(self) -> int:
        """Interactions or edges of the clean graph, of which a budget may be a share."""

    @property
    @abstractmethod
    def num_gradients(self) -> int:
        """How many gradients the attack computes one after the other."""

    @abstractmethod
    def with_flips(self, flips: int, flips_per_step: int = 1) -> "Workload":
        """The attack with as many gradients as a budget of ``flips`` takes."""

    @abstractmethod
    def operations(self, on_cpu: bool = True) -> Counts:
        """Operations by kind; the fit gives the seconds of each kind."""

    @abstractmethod
    def bytes(self, on_cpu: bool = True) -> Counts:
        """Bytes of the arrays by kind; the fit says how many of each kind are alive at the peak."""

    def share(self, ranks: int) -> float:
        """The largest share of the shared work that one of ``ranks`` has."""
        return 1.0 / ranks

    def exchanged_bytes(self, ranks: int) -> float:
        """Bytes that each of ``ranks`` sends to the others in one gradient."""
        return 0.0
