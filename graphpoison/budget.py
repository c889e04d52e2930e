"""The number of node pairs and node features that the attacker may flip."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from ._checks import MOST, choice, in_range, positive_int
from .graphs import PairState

SIMPLEST = 10**9  # largest denominator of a share


def part_of(share: float | Fraction, base: int) -> int:
    """``share`` of ``base``, rounded down. A float is first rounded to the nearest fraction with a
    denominator up to :data:`SIMPLEST`, so that 0.05 is exactly 1 / 20."""
    if share != share:
        raise ValueError("the share is nan; give a number from 0 to 1.")
    return int(Fraction(share).limit_denominator(SIMPLEST) * base)


@dataclass(frozen=True)
class Budget:
    """The largest number of flips: a number, or a share of the clean edges or candidate additions.

    ``Budget(253)`` is 253 flips. ``Budget.fraction(0.05)`` is 5% of the clean edges; the
    float 0.05 as a budget means the same. ``Budget.fraction(0.08, of="candidates")`` is 8% of the
    candidate additions, the candidate pairs that are no edges. A share is rounded down. A flip of a
    node feature counts as one flip; features do not count in a share.

    Args:
        flips: the number of flips, from 0 on; None if ``share`` is given.
        share: the share, from 0 on; None if ``flips`` is given.
        of: the base of the share, ``"edges"`` or ``"candidates"``. Each undirected edge counts
            once.

    Raises:
        TypeError, ValueError: both or none of ``flips`` and ``share`` are given, or a value is out
            of range.
    """

    flips: int | None = None
    share: float | None = None
    of: Literal["edges", "candidates"] = "edges"

    def __post_init__(self) -> None:
        if (self.flips is None) == (self.share is None):
            raise ValueError("give a Budget either flips or a share: Budget(253) or .fraction().")
        if self.flips is not None:
            positive_int("flips", self.flips, minimum=0)
        if self.share is not None:
            in_range("share", self.share, 0.0, MOST)
        choice("of", self.of, ["edges", "candidates"])

    @classmethod
    def fraction(cls, share: float, of: Literal["edges", "candidates"] = "edges") -> "Budget":
        """The budget of a ``share`` of the clean edges, or of the candidate additions."""
        return cls(share=share, of=of)

    def count(self, state: PairState, num_edges: int | None = None) -> int:
        """The number of flips for ``state``, without a check that it has as many pairs.

        ``num_edges`` is the number of edges of the clean graph, if ``state`` does not list all.
        """
        if self.flips is not None:
            return self.flips
        assert self.share is not None
        edges = state.num_edges if num_edges is None else num_edges
        base = edges if self.of == "edges" else state.num_pairs - state.num_edges
        return part_of(self.share, base)

    def resolve(self, state: PairState, num_edges: int | None = None) -> int:
        """The number of flips for ``state``, as :meth:`count`.

        Raises:
            ValueError: the budget exceeds the number of pairs and features.
        """
        count = self.count(state, num_edges)
        entries = 0 if state.features is None else state.features.num_pairs
        if count > state.num_pairs + entries:
            also = f" and the {entries} features of its nodes" if entries else ""
            raise ValueError(
                f"budget of {count} flips is more than the {state.num_pairs} pairs of the "
                f"graph{also}."
            )
        return count


def budget_of(budget: Budget | int | float) -> Budget:
    """``budget``, or the :class:`Budget` of a number of flips (an integer) or of a share of the
    clean edges (a float).

    Raises:
        TypeError: ``budget`` is none of these.
        ValueError: a negative number of flips, or a share that is negative or not finite.
    """
    if isinstance(budget, Budget):
        return budget
    if isinstance(budget, float):
        return Budget.fraction(budget)
    if isinstance(budget, bool) or not hasattr(budget, "__index__"):
        raise TypeError(
            "budget must be a number of flips such as 253, a share of the clean edges such as "
            f"0.05, or a Budget, found {budget!r}."
        )
    return Budget(int(budget))
