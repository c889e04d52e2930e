"""Users and items that options name: by their ids in the data, or as a number or share of all."""

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
SHOWN = 5  # largest number of ids in a message


def for_graph(
    settings: AttackSettings,
    graph: Graph,
    promote: Sequence[str] | None = None,
    fake_users: str | None = None,
    profile_length: int | None = None,
    off_limits: str | None = None,
    seed: int = 0,
) -> AttackSettings:
    """Return ``settings`` with the default attack of the graph if none is given, and with the
    indices of the users and items that the other arguments name.

    Args:
        settings: all other settings.
        graph: the graph that has the ids.
        promote: ids of items that fake users promote.
        fake_users: number of fake users, or share of the users, as in ``"1%"``.
        profile_length: number of interactions of each fake user; by default the mean over the real
            users.
        off_limits: a file of user ids, one per line, or a number or share of users to draw.
        seed: seed of this draw.

    Raises:
        ValueError: the graph does not have an id; an option is given without an option that it
            needs.
    """
    if not promote and (fake_users is not None or profile_length is not None):
        name = "fake_users" if fake_users is not None else "profile_length"
        raise ValueError(
            f"{name} needs promote: the items that fake users promote. For fake users that promote "
            "no item, give new_users or similar_users."
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
            raise ValueError(
                "promote adds its own fake users: give fake_users, and leave out new_users and "
                "similar_users."
            )
        if fake_users is None:
            raise ValueError("promote needs fake_users: a number, or a share of the users (1%).")
        items = numbered("promote", promote, graph.item_ids, graph.num_items)
        usual = round(graph.edge_index.size(1) / graph.num_users)
        length = max(len(items), usual) if profile_length is None else profile_length
        count = number_or_share("fake_users", fake_users, graph.num_users)
        settings = replace(settings, promote=items, new_users=count, profile_length=length)
    return settings.resolved(interactions=True)


def users_off_limits(text: str, graph: Interactions, seed: int) -> tuple[int, ...]:
    """Return the sorted indices of users off limits.

    Args:
        text: a file of user ids, one per line; or a number or share of users to draw uniformly.
        graph: the graph that has the ids.
        seed: seed of the draw.

    Raises:
        ValueError: an id is not in the graph, the file has no ids, or ``text`` is neither a file
            nor a number or share.
    """
    path = Path(text)
    if path.is_file():
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        ids = [line for line in lines if line]
        if not ids:
            raise ValueError(
                f"off_limits={text!r} is a file without user ids; write one id per line."
            )
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
    """Return the sorted indices of the nodes with these ids.

    Args:
        argument: name of the argument, for errors.
        ids: the ids to look up.
        known: the ids of all nodes, by index; None if the data have no ids, so that the ids are
            indices.
        size: number of nodes.

    Raises:
        ValueError: an id is unknown or given twice.
    """
    names = list(map(str, range(size))) if known is None else list(known)
    place = {name: number for number, name in enumerate(names)}
    unknown = [name for name in ids if name not in place]
    if unknown:
        shown = ", ".join(map(repr, unknown[:SHOWN])) + (", ..." if len(unknown) > SHOWN else "")
        raise ValueError(
            f"{argument}={shown} is not in the data, whose ids look like {names[0]!r} and "
            f"{names[-1]!r}.{nearest(unknown[0], names)}"
        )
    if len(set(ids)) < len(ids):
        twice = next(name for name in ids if list(ids).count(name) > 1)
        raise ValueError(f"{argument}={twice!r} is given twice: give it once.")
    return tuple(sorted(place[name] for name in ids))


def number_or_share(argument: str, text: str, whole: int) -> int:
    """Return a number from 1 to ``whole``: ``"50"`` is 50, ``"1%"`` and ``"0.01"`` are a share.

    Raises:
        ValueError: ``text`` is neither a number nor a share, or the result is out of range.
    """
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
    """Return ``"5%"`` and ``"0.05"`` as 0.05.

    Raises:
        ValueError: ``text`` is not a share above 0 and up to 1.
    """
    found = share(argument, text)
    if found is None or not 0.0 < found <= 1.0:
        raise ValueError(f"{argument}={text!r} must be a share above 0 and up to 100%.")
    return found


def share(argument: str, text: str | None) -> float | None:
    """Return ``"25%"`` and ``"0.25"`` as 0.25, ``"none"`` as infinity, and None as None.

    Raises:
        ValueError: ``text`` is neither a share nor ``"none"``.
    """
    if text is None or text.strip() == "none":
        return None if text is None else math.inf
    found = re.fullmatch(r"([0-9]*\.?[0-9]+)( ?%)?", text.strip())
    if found is None:
        raise ValueError(f"{argument}={text!r} must be a share (25% or 0.25), or none.")
    return share_of(*found.groups())
