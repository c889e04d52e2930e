"""Users and items that options name, by the ids that the data have or by a share."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .._checks import nearest
from .._random import numpy_generator
from ..budget import part_of
from ..graphs import Graph, Interactions
from ..parsing import share_of
from ..registry import AttackSettings

OFF_LIMITS = 0  # a stream of the seed
SHOWN = 5  # ids in a message


def for_graph(
    settings: AttackSettings,
    graph: Graph,
    promote: Sequence[str] | None = None,
    fake_users: str | None = None,
    profile_length: int | None = None,
    off_limits: str | None = None,
    seed: int = 0,
) -> AttackSettings:
    """``settings`` with the name of the attack, and with the users and items that options name.

    Args:
        settings: all others.
        graph: whose ids are named.
        promote: ids of items that fake users promote.
        fake_users: how many there are, or which share of the users, as ``"1%"``.
        profile_length: interactions of each; by default the mean of the real users.
        off_limits: a file of user ids, one a line, or a number or share of users to be drawn.
        seed: of that draw.

    Raises:
        ValueError: an id that the graph does not have; an option without the option it belongs to.
    """
    if not promote and (fake_users is not None or profile_length is not None):
        name = "fake_users" if fake_users is not None else "profile_length"
        raise ValueError(
            f"{name} needs promote: the items that fake users promote. Other fake users join by "
            "new_users or similar_users."
        )
    if not isinstance(graph, Interactions):
        if promote or off_limits is not None:
            name = "promote" if promote else "off_limits"
            raise ValueError(f"{name} is for graphs of interactions, found one of nodes.")
        return settings.resolved(interactions=False)
    if off_limits is not None:
        settings = replace(settings, off_limits=users_off_limits(off_limits, graph, seed))
    if promote:
        if settings.new_users is not None or settings.similar_users is not None:
            raise ValueError("promote makes fake users of its own: give fake_users, and no others.")
        if fake_users is None:
            raise ValueError("promote needs fake_users: a number, or a share of the users as 1%.")
        items = numbered("promote", promote, graph.item_ids, graph.num_items)
        usual = round(graph.edge_index.size(1) / graph.num_users)
        length = max(len(items), usual) if profile_length is None else profile_length
        count = number_or_share("fake_users", fake_users, graph.num_users)
        settings = replace(settings, promote=items, new_users=count, profile_length=length)
    return settings.resolved(interactions=True)


def users_off_limits(text: str, graph: Interactions, seed: int) -> tuple[int, ...]:
    """The users that a file names, or as many as ``text`` says, drawn uniformly."""
    path = Path(text)
    if path.is_file():
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        ids = [line for line in lines if line]
        if not ids:
            raise ValueError(f"off_limits={text!r} is a file without user ids; give one a line.")
        return numbered("off_limits", ids, graph.user_ids, graph.num_users)
    if re.fullmatch(r"[0-9.]+ ?%?", text.strip()) is None:
        raise ValueError(
            f"off_limits={text!r} is neither a file of user ids nor a number or share of the users "
            "(50, 20%)."
        )
    count = number_or_share("off_limits", text, graph.num_users)
    drawn = numpy_generator(seed, OFF_LIMITS).permutation(graph.num_users)[:count]
    return tuple(sorted(drawn.tolist()))


def numbered(
    argument: str, ids: Sequence[str], known: Sequence[str] | None, size: int
) -> tuple[int, ...]:
    """The numbers of nodes by their ids, sorted; their own numbers where the data have no ids.

    Raises:
        ValueError: an id that is not ``known``, or one named twice.
    """
    names = list(map(str, range(size))) if known is None else list(known)
    place = {name: number for number, name in enumerate(names)}
    unknown = [name for name in ids if name not in place]
    if unknown:
        shown = ", ".join(map(repr, unknown[:SHOWN])) + (", ..." if len(unknown) > SHOWN else "")
        raise ValueError(
            f"{argument}={shown} is not in the data, whose ids are {names[0]!r}, {names[-1]!r} and "
            f"others.{nearest(unknown[0], names)}"
        )
    if len(set(ids)) < len(ids):
        twice = next(name for name in ids if list(ids).count(name) > 1)
        raise ValueError(f"{argument}={twice!r} is named twice: once is enough.")
    return tuple(sorted(place[name] for name in ids))


def item_names(graph: Interactions, items: Sequence[int]) -> list[str]:
    """The ids of ``items``, or their numbers where the data have no ids."""
    return [str(item) if graph.item_ids is None else graph.item_ids[item] for item in items]


def number_or_share(argument: str, text: str, whole: int) -> int:
    """``"50"`` is 50, ``"1%"`` and ``"0.01"`` are that share of ``whole``; from 1 to ``whole``."""
    found = re.fullmatch(r"([0-9]*\.?[0-9]+)( ?%)?", text.strip())
    if found is None:
        raise ValueError(
            f"{argument}={text!r} is neither a number (50) nor a share (1% or 0.01) of {whole:,}."
        )
    part = share(argument, text) if found[2] or "." in found[1] else None
    count = int(found[1]) if part is None else part_of(part, whole)
    if not 0 < count <= whole:
        raise ValueError(
            f"{argument}={text!r} of {whole:,} is {count:,}; give a number from 1 to {whole:,}."
        )
    return count


def share_in(argument: str, text: str) -> float:
    """``"5%"`` and ``"0.05"`` as 0.05, above 0 and at most 1."""
    found = share(argument, text)
    if found is None or not 0.0 < found <= 1.0:
        raise ValueError(f"{argument}={text!r} must be a share above 0 and up to 100%.")
    return found


def share(argument: str, text: str | None) -> float | None:
    """``"25%"`` and ``"0.25"`` as 0.25, ``"none"`` as infinity; None if no text is given."""
    if text is None or text.strip() == "none":
        return None if text is None else math.inf
    found = re.fullmatch(r"([0-9]*\.?[0-9]+)( ?%)?", text.strip())
    if found is None:
        raise ValueError(f"{argument}={text!r} must be a share (25% or 0.25), or none.")
    return share_of(*found.groups())
