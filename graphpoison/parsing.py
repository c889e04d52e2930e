"""Budgets and constraints from text."""

import re
from fractions import Fraction

from ._checks import MOST, choice
from .budget import Budget
from .constraints import Connectivity, Constraint, DegreeDistribution, NodeBudget, NoSingletons

CONSTRAINTS: dict[str, type[Constraint]] = {
    "no-singletons": NoSingletons,
    "degree-distribution": DegreeDistribution,
    "connectivity": Connectivity,
}
"""The constraints that take no number, by name."""
NODE_BUDGET, NO_CONSTRAINT = "node-budget", "none"


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
    """A name among :data:`CONSTRAINTS`, ``"node-budget=3"``, ``"node-budget=50%"`` or ``"none"``.

    Raises:
        ValueError: ``text`` is none of these.
    """
    name, _, value = text.partition("=")
    choice("constraint", name, [*CONSTRAINTS, NODE_BUDGET, NO_CONSTRAINT])
    if name == NODE_BUDGET:
        budget = parse_budget(value) if value else None
        if budget is None:
            raise ValueError("constraint 'node-budget' needs a number: node-budget=3 or =50%.")
        return NodeBudget(budget.flips, budget.share)
    if value:
        raise ValueError(f"constraint {name!r} takes no value, found {text!r}.")
    return CONSTRAINTS[name]() if name != NO_CONSTRAINT else None
