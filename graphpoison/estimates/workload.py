"""Operations and arrays of an attack, computed from the sizes of the graph."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from .._checks import positive_int

FLOAT = 4
"""Bytes of a number: surrogates are trained in float32."""
LARGEST = 10**12
"""The largest size that is accepted."""


def check_sizes(workload: object, *names: str) -> None:
    """Raise a TypeError or ValueError if a size is not a positive integer up to
    :data:`LARGEST`."""
    for name in names:
        positive_int(name, getattr(workload, name), maximum=LARGEST)


@dataclass(frozen=True)
class Counts:
    """Operations, or bytes, by kind.

    Args:
        once: counts before the first gradient.
        shared: counts of one gradient, for the part of the work that is divided among ranks.
        whole: counts of one gradient, for the part of the work that every rank does.
    """

    once: Mapping[str, float] = field(default_factory=dict)
    shared: Mapping[str, float] = field(default_factory=dict)
    whole: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Workload(ABC):
    """An attack, described by sizes.

    Attributes:
        divisible: whether ranks can divide its pairs.
    """

    divisible: ClassVar[bool] = False

    @property
    @abstractmethod
    def num_edges(self) -> int:
        """Number of interactions or edges of the clean graph; a budget may be a share of it."""

    @property
    @abstractmethod
    def num_gradients(self) -> int:
        """Number of gradients that the attack computes, one after another."""

    @abstractmethod
    def with_flips(self, flips: int, flips_per_step: int = 1) -> "Workload":
        """The workload with the number of gradients that a budget of ``flips`` needs."""

    @abstractmethod
    def operations(self, on_cpu: bool = True) -> Counts:
        """Operations by kind; the fit gives the seconds of each kind."""

    @abstractmethod
    def bytes(self, on_cpu: bool = True) -> Counts:
        """Bytes of the arrays by kind; the fit gives the number of copies at the peak."""

    def share(self, ranks: int) -> float:
        """The largest share of the divided work that one of ``ranks`` ranks has."""
        return 1.0 / ranks

    def exchanged_bytes(self, ranks: int) -> float:
        """Bytes that each of ``ranks`` sends to the others in one gradient."""
        return 0.0
