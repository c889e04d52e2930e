"""``graphpoison evaluate``."""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from .._io import locked
from .._text import counted
from ..evaluation import evaluate
from ..evaluation.chosen import chosen_metrics
from ..metrics import PAIR_METRICS, RANKING_METRICS
from ..models import RECOMMENDERS
from ..training.criteria import CRITERIA
from ..victims import NODE_VICTIMS, RECOMMENDER_VICTIMS
from . import options as shared
from .attack_options import reading_of as given_reading
from .completion import among
from .config import save_config
from .errors import Interrupted, usage
from .files import check_outputs, checkpoint_beside, fresh_or_resumed, write_table
from .measured import about_lists, chosen_victims, metrics_of
from .options import count, in_panel
from .output import logs, show_json, show_table
from .recorded import (
    RANDOM,
    between,
    budgets_of,
    check_fit,
    check_heuristics,
    groups_of,
    heuristics_of,
    load_flips,
    promoting,
    random_of,
    read_fitting,
    reading_of,
    with_record,
)

VICTIMS = "Victims"
EPILOG = (
    "Example: graphpoison evaluate shop.csv flips.npz --victim ease --victim implicit-als "
    "--heuristics --html report.html"
)


def command(
    ctx: typer.Context,
    input: shared.Input,
    flips: Annotated[
        list[Path],
        typer.Argument(
            metavar="FLIPS.npz...",
            show_default=False,
            help="Files written by 'graphpoison attack', or poisoned adjacencies in the format of "
            "DeepRobust and Pro-GNN (scipy.sparse.save_npz).",
        ),
    ],
    victim: Annotated[
        list[str] | None,
        in_panel(
            VICTIMS,
            "NAME",
            "Victim to retrain; may be given several times, or with commas. For nodes: "
            f"{', '.join(NODE_VICTIMS)}; for interactions: "
            f"{', '.join(dict.fromkeys([*RECOMMENDER_VICTIMS, *RECOMMENDERS]))}. The suffix :last, "
            "as in gcn:last, keeps the last epoch instead of the best validation epoch. "
            "Default: gcn for nodes, ease for interactions.",
            autocompletion=among(
                dict.fromkeys((*NODE_VICTIMS, *RECOMMENDER_VICTIMS, *RECOMMENDERS))
            ),
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        in_panel(
            VICTIMS,
            "NAME",
            "Metric of recommenders; may be given several times, or with commas. Of the "
            f"first k items: {', '.join(f'{kind}@k' for kind in RANKING_METRICS)}; of pairs: "
            f"{', '.join(PAIR_METRICS)}. Default: ndcg@10 and recall@20; if items are promoted, "
            "also t-hr@10 and t-hr@50. The figure shows the first metric.",
            autocompletion=among((*PAIR_METRICS, *(f"{kind}@" for kind in RANKING_METRICS))),
        ),
    ] = None,
    loss: Annotated[
        str | None,
        in_panel(
            VICTIMS,
            "NAME",
            "Training loss of cf, gmf, mlp, neumf and lightgcn: log (default), bpr (pairs of "
            "items) or softmax (several items).",
            autocompletion=among(CRITERIA),
        ),
    ] = None,
    seeds: Annotated[int, count(VICTIMS, "Number of initialisations.")] = 5,
    budgets: Annotated[
        str | None,
        in_panel(
            VICTIMS,
            "SIZES",
            "Numbers of flips or shares of the edges, separated by commas: 0,100,5%. Default: "
            "all flips.",
        ),
    ] = None,
    random: Annotated[
        bool, in_panel(VICTIMS, None, "Add an equal number of random flips.", "--random")
    ] = False,
    heuristics: Annotated[
        bool,
        in_panel(
            VICTIMS,
            None,
            "Add flips by simple rules for recommenders, as many as the attack has; for an "
            "attack that promotes items, fake profiles by templates of the literature.",
            "--heuristics",
        ),
    ] = False,
    include_perturbed: Annotated[
        bool,
        in_panel(
            VICTIMS, None, "Include the flipped pairs in metrics of pairs.", "--include-perturbed"
        ),
    ] = False,
    user_column: shared.UserColumn = None,
    item_column: shared.ItemColumn = None,
    header: shared.Header = None,
    rating_column: shared.RatingColumn = None,
    min_rating: shared.MinRating = None,
    test_fraction: shared.TestFraction = None,
    data_seed: shared.DataSeed = None,
    split: shared.Split = None,
    time_column: shared.TimeColumn = None,
    root: shared.Root = None,
    device: shared.Device = "cpu",
    progress: shared.Progress = True,
    resume: shared.Resume = False,
    overwrite: shared.Overwrite = False,
    config: shared.Config = None,
    debug: shared.Debug = False,
    html: shared.Html = None,
    plot: shared.Plot = None,
    latex: shared.Latex = None,
    csv: shared.Csv = None,
    as_json: shared.Json = False,
    save_to: shared.SaveConfig = None,
) -> None:
    """Retrain victims on the clean and on the poisoned data, and compare their metrics.

    The input is read as for the attack, except for the columns, split and seed given here.
    """

    with logs(progress):
        with usage():
            loaded = load_flips(flips)
            read = reading_of(input, given_reading(ctx.params), with_record(loaded))
            data = shared.open_input(input, read, root, device)
            attacks = between(data, loaded)
            graph = read_fitting(data, attacks)
            chosen = chosen_victims(graph, victim, loss)
            metrics = metrics_of(graph, metric, attacks)
            groups = groups_of(attacks) if about_lists(metrics) else None
            chosen_metrics(graph, attacks, metrics, groups=groups)  # raises before any work
            counts = budgets_of(budgets, attacks)
            check_fit(graph, attacks)
            if heuristics:
                check_heuristics(graph, attacks)
            runs = checkpoint_beside(flips[0], ".sqlite")
            outputs = {"html": html, "plot": plot, "latex": latex, "csv": csv}
            written = {**outputs, "save_config": save_to}
            check_outputs([input, *flips, config], written, overwrite or resume, runs)
            fresh_or_resumed(runs, resume, overwrite)
        save_config(ctx, save_to)
        given = dict(attacks)
        if random:
            attacks[RANDOM] = random_of(graph, given)
        if heuristics:
            attacks |= heuristics_of(graph, given)
        with locked(runs):
            try:
                report = evaluate(
                    graph,
                    attacks,
                    chosen,
                    range(seeds),
                    counts,
                    include_perturbed,
                    progress,
                    checkpoint=runs,
                    metrics=metrics,
                    groups=groups,
                )
            except KeyboardInterrupt as error:
                if not runs.exists():
                    raise
                raise Interrupted(
                    f"interrupted: {runs} holds the finished runs; the same command with --resume "
                    "continues.",
                    error,
                ) from error
            if html is not None:
                report.to_html(html)
            if plot is not None:
                report.plot(metrics[0], path=plot)
            if latex is not None:
                report.to_latex(latex)
            write_table(report.table, csv)
            files = [path for path in outputs.values() if path is not None]
            runs.unlink(missing_ok=True)
    if as_json:
        warnings = report.meta["warnings"]
        show_json({"table": report.table, "warnings": warnings, "files": files})
        return
    trained = counted(report.runs["seed"].nunique(), "seed")
    title = f"{input}: means over {trained}" + promoting(graph, given)
    show_table(_told_apart(report.table), title)
    for path in files:
        typer.echo(f"wrote {path}")


def _told_apart(table: pd.DataFrame) -> pd.DataFrame:
    """Return ``table``; if no user is touched, without the untouched users, who are all users."""
    if "touched" in set(table["users"]):
        return table
    return table[table["users"] != "untouched"]
