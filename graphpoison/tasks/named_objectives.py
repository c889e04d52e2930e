"""Objectives by name, and the surrogate that suits an objective."""

from typing import Any

from .._checks import choice, refuse_class
from ..models import Recommender
from ..models.closed_form import ClosedFormRecommender
from .objectives import Degrade, Objective

OBJECTIVES = ("train", "self", "heldout")
"""The objectives of the thesis."""


def settled(model: Recommender, objective: str | Objective) -> Recommender:
    """Returns ``model`` with the penalty that suits ``objective``, unless it has one already."""
    if isinstance(model, ClosedFormRecommender) and isinstance(objective, Objective):
        return model.settled(objective.usual_l2)
    return model


def usual_objective(objective: Any, model: Recommender) -> Any:
    """Returns ``objective``, or the default of ``model`` if it is None.

    Raises:
        TypeError, ValueError: ``objective`` is no objective, or does not fit ``model``.
    """
    if objective is None:
        return Degrade() if model.is_closed_form else "train"
    if isinstance(objective, Objective):
        return objective
    refuse_class("objective", objective)
    if not isinstance(objective, str):
        raise TypeError(
            f"objective must be an Objective such as Degrade() or one of {list(OBJECTIVES)}, found "
            f"{objective!r}."
        )
    choice("objective", objective, OBJECTIVES)
    if model.is_closed_form:
        raise ValueError(
            f"objective={objective!r} is a log loss, but the scores of {model!r} are no log-odds; "
            "give an objective of rankings such as Degrade() or Promote(items)."
        )
    return objective
