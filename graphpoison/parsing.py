"""Budgets, numbers and constraints from text."""

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
    """Return a :class:`NodeBudget`.

    Args:
        limit: flips of each node (``3``), or the share of its edges (``"50%"``).
        options: arguments of :class:`NodeBudget`.

    Raises:
        TypeError, ValueError: no argument is given, or one is not valid.
    """
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
    """Return a budget: ``"500"`` is a number of flips, ``"5%"`` or ``"0.05"`` a share of the clean
    edges.

    Raises:
        ValueError: ``text`` is neither a number nor a share, or it is 0.
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
    """Return the share that ``number`` denotes, a percentage if ``percent`` is given.

    A share above :data:`MOST` + 1 is replaced by :data:`MOST` + 1, which exceeds all limits.
    """
    return float(min(Fraction(number) / (100 if percent else 1), Fraction(MOST + 1)))


def parse_numbers(argument: str, text: str) -> tuple[Any, ...]:
    """Return ``"16,8"`` as (16, 8); other numbers are floats.

    Raises:
        ValueError: a part is not a number.
    """
    try:
        return tuple(
            int(part) if part.strip().isdigit() else float(part) for part in text.split(",")
        )
    except ValueError as error:
        example = f"{argument}={text!r} must be numbers separated by commas: 16,8."
        raise ValueError(example) from error


def parse_constraint(text: str) -> Constraint | None:
    """Return the constraint that ``text`` names, or None for ``"none"``.

    Args:
        text: a name in :data:`CONSTRAINTS` or an import path, with arguments if it takes some
            (``"node-budget=3"``, ``"node-budget=50%"``); or ``"none"``.

    Raises:
        TypeError, ValueError: as ``graphpoison._named.named`` raises.
    """
    if text == NO_CONSTRAINT:
        return None
    found: Constraint = named("constraint", text, CONSTRAINTS, Constraint)
    return found
