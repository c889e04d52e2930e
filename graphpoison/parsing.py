"""Budgets and constraints from text."""

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from ._checks import MOST
from ._named import named
from .budget import Budget
from .constraints import Connectivity, Constraint, DegreeDistribution, NodeBudget, NoSingletons

NO_CONSTRAINT = "none"


def node_budget(limit: int | str | None = None, **options: Any) -> NodeBudget:
    """A budget of each node: ``3`` flips, or a share of its edges as in ``"50%"``; or the arguments
    of :class:`NodeBudget`."""
    if limit is None and not options:
        raise ValueError("give a number, as in node-budget=3 or node-budget=50%.")
    if limit is None:
        return NodeBudget(**options)
    budget = parse_budget(str(limit))
    return NodeBudget(budget.flips, budget.share, **options)


CONSTRAINTS: dict[str, Callable[..., Constraint]] = {
    "no-singletons": NoSingletons,
    "degree-distribution": DegreeDistribution,
    "connectivity": Connectivity,
    "node-budget": node_budget,
}
"""Constraints by name."""


def parse_budget(text: str) -> Budget:
    """``"500"`` is a number of flips, ``"5%"`` or ``"0.05"`` a share of the clean edges.

    Raises:
        ValueError: ``text`` is neither, or it is 0.
    """
    found = re.fullmatch(r"([0-9]*\.?[0-9]+)( ?%)?", text.strip())
    if found is None:
        raise ValueError(
            f"budget={text!r} is neither a number of flips (500) nor a share of the edges (5% or "
            "0.05)."
        )
    if not Fraction(found[1]):
        raise ValueError(f"budget={text!r} allows no flips; give a number above 0.")
    if found[2] or "." in found[1]:
        return Budget.fraction(share_of(*found.groups()))
    return Budget(int(found[1]))


def share_of(number: str, percent: str | None) -> float:
    """The share that digits and an optional percent sign denote, at most :data:`MOST` + 1, which
    is beyond all limits."""
    return float(min(Fraction(number) / (100 if percent else 1), Fraction(MOST + 1)))


def parse_constraint(text: str) -> Constraint | None:
    """A name among :data:`CONSTRAINTS`, with arguments if it takes some (``"node-budget=3"``,
    ``"node-budget=50%"``), an import path, or ``"none"``.

    Raises:
        TypeError, ValueError: as :func:`graphpoison._named.named` raises.
    """
    if text == NO_CONSTRAINT:
        return None
    found: Constraint = named("constraint", text, CONSTRAINTS, Constraint)
    return found
