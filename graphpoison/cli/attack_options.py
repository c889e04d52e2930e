"""Options of ``graphpoison attack`` alone."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from .._settings import known_fields
from ..datasets.source import Reading
from ..parsing import CONSTRAINTS, NODE_BUDGET
from ..registry import ATTACKS, AttackSettings
from ..tasks.attack_losses import ATTACK_LOSSES
from .chosen_ids import share
from .options import INPUT, OUTPUT, RUN

PROBLEM, TRAINING, FAKE = "Attack", "Training of the surrogate", "Fake users"
BY_DEFAULT = "Default: {} for nodes, {} for interactions."

Attack = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=PROBLEM,
        help=f"One of: {', '.join(ATTACKS)}; what they are stands below. "
        + BY_DEFAULT.format("strongest", "ranking")
        + " With an option that the default has no use for, such as --steps, the default is meta.",
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=PROBLEM,
        help="A number of flips (500), or a share of the clean edges (5% or 0.05). Default: 5%.",
    ),
]
MaxProfileShare = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=PROBLEM,
        help="The share of each user's interactions that may be flipped (25% or 0.25), or none for "
        "no limit. Default: 25% for ranking, no limit for others.",
    ),
]
OffLimits = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=PROBLEM,
        help="Users who are in no flip, and whom ranking harms all the same: a file of user ids, "
        "one a line, or a number or share of users to draw (20%).",
    ),
]
ListLength = Annotated[
    int | None,
    typer.Option(
        "--list-length",
        "-k",
        min=1,
        rich_help_panel=PROBLEM,
        help="Items in the recommended lists that ranking is about. Default: 10.",
    ),
]
Surrogate = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=PROBLEM,
        help="sgc, linear-gcn or relu-gcn for nodes; for interactions ease or wmf (of ranking), "
        "cf, gmf, mlp, neumf or lightgcn. "
        + BY_DEFAULT.format(
            "sgc (strongest) or linear-gcn (others)", "ease (ranking) or cf (others)"
        ),
    ),
]
Objective = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=PROBLEM,
        help="train, self or both for nodes; train, self or heldout for interactions. "
        + BY_DEFAULT.format("self", "train"),
    ),
]
AttackLoss = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=PROBLEM,
        help=f"Loss over unlabelled nodes to maximise: {', '.join(ATTACK_LOSSES)}; "
        "tanh-margin=0.5 sets the scale. Default: tanh-margin=0.5 for strongest, else "
        "cross-entropy.",
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=PROBLEM,
        help="Labels of unlabelled nodes: pseudo (default) or oracle, the true labels.",
    ),
]
Mix = Annotated[
    float | None,
    typer.Option(
        rich_help_panel=PROBLEM, help="Weight of the training loss in objective both. Default: 0.5."
    ),
]
Features = Annotated[
    bool | None,
    typer.Option(
        "--features", rich_help_panel=PROBLEM, help="Flip binary features of nodes as well."
    ),
]
Loss = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=TRAINING,
        help="Of recommenders: log (default), bpr (pairs of items) or softmax (several items).",
    ),
]
FlipsPerStep = Annotated[
    int, typer.Option(min=1, rich_help_panel=PROBLEM, help="Flips of one meta-gradient.")
]
Redraw = Annotated[
    bool,
    typer.Option(
        "--redraw/--no-redraw",
        rich_help_panel=PROBLEM,
        help="Start the surrogate from fresh parameters at every step of a meta attack.",
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        min=1,
        rich_help_panel=PROBLEM,
        help="Gradient steps of ranking (default 40), pgd and min-max (100), prbcd and grbcd "
        "(125).",
    ),
]
BlockSize = Annotated[
    int | None,
    typer.Option(
        min=1,
        rich_help_panel=PROBLEM,
        help="Pairs that pgd, min-max, prbcd and grbcd look at. Default: 250000.",
    ),
]
Constraint = Annotated[
    list[str] | None,
    typer.Option(
        rich_help_panel=PROBLEM,
        help=f"{', '.join(CONSTRAINTS)}, {NODE_BUDGET}=3, {NODE_BUDGET}=50% or none; may be "
        "given several times. " + BY_DEFAULT.format("no-singletons", "none"),
    ),
]
Removals = Annotated[
    bool | None,
    typer.Option(
        "--removals/--no-removals",
        rich_help_panel=PROBLEM,
        help="Whether edges may be removed. Default: from graphs of nodes, but for random and "
        "degree, and from interactions by ranking alone.",
    ),
]
Candidates = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=PROBLEM,
        help="Which pairs may be flipped: sampled (interactions and negatives) or all. "
        + BY_DEFAULT.format("all", "sampled"),
    ),
]
Promote = Annotated[
    list[str] | None,
    typer.Option(
        rich_help_panel=FAKE,
        help="Id of an item that fake users promote into the lists of real users; may be given "
        "several times.",
    ),
]
FakeUsers = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=FAKE,
        help="With --promote: how many fake users join, a number or a share of the users (1%).",
    ),
]
ProfileLength = Annotated[
    int | None,
    typer.Option(
        min=1,
        rich_help_panel=FAKE,
        help="With --promote: interactions of each. Default: the mean of the users.",
    ),
]
NewUsers = Annotated[
    int | None,
    typer.Option(min=1, rich_help_panel=FAKE, help="So many new users join, who alone interact."),
]
SimilarUsers = Annotated[
    int | None,
    typer.Option(min=1, rich_help_panel=FAKE, help="The same, with users like real ones."),
]
Method = Annotated[
    str, typer.Option(rich_help_panel=FAKE, help="How they are made: sample or kmeans.")
]
Steps = Annotated[
    int | None,
    typer.Option(min=1, rich_help_panel=TRAINING, help="Updates, T. " + BY_DEFAULT.format(100, 50)),
]
Lr = Annotated[
    float | None,
    typer.Option(rich_help_panel=TRAINING, help="Learning rate. " + BY_DEFAULT.format(0.1, 0.05)),
]
Momentum = Annotated[
    float | None,
    typer.Option(rich_help_panel=TRAINING, help="Of sgd. " + BY_DEFAULT.format(0.9, 0.0)),
]
Optimizer = Annotated[
    str | None,
    typer.Option(rich_help_panel=TRAINING, help="sgd or adam. " + BY_DEFAULT.format("sgd", "adam")),
]
WeightDecay = Annotated[
    float | None, typer.Option(rich_help_panel=TRAINING, help="L2 penalty. Default: 0.")
]
EdgeType = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=INPUT,
        help="Which interactions of a .pt with several: user,rates,item.",
    ),
]
Seed = Annotated[int, typer.Option(min=0, rich_help_panel=RUN, help="Of the attack.")]
MaxMemory = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=RUN,
        metavar="SIZE",
        help="End with an error before the process takes more than this, e.g. 4GB.",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        rich_help_panel=RUN,
        help="Say how long the attack will take, and how much memory; write nothing.",
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        rich_help_panel=OUTPUT,
        help="The flips; a checkpoint lies beside them until they are done.",
    ),
]
Export = Annotated[
    Path | None,
    typer.Option(
        rich_help_panel=OUTPUT,
        help="Write the poisoned data too: .csv, .tsv or .inter (interactions), or .pt.",
    ),
]


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
