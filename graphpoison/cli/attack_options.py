"""Options of ``graphpoison attack`` that are not parameters of an attack, a task or training."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from .._settings import known_fields
from ..datasets.source import Reading
from ..models import NODE_CLASSIFIERS, RECOMMENDERS
from ..parsing import CONSTRAINTS
from ..registry import ATTACKS, AttackSettings
from .chosen_ids import share
from .completion import among
from .derived import BY_DEFAULT, FAKE, PROBLEM, given, options_of_attacks
from .options import INPUT, OUTPUT, RUN

Attack = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=among(ATTACKS),
        rich_help_panel=PROBLEM,
        help=f"One of: {', '.join(ATTACKS)} (see below); or an import path, as in "
        "'mine.Attack(x=2)'. "
        + BY_DEFAULT.format("strongest", "ranking")
        + " With an option that only meta has, such as --steps, the default is meta.",
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        rich_help_panel=PROBLEM,
        help="Number of flips (500), or share of the clean edges (5% or 0.05). Default: 5%.",
    ),
]
Surrogate = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=among(dict.fromkeys((*NODE_CLASSIFIERS, *RECOMMENDERS))),
        rich_help_panel=PROBLEM,
        help=f"Model that the attacker trains. For nodes: {', '.join(NODE_CLASSIFIERS)}; for "
        f"interactions: {', '.join(RECOMMENDERS)}; or an import path. Arguments may follow, as in "
        "'gmf(dim=64)'. "
        + BY_DEFAULT.format(
            "sgc (strongest) or linear-gcn (others)", "ease (ranking) or cf (others)"
        ),
    ),
]
Removals = Annotated[
    bool | None,
    typer.Option(
        "--removals/--no-removals",
        rich_help_panel=PROBLEM,
        help="Whether edges may be removed. Default: yes for nodes, except with random and degree; "
        "for interactions only with ranking.",
    ),
]
Constraint = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        autocompletion=among((*CONSTRAINTS, "none")),
        rich_help_panel=PROBLEM,
        help=f"Condition on all flips: {', '.join(CONSTRAINTS)}=3 (or =50%), an import path, or "
        "none; may be given several times. " + BY_DEFAULT.format("no-singletons", "none"),
    ),
]
MaxProfileShare = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE",
        rich_help_panel=PROBLEM,
        help="Share of each user's interactions that may be flipped (25% or 0.25), or none for no "
        "limit. Default: 25% for ranking, no limit for other attacks.",
    ),
]
OffLimits = Annotated[
    str | None,
    typer.Option(
        metavar="USERS",
        rich_help_panel=PROBLEM,
        help="Users whose interactions are not flipped; ranking harms the lists of these users. A "
        "file of user ids, one per line, or a number or share of users to draw at random (20%).",
    ),
]
ListLength = Annotated[
    int | None,
    typer.Option(
        "--list-length",
        "-k",
        metavar="N",
        min=1,
        rich_help_panel=PROBLEM,
        help="Length of the recommended lists that the attack ranking harms. Default: 10.",
    ),
]
Features = Annotated[
    bool | None,
    typer.Option("--features", rich_help_panel=PROBLEM, help="Also flip binary features of nodes."),
]
Promote = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ID",
        rich_help_panel=FAKE,
        help="Id of an item that fake users promote into the lists of real users; may be given "
        "several times.",
    ),
]
FakeUsers = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        rich_help_panel=FAKE,
        help="With --promote: number of fake users, or share of the users (1%).",
    ),
]
ProfileLength = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        rich_help_panel=FAKE,
        help="With --promote: number of interactions of each fake user. Default: the mean of the "
        "real users.",
    ),
]
NewUsers = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        rich_help_panel=FAKE,
        help="Add N new users. Only their interactions are flipped.",
    ),
]
SimilarUsers = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        rich_help_panel=FAKE,
        help="Add N users who are similar to real users. Only their interactions are flipped.",
    ),
]
EdgeType = Annotated[
    str | None,
    typer.Option(
        metavar="A,B,C",
        rich_help_panel=INPUT,
        help="Edge type of the interactions, if a .pt file has several: user,rates,item.",
    ),
]
Seed = Annotated[
    int, typer.Option(metavar="N", min=0, rich_help_panel=RUN, help="Seed of the attack.")
]
MaxMemory = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        rich_help_panel=RUN,
        help="Limit of memory, as in 4GB. Before the process exceeds the limit, it saves the flips "
        "and ends with an error.",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        rich_help_panel=RUN,
        help="Estimate the time and memory of the attack; write nothing.",
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        metavar="FILE",
        rich_help_panel=OUTPUT,
        help="File of the flips. While the attack runs, a checkpoint is kept next to this file.",
    ),
]
Export = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel=OUTPUT,
        help="Also write the poisoned data: .csv, .tsv or .inter (interactions), or .pt.",
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
