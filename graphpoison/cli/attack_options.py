"""Options of ``graphpoison attack`` that are not parameters of an attack, a task or training."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

from .._settings import known_fields
from ..datasets.source import Reading
from ..models import NODE_CLASSIFIERS, RECOMMENDERS
from ..parsing import CONSTRAINTS
from ..registry import ATTACKS, AttackSettings
from .chosen_ids import share
from .completion import among
from .derived import BY_DEFAULT, FAKE, PROBLEM, given, options_of_attacks
from .options import INPUT, OUTPUT, RUN, count, in_panel, list_length

Attack = Annotated[
    str | None,
    in_panel(
        PROBLEM,
        "NAME",
        f"One of: {', '.join(ATTACKS)} (see below); or an import path, as in "
        "'mine.Attack(x=2)'. "
        + BY_DEFAULT.format("strongest", "ranking")
        + " With an option that only meta has, such as --steps, the default is meta.",
        autocompletion=among(ATTACKS),
    ),
]
Budget = Annotated[
    str | None,
    in_panel(
        PROBLEM,
        "SIZE",
        "Number of flips (500), or share of the clean edges (5% or 0.05). Default: 5%.",
    ),
]
Surrogate = Annotated[
    str | None,
    in_panel(
        PROBLEM,
        "NAME",
        f"Model that the attacker trains. For nodes: {', '.join(NODE_CLASSIFIERS)}; for "
        f"interactions: {', '.join(RECOMMENDERS)}; or an import path. Arguments may follow, as in "
        "'gmf(dim=64)'. "
        + BY_DEFAULT.format(
            "sgc (strongest) or linear-gcn (others)", "ease (ranking) or cf (others)"
        ),
        autocompletion=among(dict.fromkeys((*NODE_CLASSIFIERS, *RECOMMENDERS))),
    ),
]
Removals = Annotated[
    bool | None,
    in_panel(
        PROBLEM,
        None,
        "Whether edges may be removed. Default: yes for nodes, except with random and degree; "
        "for interactions only with ranking.",
        "--removals/--no-removals",
    ),
]
Constraint = Annotated[
    list[str] | None,
    in_panel(
        PROBLEM,
        "NAME",
        f"Condition on all flips: {', '.join(CONSTRAINTS)}=3 (or =50%), an import path, or "
        "none; may be given several times. " + BY_DEFAULT.format("no-singletons", "none"),
        autocompletion=among((*CONSTRAINTS, "none")),
    ),
]
MaxProfileShare = Annotated[
    str | None,
    in_panel(
        PROBLEM,
        "SHARE",
        "Share of each user's interactions that may be flipped (25% or 0.25), or none for no "
        "limit. Default: 25% for ranking, no limit for other attacks.",
    ),
]
OffLimits = Annotated[
    str | None,
    in_panel(
        PROBLEM,
        "USERS",
        "Users whose interactions are not flipped; ranking harms the lists of these users. A "
        "file of user ids, one per line, or a number or share of users to draw at random (20%).",
    ),
]
ListLength = Annotated[
    int | None,
    list_length(
        PROBLEM, "Length of the recommended lists that the attack ranking harms. Default: 10."
    ),
]
Features = Annotated[
    bool | None, in_panel(PROBLEM, None, "Also flip binary features of nodes.", "--features")
]
Promote = Annotated[
    list[str] | None,
    in_panel(
        FAKE,
        "ID",
        "Id of an item that fake users promote into the lists of real users; may be given "
        "several times.",
    ),
]
FakeUsers = Annotated[
    str | None,
    in_panel(FAKE, "SIZE", "With --promote: number of fake users, or share of the users (1%)."),
]
ProfileLength = Annotated[
    int | None,
    count(
        FAKE,
        "With --promote: number of interactions of each fake user. Default: the mean of the "
        "real users.",
    ),
]
NewUsers = Annotated[
    int | None, count(FAKE, "Add N new users. Only their interactions are flipped.")
]
SimilarUsers = Annotated[
    int | None,
    count(FAKE, "Add N users who are similar to real users. Only their interactions are flipped."),
]
EdgeType = Annotated[
    str | None,
    in_panel(
        INPUT, "A,B,C", "Edge type of the interactions, if a .pt file has several: user,rates,item."
    ),
]
Seed = Annotated[int, in_panel(RUN, "N", "Seed of the attack.", min=0)]
MaxMemory = Annotated[
    str | None,
    in_panel(
        RUN,
        "SIZE",
        "Limit of memory, as in 4GB. Before the process exceeds the limit, it saves the flips "
        "and ends with an error.",
    ),
]
DryRun = Annotated[
    bool,
    in_panel(RUN, None, "Estimate the time and memory of the attack; write nothing.", "--dry-run"),
]
Out = Annotated[
    Path,
    in_panel(
        OUTPUT,
        "FILE",
        "File of the flips. While the attack runs, a checkpoint is kept next to this file.",
    ),
]
Export = Annotated[
    Path | None,
    in_panel(
        OUTPUT, "FILE", "Also write the poisoned data: .csv, .tsv or .inter (interactions), or .pt."
    ),
]


def settings_of(values: Mapping[str, Any]) -> AttackSettings:
    """Return the settings of an attack from all parameter values of ``graphpoison attack``.

    Users and items are left out: :func:`.for_graph` finds them by their ids in the graph.
    """
    found = {
        **values,
        "constraints": tuple(values["constraint"] or ()),
        "edge_type": _edge_type(values["edge_type"]),
        "max_profile_share": share("max_profile_share", values["max_profile_share"]),
        "options": given(options_of_attacks(), values),
    }
    named = ("promote", "off_limits", "profile_length")
    return AttackSettings(**{**known_fields(AttackSettings, found), **dict.fromkeys(named)})


def reading_of(values: Mapping[str, Any]) -> Reading:
    """Return how to read the input, from all parameter values of a command."""
    names = {
        "user": "user_column",
        "item": "item_column",
        "rating": "rating_column",
        "seed": "data_seed",
        "time": "time_column",
    }
    return Reading(
        **{field.name: values[names.get(field.name, field.name)] for field in fields(Reading)}
    )


def _edge_type(text: str | None) -> tuple[str, str, str] | None:
    if text is None:
        return None
    parts = tuple(text.split(","))
    if len(parts) != 3:
        raise ValueError(f"edge_type must be three names as in user,rates,item; found {text!r}.")
    return parts
