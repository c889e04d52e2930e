"""Options of ``graphpoison attack`` alone."""

from pathlib import Path
from typing import Annotated

import typer

from .._names import (
    ATTACK_LOSSES,
    ATTACKS,
    CANDIDATES,
    CONSTRAINTS,
    LABELS,
    LOSSES,
    NODE_BUDGET,
    NODE_CLASSIFIERS,
    OBJECTIVES,
    OPTIMIZERS,
    RECOMMENDERS,
)
from .completion import among
from .options import INPUT, OUTPUT, RUN

PROBLEM, TRAINING = "Attack", "Training of the surrogate"
BY_DEFAULT = "Default: {} for nodes, {} for interactions."

Attack = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=among(ATTACKS),
        rich_help_panel=PROBLEM,
        help=f"One of: {', '.join(ATTACKS)}; see the list below. "
        + BY_DEFAULT.format("strongest", "ranking")
        + " With an option that the default has no use for, such as --steps, the default is meta.",
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        rich_help_panel=PROBLEM,
        help="A number of flips (500), or a share of the clean edges (5% or 0.05). Default: 5%.",
    ),
]
MaxProfileShare = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE",
        rich_help_panel=PROBLEM,
        help="The share of each user's interactions that may be flipped (25% or 0.25), or none for "
        "no limit. Default: 25% for ranking, no limit for others.",
    ),
]
OffLimits = Annotated[
    str | None,
    typer.Option(
        metavar="USERS",
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
        metavar="N",
        min=1,
        rich_help_panel=PROBLEM,
        help="Items in the recommended lists that ranking is about. Default: 10.",
    ),
]
Surrogate = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=among(dict.fromkeys((*NODE_CLASSIFIERS, *RECOMMENDERS))),
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
        metavar="NAME",
        autocompletion=among(OBJECTIVES),
        rich_help_panel=PROBLEM,
        help="train, self or both for nodes; train, self or heldout for interactions. "
        + BY_DEFAULT.format("self", "train"),
    ),
]
AttackLoss = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=among(ATTACK_LOSSES),
        rich_help_panel=PROBLEM,
        help=f"Loss over unlabelled nodes to maximise: {', '.join(ATTACK_LOSSES)}; "
        "tanh-margin=0.5 sets the scale. Default: tanh-margin=0.5 for strongest, else "
        "cross-entropy.",
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=among(LABELS),
        rich_help_panel=PROBLEM,
        help="Labels of unlabelled nodes: pseudo (default) or oracle, the true labels.",
    ),
]
Mix = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        rich_help_panel=PROBLEM,
        help="Weight of the training loss in objective both. Default: 0.5.",
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
        metavar="NAME",
        autocompletion=among(LOSSES),
        rich_help_panel=TRAINING,
        help="Of recommenders: log (default), bpr (pairs of items) or softmax (several items).",
    ),
]
FlipsPerStep = Annotated[
    int,
    typer.Option(metavar="N", min=1, rich_help_panel=PROBLEM, help="Flips of one meta-gradient."),
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
        metavar="N",
        min=1,
        rich_help_panel=PROBLEM,
        help="Gradient steps of ranking (default 40), pgd and min-max (100), prbcd and grbcd "
        "(125).",
    ),
]
BlockSize = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        rich_help_panel=PROBLEM,
        help="Pairs that pgd, min-max, prbcd and grbcd look at. Default: 250000.",
    ),
]
Constraint = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        autocompletion=among((*CONSTRAINTS, f"{NODE_BUDGET}=", "none")),
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
        metavar="NAME",
        autocompletion=among(CANDIDATES),
        rich_help_panel=PROBLEM,
        help="Which pairs may be flipped: sampled (interactions and negatives) or all. "
        + BY_DEFAULT.format("all", "sampled"),
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        rich_help_panel=TRAINING,
        help="Updates, T. " + BY_DEFAULT.format(100, 50),
    ),
]
Lr = Annotated[
    float | None,
    typer.Option(
        metavar="X", rich_help_panel=TRAINING, help="Learning rate. " + BY_DEFAULT.format(0.1, 0.05)
    ),
]
Momentum = Annotated[
    float | None,
    typer.Option(
        metavar="X", rich_help_panel=TRAINING, help="Of sgd. " + BY_DEFAULT.format(0.9, 0.0)
    ),
]
Optimizer = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=among(OPTIMIZERS),
        rich_help_panel=TRAINING,
        help="sgd or adam. " + BY_DEFAULT.format("sgd", "adam"),
    ),
]
WeightDecay = Annotated[
    float | None,
    typer.Option(metavar="X", rich_help_panel=TRAINING, help="L2 penalty. Default: 0."),
]
EdgeType = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        rich_help_panel=INPUT,
        help="Which interactions of a .pt with several: user,rates,item.",
    ),
]
Seed = Annotated[int, typer.Option(metavar="N", min=0, rich_help_panel=RUN, help="Of the attack.")]
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
        metavar="FILE",
        rich_help_panel=OUTPUT,
        help="The flips; a checkpoint lies beside them until they are done.",
    ),
]
Export = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel=OUTPUT,
        help="Write the poisoned data too: .csv, .tsv or .inter (interactions), or .pt.",
    ),
]
