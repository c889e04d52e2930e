"""The options of ``graphpoison attack`` as settings of the library."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from .._settings import known_fields
from ..datasets.source import Reading
from ..registry import AttackSettings
from .chosen_ids import share


def settings_of(options: Mapping[str, Any]) -> AttackSettings:
    """The settings of an attack from all options of ``graphpoison attack``, without the users and
    items that they name by the ids of a graph."""
    given = {
        **options,
        "constraints": tuple(options["constraint"] or ()),
        "edge_type": _edge_type(options["edge_type"]),
        "max_profile_share": share("max_profile_share", options["max_profile_share"]),
    }
    named = ("promote", "off_limits", "profile_length")
    return AttackSettings(**{**known_fields(AttackSettings, given), **dict.fromkeys(named)})


def reading_of(options: Mapping[str, Any]) -> Reading:
    """How the input is read, from all options of ``graphpoison attack``."""
    names = {
        "user": "user_column",
        "item": "item_column",
        "rating": "rating_column",
        "seed": "data_seed",
        "time": "time_column",
    }
    return Reading(
        **{field.name: options[names.get(field.name, field.name)] for field in fields(Reading)}
    )


def _edge_type(text: str | None) -> tuple[str, str, str] | None:
    if text is None:
        return None
    parts = tuple(text.split(","))
    if len(parts) != 3:
        raise ValueError(f"edge_type must be three names as in user,rates,item; found {text!r}.")
    return parts
