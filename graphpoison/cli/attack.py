"""``graphpoison attack``."""

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from torch_geometric.data import Data, HeteroData

from ..attacks import Attack, Injection
from ..budget import Budget
from ..datasets import save_graph, write_interactions
from ..datasets.export import SEPARATOR
from ..datasets.source import GRAPH, Reading
from ..datasets.tables import suffix
from ..perturbation import Perturbation
from ..registry import (
    ATTACKS,
    CONSTRAINTS,
    NODE_BUDGET,
    AttackSettings,
    build_attack,
    build_task,
    check_budget,
    parse_budget,
)
from ..tasks import Task
from . import options as shared
from .config import save_config
from .errors import Interrupted, WrongUsage, usage
from .output import bars, check_writable, logs, show_counts, show_json

COMMAND = "command"
"""Where the flips' ``meta`` says how they were asked for, so that ``evaluate`` need not be told."""

PROBLEM, TRAINING, FAKE = "Attack", "Training of the surrogate", "Fake users"
BY_DEFAULT = "Default: {} for nodes, {} for interactions."
EPILOG = (
    "Example: graphpoison attack shop.csv --user-column customer --item-column article "
    "--budget 5% --out flips.npz --export poisoned.csv"
)


def attack(
    ctx: typer.Context,
    input: shared.Input,
    attack: Annotated[
        str, typer.Option(rich_help_panel=PROBLEM, help=f"One of: {', '.join(ATTACKS)}.")
    ] = "meta",
    budget: Annotated[
        str,
        typer.Option(
            rich_help_panel=PROBLEM,
            help="A number of flips (500), or a share of the clean edges (5% or 0.05).",
        ),
    ] = "5%",
    surrogate: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=PROBLEM,
            help="linear-gcn or relu-gcn for nodes; cf, gmf, mlp, neumf or lightgcn for "
            "interactions. " + BY_DEFAULT.format("linear-gcn", "cf"),
        ),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=PROBLEM,
            help="train, self or both for nodes; train, self or heldout for interactions. "
            + BY_DEFAULT.format("self", "train"),
        ),
    ] = None,
    flips_per_step: Annotated[
        int, typer.Option(min=1, rich_help_panel=PROBLEM, help="Flips of one meta-gradient.")
    ] = 1,
    redraw: Annotated[
        bool,
        typer.Option(
            "--redraw/--no-redraw",
            rich_help_panel=PROBLEM,
            help="Start the surrogate from fresh parameters at every step of a meta attack.",
        ),
    ] = True,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            rich_help_panel=PROBLEM,
            help="Gradient steps of pgd and min-max (default 100), prbcd and grbcd (125).",
        ),
    ] = None,
    block_size: Annotated[
        int | None,
        typer.Option(
            min=1, rich_help_panel=PROBLEM, help="Pairs that these four look at. Default: 250000."
        ),
    ] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option(
            rich_help_panel=PROBLEM,
            help=f"{', '.join(CONSTRAINTS)}, {NODE_BUDGET}=3, {NODE_BUDGET}=50% or none; may be "
            "given several times. " + BY_DEFAULT.format("no-singletons", "none"),
        ),
    ] = None,
    removals: Annotated[
        bool | None,
        typer.Option(
            "--removals/--no-removals",
            rich_help_panel=PROBLEM,
            help="Whether edges may be removed. Default: from graphs of nodes, but for random and "
            "degree.",
        ),
    ] = None,
    candidates: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=PROBLEM,
            help="Which pairs may be flipped: sampled (interactions and negatives) or all. "
            + BY_DEFAULT.format("all", "sampled"),
        ),
    ] = None,
    new_users: Annotated[
        int | None,
        typer.Option(
            min=1, rich_help_panel=FAKE, help="So many new users join, who alone interact."
        ),
    ] = None,
    similar_users: Annotated[
        int | None,
        typer.Option(min=1, rich_help_panel=FAKE, help="The same, with users like real ones."),
    ] = None,
    method: Annotated[
        str, typer.Option(rich_help_panel=FAKE, help="How they are made: sample or kmeans.")
    ] = "sample",
    steps: Annotated[
        int | None,
        typer.Option(
            min=1, rich_help_panel=TRAINING, help="Updates, T. " + BY_DEFAULT.format(100, 50)
        ),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            rich_help_panel=TRAINING, help="Learning rate. " + BY_DEFAULT.format(0.1, 0.05)
        ),
    ] = None,
    momentum: Annotated[
        float | None,
        typer.Option(rich_help_panel=TRAINING, help="Of sgd. " + BY_DEFAULT.format(0.9, 0.0)),
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=TRAINING, help="sgd or adam. " + BY_DEFAULT.format("sgd", "adam")
        ),
    ] = None,
    weight_decay: Annotated[
        float | None, typer.Option(rich_help_panel=TRAINING, help="L2 penalty. Default: 0.")
    ] = None,
    user_column: shared.UserColumn = None,
    item_column: shared.ItemColumn = None,
    header: shared.Header = None,
    rating_column: shared.RatingColumn = None,
    min_rating: shared.MinRating = None,
    edge_type: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=shared.INPUT,
            help="Which interactions of a .pt with several: user,rates,item.",
        ),
    ] = None,
    test_fraction: shared.TestFraction = None,
    data_seed: shared.DataSeed = None,
    root: shared.Root = None,
    seed: Annotated[
        int, typer.Option(min=0, rich_help_panel=shared.RUN, help="Of the attack.")
    ] = 0,
    device: shared.Device = "cpu",
    progress: shared.Progress = None,
    resume: shared.Resume = False,
    overwrite: shared.Overwrite = False,
    config: shared.Config = None,
    debug: shared.Debug = False,
    out: Annotated[
        Path,
        typer.Option(
            rich_help_panel=shared.OUTPUT,
            help="The flips; a checkpoint lies beside them until they are done.",
        ),
    ] = Path("flips.npz"),
    export: Annotated[
        Path | None,
        typer.Option(
            rich_help_panel=shared.OUTPUT,
            help="Write the poisoned data too: .csv, .tsv or .inter (interactions), or .pt.",
        ),
    ] = None,
    as_json: shared.Json = False,
    save_to: shared.SaveConfig = None,
) -> None:
    """Find the flips that hurt most, within a budget, and write them to a file."""
    with logs():
        with usage():
            settings = AttackSettings(
                attack=attack,
                surrogate=surrogate,
                objective=objective,
                candidates=candidates,
                edge_type=_edge_type(edge_type),
                steps=steps,
                lr=lr,
                momentum=momentum,
                optimizer=optimizer,
                weight_decay=weight_decay,
                flips_per_step=flips_per_step,
                redraw=redraw,
                epochs=epochs,
                block_size=block_size,
                constraints=tuple(constraint or ()),
                removals=removals,
                new_users=new_users,
                similar_users=similar_users,
                method=method,
            )
            limit = parse_budget(budget)
            reading = Reading(
                user_column,
                item_column,
                header,
                rating_column,
                min_rating,
                test_fraction,
                data_seed,
            )
            data = shared.open_input(input, reading, root, device)
            task, chosen = build_task(data, settings), build_attack(data, settings)
            check_budget(limit, task, chosen, settings)
            _check_export(export, data)
            check_writable(out, export, save_to)
            checkpoint = _checkpoint(out, resume, overwrite)
        save_config(ctx, save_to)
        started = time.monotonic()
        found = _run(task, chosen, limit, seed, bars(progress), checkpoint)
        record = {"input": input, "reading": asdict(reading), "settings": asdict(settings)}
        found = replace(found, meta={**found.meta, COMMAND: record})
        found.save(out)
        checkpoint.unlink(missing_ok=True)
        if export is not None:
            _export(found.apply(data), export, settings)
        summary = {
            "input": f"{input}: {shared.sizes(data)}",
            "attack": attack,
            "budget": _spelt(limit, found),
            "flips": len(found),
            "added": found.added.size(1),
            "removed": found.removed.size(1),
            "fake users": 0 if found.fake_users is None else found.fake_users.count,
            "attack loss, first step": found.flips["attack_loss"].iloc[0],
            "attack loss, last step": found.flips["attack_loss"].iloc[-1],
            "seconds": round(time.monotonic() - started, 2),
            "out": out,
            "export": export,
        }
    if as_json:
        show_json(summary)
        return
    shown = {name: value for name, value in summary.items() if value is not None}
    show_counts(shown, f"{attack} on {input}")


def checkpoint_beside(path: Path, kind: str) -> Path:
    """``flips.checkpoint.npz`` for ``flips.npz``."""
    return path.with_name(f"{path.stem}.checkpoint{kind}")


def fresh_or_resumed(path: Path, resume: bool, overwrite: bool) -> Path:
    """Refuse to go on with, or to lose, what an interrupted run has left."""
    if path.exists() and overwrite and not resume:
        path.unlink()
    if path.exists() and not resume:
        raise WrongUsage(
            f"{path} is there, left by an interrupted run: go on with --resume, or start anew with "
            "--overwrite."
        )
    return path


def _checkpoint(out: Path, resume: bool, overwrite: bool) -> Path:
    checkpoint = fresh_or_resumed(checkpoint_beside(out, ".npz"), resume, overwrite)
    if out.exists() and not overwrite and not checkpoint.exists():
        raise WrongUsage(f"{out} is there already: name another --out, or give --overwrite.")
    return checkpoint


def _run(
    task: Task,
    attack: Attack | Injection,
    budget: Budget,
    seed: int,
    progress: bool,
    checkpoint: Path,
) -> Perturbation:
    try:
        return attack(task, budget, seed, progress, checkpoint)
    except BaseException as error:
        kept = len(Perturbation.load(checkpoint)) if checkpoint.exists() else 0
        if not kept:
            checkpoint.unlink(missing_ok=True)
        elif isinstance(error, KeyboardInterrupt):
            raise Interrupted(
                f"interrupted: {checkpoint} holds {kept} flips; the same command with --resume "
                "goes on."
            ) from error
        raise


def _spelt(budget: Budget, found: Perturbation) -> str:
    count = f"{found.meta['budget']:,} flips"
    if budget.share is None:
        return count
    return f"{100 * budget.share:.4g}% of {found.meta['num_edges']:,} edges = {count}"


def _edge_type(text: str | None) -> tuple[str, str, str] | None:
    if text is None:
        return None
    parts = tuple(text.split(","))
    if len(parts) != 3:
        raise ValueError(f"edge_type must be three names as in user,rates,item; found {text!r}.")
    return parts


def _check_export(path: Path | None, data: Data | HeteroData) -> None:
    if path is None:
        return
    kinds = [GRAPH, *SEPARATOR] if isinstance(data, HeteroData) else [GRAPH]
    if suffix(path) not in kinds:
        raise ValueError(f"export={str(path)!r} must end in {' or '.join(kinds)} for this input.")


def _export(poisoned: Any, path: Path, settings: AttackSettings) -> None:
    if suffix(path) == GRAPH:
        save_graph(poisoned.cpu(), path)
    else:
        write_interactions(poisoned, path, settings.edge_type)
