"""``graphpoison estimate``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ..estimates import Cluster, Coefficients
from ..estimates.by_name import KINDS
from ..estimates.recommenders import COPIES
from ..training import INTERACTIONS, NODES
from . import attack_options as chosen
from . import options as shared
from .by_size import Machine, by_size, numbers, show_cost
from .completion import among
from .derived import BY_DEFAULT, PROBLEM, TRAINING
from .errors import WrongUsage, usage
from .output import logs

USERS, OF_NODES, MACHINE = "Interactions of users with items", "Graph of nodes", "Machine"
EPILOG = (
    "Example: graphpoison estimate --users 1000000 --items 50000 --pairs 100000000 --surrogate cf "
    "--dim 64 --budget 1% --flips-per-step 10000 --ranks 1,8\n\n"
    "For a graph that you hold: graphpoison attack INPUT --dry-run, which measures."
)


def _size(panel: str, text: str) -> Any:
    return typer.Option(min=1, metavar="N", rich_help_panel=panel, help=text, show_default=False)


def command(
    surrogate: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            autocompletion=among(KINDS),
            rich_help_panel=PROBLEM,
            show_default=False,
            help="For interactions cf, gmf or lightgcn (attack meta) or ease (attack ranking); for "
            "nodes linear-gcn or sgc (attack meta).",
        ),
    ],
    users: Annotated[int | None, _size(USERS, "Users.")] = None,
    items: Annotated[int | None, _size(USERS, "Items.")] = None,
    pairs: Annotated[
        int | None,
        _size(USERS, "Training interactions; of cf, gmf and lightgcn as many negatives are added."),
    ] = None,
    nodes: Annotated[int | None, _size(OF_NODES, "Nodes.")] = None,
    edges: Annotated[int | None, _size(OF_NODES, "Undirected edges.")] = None,
    features: Annotated[int | None, _size(OF_NODES, "Features of a node.")] = None,
    classes: Annotated[int | None, _size(OF_NODES, "Classes.")] = None,
    labels: Annotated[
        int | None, _size(OF_NODES, "Labelled nodes. Default: a tenth of the nodes.")
    ] = None,
    density: Annotated[
        float | None,
        typer.Option(
            metavar="X", rich_help_panel=OF_NODES, help="Share of non-zero features. Default: 0.02."
        ),
    ] = None,
    budget: chosen.Budget = None,
    flips_per_step: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, rich_help_panel=PROBLEM, help="Flips made from one meta-gradient."
        ),
    ] = 1,
    epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            rich_help_panel=PROBLEM,
            help="Gradient steps of ranking, for each half of the flips. Default: 40.",
        ),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=among(("log", "bpr")),
            rich_help_panel=TRAINING,
            help="Of cf: log (default) or bpr.",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            rich_help_panel=TRAINING,
            help=f"Training steps, T. {BY_DEFAULT.format(NODES.steps, INTERACTIONS.steps)}",
        ),
    ] = None,
    dim: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            rich_help_panel=TRAINING,
            help="Embedding width, D. Default: 32.",
        ),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            metavar="N,N",
            rich_help_panel=TRAINING,
            help="Widths of the hidden layers of gmf, as 16,8. Default: none.",
        ),
    ] = None,
    hops: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            rich_help_panel=TRAINING,
            help="Propagations of lightgcn, sgc. Default: 2.",
        ),
    ] = None,
    hidden: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            rich_help_panel=TRAINING,
            help="Hidden width of linear-gcn. Default: 16.",
        ),
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=among(COPIES),
            rich_help_panel=TRAINING,
            help="Of interactions: adam (default) or sgd.",
        ),
    ] = None,
    ranks: Annotated[
        str,
        typer.Option(
            metavar="N,N",
            rich_help_panel=MACHINE,
            help="Processes that divide the pairs; several numbers between commas make a table.",
        ),
    ] = "1",
    efficiency: Annotated[
        float,
        typer.Option(
            metavar="X",
            rich_help_panel=MACHINE,
            help="Speed of the divided part of the work over that of ideal ranks, up to 1.",
        ),
    ] = 1.0,
    gigabits: Annotated[
        float,
        typer.Option(
            metavar="X", rich_help_panel=MACHINE, help="Bandwidth between ranks, in Gbit/s."
        ),
    ] = 10.0,
    device: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            autocompletion=among(("cpu", "cuda")),
            rich_help_panel=MACHINE,
            help="cpu or cuda.",
        ),
    ] = "cpu",
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            rich_help_panel=MACHINE,
            help="Measure four small attacks here first, and scale by their time.",
        ),
    ] = False,
    scale: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            rich_help_panel=MACHINE,
            help="Time of this machine over that of the measured one, as --calibrate prints it. "
            "Default: 1.",
        ),
    ] = None,
    coefficients: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=MACHINE,
            help="File of benchmarks/fit_estimate.py, in the place of the installed one.",
        ),
    ] = None,
    debug: shared.Debug = False,
    as_json: shared.Json = False,
) -> None:
    """Say what an attack will cost on a graph of given sizes, without the graph.

    Time and memory are sums of coefficients that were measured. For a graph that you hold,
    'graphpoison attack INPUT --dry-run' measures two gradients on it.
    """

    sizes = {
        "users": users,
        "items": items,
        "pairs": pairs,
        "nodes": nodes,
        "edges": edges,
        "features": features,
        "classes": classes,
        "labels": labels,
        "density": density,
        "epochs": epochs,
        "loss": loss,
        "steps": steps,
        "dim": dim,
        "layers": layers,
        "hops": hops,
        "hidden": hidden,
        "optimizer": optimizer,
    }
    given = {name: value for name, value in sizes.items() if value is not None}
    with logs():
        with usage():
            if calibrate and scale is not None:
                raise WrongUsage("--calibrate and --scale exclude each other: give one of them.")
            plan = by_size(surrogate, given, budget, flips_per_step)
            machine = Machine(
                device,
                Coefficients.load(device, coefficients),
                tuple(Cluster(n, efficiency, gigabits) for n in numbers("ranks", ranks)),
                1.0 if scale is None else scale,
            )
            machine.cost(plan, machine.clusters[-1])  # refuses what has no estimate
        if calibrate:
            machine = machine.calibrated(plan)
        show_cost(plan, machine, as_json)
