"""``graphpoison estimate``."""

from pathlib import Path
from typing import Annotated

from ..estimates import Cluster, Coefficients
from ..estimates.by_name import KINDS
from ..estimates.recommenders import COPIES
from ..parsing import parse_numbers
from ..training import INTERACTIONS, NODES
from . import attack_options as chosen
from . import options as shared
from .by_size import Machine, by_size, show_cost
from .completion import among
from .derived import BY_DEFAULT, PROBLEM, TRAINING
from .errors import WrongUsage, usage
from .options import count, in_panel
from .output import logs

USERS, OF_NODES, MACHINE = "Interactions of users with items", "Graph of nodes", "Machine"
EPILOG = (
    "Example: graphpoison estimate --users 1000000 --items 50000 --pairs 100000000 --surrogate cf "
    "--dim 64 --budget 1% --flips-per-step 10000 --ranks 1,8\n\n"
    "If you have the graph, measure on it: graphpoison attack INPUT --dry-run"
)


def command(
    surrogate: Annotated[
        str,
        in_panel(
            PROBLEM,
            "NAME",
            "For interactions cf, gmf or lightgcn (attack meta) or ease (attack ranking); for "
            "nodes linear-gcn or sgc (attack meta).",
            autocompletion=among(KINDS),
            show_default=False,
        ),
    ],
    users: Annotated[int | None, count(USERS, "Number of users.")] = None,
    items: Annotated[int | None, count(USERS, "Number of items.")] = None,
    pairs: Annotated[
        int | None,
        count(
            USERS,
            "Number of training interactions; cf, gmf and lightgcn add as many negatives.",
        ),
    ] = None,
    nodes: Annotated[int | None, count(OF_NODES, "Number of nodes.")] = None,
    edges: Annotated[int | None, count(OF_NODES, "Number of undirected edges.")] = None,
    features: Annotated[int | None, count(OF_NODES, "Number of features of a node.")] = None,
    classes: Annotated[int | None, count(OF_NODES, "Number of classes.")] = None,
    labels: Annotated[
        int | None, count(OF_NODES, "Number of labelled nodes. Default: a tenth of the nodes.")
    ] = None,
    density: Annotated[
        float | None, in_panel(OF_NODES, "X", "Share of non-zero features. Default: 0.02.")
    ] = None,
    budget: chosen.Budget = None,
    flips_per_step: Annotated[int, count(PROBLEM, "Number of flips per meta-gradient.")] = 1,
    epochs: Annotated[
        int | None,
        count(
            PROBLEM, "Gradient steps of the attack ranking for each half of the flips. Default: 40."
        ),
    ] = None,
    loss: Annotated[
        str | None,
        in_panel(
            TRAINING,
            "NAME",
            "Training loss of cf: log (default) or bpr.",
            autocompletion=among(("log", "bpr")),
        ),
    ] = None,
    steps: Annotated[
        int | None,
        count(TRAINING, f"Training steps, T. {BY_DEFAULT.format(NODES.steps, INTERACTIONS.steps)}"),
    ] = None,
    dim: Annotated[int | None, count(TRAINING, "Embedding width, D. Default: 32.")] = None,
    layers: Annotated[
        str | None,
        in_panel(TRAINING, "N,N", "Widths of the hidden layers of gmf, as in 16,8. Default: none."),
    ] = None,
    hops: Annotated[
        int | None, count(TRAINING, "Number of propagations of lightgcn and sgc. Default: 2.")
    ] = None,
    hidden: Annotated[
        int | None, count(TRAINING, "Hidden width of linear-gcn. Default: 16.")
    ] = None,
    optimizer: Annotated[
        str | None,
        in_panel(
            TRAINING,
            "NAME",
            "Optimiser of recommenders: adam (default) or sgd.",
            autocompletion=among(COPIES),
        ),
    ] = None,
    ranks: Annotated[
        str,
        in_panel(
            MACHINE,
            "N,N",
            "Number of processes that share the pairs; numbers separated by commas give a table.",
        ),
    ] = "1",
    efficiency: Annotated[
        float,
        in_panel(
            MACHINE,
            "X",
            "Speed of the work on pairs relative to an ideal division among ranks, up to 1.",
        ),
    ] = 1.0,
    gigabits: Annotated[
        float, in_panel(MACHINE, "X", "Bandwidth between ranks, in Gbit/s.")
    ] = 10.0,
    device: Annotated[
        str,
        in_panel(
            MACHINE,
            "NAME",
            "Where the attack would run: cpu or cuda.",
            autocompletion=among(("cpu", "cuda")),
        ),
    ] = "cpu",
    calibrate: Annotated[
        bool,
        in_panel(
            MACHINE,
            None,
            "Measure four small attacks on this machine first, and scale the estimate.",
            "--calibrate",
        ),
    ] = False,
    scale: Annotated[
        float | None,
        in_panel(
            MACHINE,
            "X",
            "Time on this machine divided by the time on the measured machine, as --calibrate "
            "prints it. Default: 1.",
        ),
    ] = None,
    coefficients: Annotated[
        Path | None,
        in_panel(
            MACHINE,
            "FILE",
            "Coefficients written by benchmarks/fit_estimate.py. Default: the installed ones.",
        ),
    ] = None,
    debug: shared.Debug = False,
    as_json: shared.Json = False,
) -> None:
    """Estimate the time and memory of an attack from the sizes of a graph.

    Time and memory are sums of counts of operations, times measured coefficients. If you have the
    graph, 'graphpoison attack INPUT --dry-run' measures two gradients on it.
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
                tuple(Cluster(n, efficiency, gigabits) for n in parse_numbers("ranks", ranks)),
                1.0 if scale is None else scale,
            )
            machine.cost(plan, machine.clusters[-1])  # raises if there is no estimate
        if calibrate:
            machine = machine.calibrated(plan)
        show_cost(plan, machine, as_json)
