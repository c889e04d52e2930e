"""Budgets and constraints from text."""

import re
from fractions import Fraction

from ._checks import choice
from .budget import Budget
from .constraints import Connectivity, Constraint, DegreeDistribution, NodeBudget, NoSingletons

CONSTRAINTS: dict[str, type[Constraint]] = {
    "no-singletons": NoSingletons,
    "degree-distribution": DegreeDistribution,
    "connectivity": Connectivity,
}
"""Those that need no number, by name."""
NODE_BUDGET, NO_CONSTRAINT = "node-budget", "none"


def parse_budget(text: str) -> Budget:
    """``"500"`` is a number of flips, ``"5%"`` or ``"0.05"`` a share of the clean edges.

    Raises:
        ValueError: it is neither, or not above 0.
    """
    found = re.fullmatch(r"([0-9]*\.?[0-9]+)( ?%)?", text.strip())
    if found is None:
        raise ValueError(
            f"budget={text!r} is neither a number of flips (500) nor a share of the edges (5% or "
            "0.05)."
        )
    number, percent = Fraction(found[1]), found[2] is not None
    if not number:
        raise ValueError(f"budget={text!r} is nothing to spend; give a number above 0.")
    if percent or "." in found[1]:
        return Budget.fraction(float(number / 100 if percent else number))
    return Budget(int(number))


def parse_constraint(text: str) -> Constraint | None:
    """A name among :data:`CONSTRAINTS`, ``"node-budget=3"``, ``"node-budget=50%"`` or ``"none"``.

    Raises:
        ValueError: it is none of these.
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
