"""How many pairs, and features of nodes, the attacker may flip."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from ._checks import MOST, choice, in_range, positive_int
from .graphs import PairState

SIMPLEST = 10**9  # denominators up to here are told apart


def part_of(share: float | Fraction, base: int) -> int:
    """``share`` of ``base``, rounded down; a float stands for the simplest fraction next to it, as
    0.05 does for 1 / 20."""
    if share != share:
        raise ValueError("a share of nan is no share; give a number from 0 to 1.")
    return int(Fraction(share).limit_denominator(SIMPLEST) * base)


@dataclass(frozen=True)
class Budget:
    """At most ``flips`` flips, or a share of the clean edges or of the candidates.

    Flips of features count as flips of edges do; shares are of edges, or pairs of nodes, alone.

    Build with ``Budget(253)``, ``Budget.fraction(0.05)`` or
    ``Budget.fraction(0.08, of="candidates")``.
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
        """``share`` of the clean graph's edges (each undirected edge counts once), or of its
        candidate additions; rounded down."""
        return cls(share=share, of=of)

    def count(self, state: PairState, num_edges: int | None = None) -> int:
        """The number of flips that this is on ``state``, whether or not so many can be made.

        ``num_edges`` is the number of edges of the clean graph, where some are not in ``state``.
        """
        if self.flips is not None:
            return self.flips
        assert self.share is not None
        edges = state.num_edges if num_edges is None else num_edges
        base = edges if self.of == "edges" else state.num_pairs - state.num_edges
        return part_of(self.share, base)

    def resolve(self, state: PairState, num_edges: int | None = None) -> int:
        """As :meth:`count`, if so many pairs there are.

        Raises:
            ValueError: more flips than there are pairs and features.
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


def budget_of(budget: Budget | int) -> Budget:
    """``budget``, or the :class:`Budget` of a number of flips."""
    if isinstance(budget, Budget):
        return budget
    if isinstance(budget, bool) or not hasattr(budget, "__index__"):
        raise TypeError(
            f"budget must be a number of flips or a Budget, found {budget!r}; for a share of the "
            "edges give Budget.fraction(0.05)."
        )
    return Budget(int(budget))
