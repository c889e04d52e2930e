"""``graphpoison attack``."""

import logging
import math
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import typer

from .._memory import num_bytes
from .._ranks import Ranks
from .._text import counted
from ..graphs import Interactions, read_graph
from ..perturbation import Perturbation
from ..registry import ATTACKS
from . import attack_options as chosen
from . import options as shared
from .chosen_ids import for_graph
from .config import save_config
from .derived import options_of_attacks, with_options
from .errors import usage
from .files import (
    check_export,
    check_outputs,
    checkpoint_beside,
    checkpoint_of,
    write_poisoned,
)
from .output import logs, show_counts, show_json
from .plan import Plan, show_estimate
from .processes import device_of

logger = logging.getLogger(__name__)

DEFAULT_OUT = "flips.npz"
COMMAND = "command"
"""Key in the ``meta`` of flips: the command's input and settings, which ``evaluate`` reads."""

EPILOG = (
    "Example: graphpoison attack shop.csv --user-column customer --item-column article "
    "--budget 5% --out flips.npz --export poisoned.csv\n\n"
    "Example: graphpoison attack shop.csv --promote SKU-17 --fake-users 1%\n\n"
    + "\n".join(f"{name + ':':14} {words}." for name, words in ATTACKS.items())
)


def attack(
    ctx: typer.Context,
    input: shared.Input,
    attack: chosen.Attack = None,
    budget: chosen.Budget = None,
    surrogate: chosen.Surrogate = None,
    removals: chosen.Removals = None,
    constraint: chosen.Constraint = None,
    max_profile_share: chosen.MaxProfileShare = None,
    off_limits: chosen.OffLimits = None,
    k: chosen.ListLength = None,
    features: chosen.Features = None,
    promote: chosen.Promote = None,
    fake_users: chosen.FakeUsers = None,
    profile_length: chosen.ProfileLength = None,
    new_users: chosen.NewUsers = None,
    similar_users: chosen.SimilarUsers = None,
    user_column: shared.UserColumn = None,
    item_column: shared.ItemColumn = None,
    header: shared.Header = None,
    rating_column: shared.RatingColumn = None,
    min_rating: shared.MinRating = None,
    edge_type: chosen.EdgeType = None,
    test_fraction: shared.TestFraction = None,
    data_seed: shared.DataSeed = None,
    split: shared.Split = None,
    time_column: shared.TimeColumn = None,
    root: shared.Root = None,
    seed: chosen.Seed = 0,
    device: shared.Device = "cpu",
    progress: shared.Progress = True,
    max_memory: chosen.MaxMemory = None,
    dry_run: chosen.DryRun = False,
    resume: shared.Resume = False,
    overwrite: shared.Overwrite = False,
    config: shared.Config = None,
    debug: shared.Debug = False,
    out: chosen.Out = Path(DEFAULT_OUT),
    export: chosen.Export = None,
    as_json: shared.Json = False,
    save_to: shared.SaveConfig = None,
) -> None:
    """Find the flips that harm a model most within a budget, and write them to a file."""
    ranks: Ranks = ctx.obj
    with logs(progress):
        with usage():
            settings, reading = chosen.settings_of(ctx.params), chosen.reading_of(ctx.params)
            reading = shared.split_of_tables(input, reading)
            place = device_of(device, ranks)
            opened = partial(shared.open_input, input, reading, root, place)
            data = ranks.mapped(opened)
            graph = read_graph(data, settings.edge_type)
            settings = for_graph(
                settings, graph, promote, fake_users, profile_length, off_limits, seed
            )
            plan = Plan.of(graph, settings, budget, seed, resume, ranks)
            if max_memory is not None:
                num_bytes("max_memory", max_memory)
            if dry_run:
                sized = f"{input}: {shared.sizes(graph)}"
                show_estimate(plan, sized, seed, max_memory, as_json)
                return

            def checked() -> Path:
                check_export(export, data)
                outputs = {"export": export, "save_config": save_to}
                kept = checkpoint_beside(out, ".npz"), out
                check_outputs([input, config], outputs, overwrite or resume, *kept)
                return checkpoint_of(out, resume, overwrite)

            checkpoint = ranks.share(checked)
        for name in settings.without_effect(isinstance(graph, Interactions)):
            logger.warning("%s has no effect on this attack (%s).", name, plan.name)
        if ranks.size > 1 and not plan.shares:
            logger.warning(
                "%s cannot divide its work: each process does the whole attack.", plan.name
            )
        if plan.spelt != counted(plan.budget.flips or 0, "flip"):
            logger.info("budget: %s", plan.spelt)
        if not resume:
            plan.announce(seed, max_memory)
        ranks.share(lambda: save_config(ctx, save_to))
        started = time.monotonic()
        found = plan.run(seed, progress, checkpoint, max_memory)
        share = settings.share_of_profiles
        if share and len(found) < (plan.budget.flips or 0):
            logger.warning(
                "max_profile_share=%g rounds down: users of fewer than %d interactions keep them.",
                *(share, math.ceil(1 / share)),
            )
        record = {"input": input, "reading": asdict(reading), "settings": asdict(settings)}
        found = replace(found, meta={**found.meta, COMMAND: record})

        def write() -> None:
            found.save(out)
            if checkpoint != out:
                checkpoint.unlink(missing_ok=True)
            if export is not None:
                poisoned = found.apply(data)
                write_poisoned(poisoned, export, settings, reading, Path(input), seed)

        ranks.share(write)
        first, last = _losses(found, plan.name)
        made = {"added": found.added, "removed": found.removed}
        if plan.task.state.features is not None:
            made["features set"] = found.features_set
            made["features cleared"] = found.features_cleared
        summary = {
            "input": f"{input}: {shared.sizes(graph)}",
            "split": reading.split,
            "attack": plan.name,
            "promoted": plan.promoted,
            "users off limits": None if settings.off_limits is None else len(settings.off_limits),
            "budget": plan.spelt,
            "flips": len(found),
            **{name: pairs.size(1) for name, pairs in made.items()},
            "fake users": 0 if found.fake_users is None else found.fake_users.count,
            "attack loss, first step": first,
            "attack loss, last step": last,
            "seconds": round(time.monotonic() - started, 2),
            "out": out,
            "export": export,
        }
    if as_json:
        show_json(summary)
        return
    if plan.promoted is not None:
        summary["promoted"] = ", ".join(plan.promoted)
    if found.flips["step"].nunique() == 1:
        summary["attack loss, first step"] = None
        summary = {name.removesuffix(", last step"): value for name, value in summary.items()}
    shown = {name: value for name, value in summary.items() if value is not None}
    show_counts(shown, f"{plan.name} on {input}")


def _losses(found: Perturbation, name: str) -> tuple[float | None, float | None]:
    """Return the attack losses of the first and the last step, or None twice: the attack has no
    loss, or the two halves of a ranking attack have objectives that cannot be compared."""
    losses = found.flips["attack_loss"]
    if name == "ranking" or losses.empty or losses.isna().iloc[-1]:
        return None, None
    return losses.iloc[0], losses.iloc[-1]


command = with_options(attack, options_of_attacks(), before="promote")
