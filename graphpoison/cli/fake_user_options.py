"""Options of ``graphpoison attack`` about fake users."""

from typing import Annotated

import typer

from .._names import METHODS
from .completion import among

FAKE = "Fake users"

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
        help="With --promote: how many fake users join, a number or a share of the users (1%).",
    ),
]
ProfileLength = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        rich_help_panel=FAKE,
        help="With --promote: interactions of each. Default: the mean of the users.",
    ),
]
NewUsers = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        rich_help_panel=FAKE,
        help="Add N new users. Only their interactions are perturbed.",
    ),
]
SimilarUsers = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        rich_help_panel=FAKE,
        help="Add N users who are similar to real users. Only their interactions are perturbed.",
    ),
]
Method = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        autocompletion=among(METHODS),
        rich_help_panel=FAKE,
        help="How similar users are made: sample or kmeans.",
    ),
]
