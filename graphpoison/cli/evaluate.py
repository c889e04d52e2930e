"""``graphpoison evaluate``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .._checks import choice
from .._io import atomic_write
from .._text import counted
from ..datasets.source import Reading
from ..evaluation import evaluate
from ..graphs import Graph, NodeGraph
from ..models import RECOMMENDERS, recommender
from ..report import Report
from ..report.summary import LABELS
from ..training.criteria import CRITERIA
from ..victims import NODE_VICTIMS, RecommenderVictim, node_victim, recommender_victim
from . import options as shared
from .config import save_config
from .errors import Interrupted, usage
from .files import (
    check_apart,
    check_new,
    check_output,
    check_writable,
    checkpoint_beside,
    fresh_or_resumed,
)
from .output import bars, logs, show_json, show_table
from .recorded import RANDOM, budgets_of, check_fit, load_flips, random_of, read_fitting, reading_of

VICTIMS = "Victims"
OUTPUTS = ([".html", ".htm"], [".png", ".svg", ".pdf"], [".tex"], [".csv"])
"""The suffixes of the page, of the figure, of the table for a paper and of the table."""
EPILOG = "Example: graphpoison evaluate shop.csv flips.npz --random --html report.html"


def evaluate_command(
    ctx: typer.Context,
    input: shared.Input,
    flips: Annotated[
        list[Path],
        typer.Argument(
            metavar="FLIPS.npz...", show_default=False, help="Files of 'graphpoison attack'."
        ),
    ],
    victims: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=VICTIMS,
            help=f"Names between commas. For nodes: {', '.join(NODE_VICTIMS)}; for interactions: "
            f"{', '.join(RECOMMENDERS)}. Default: gcn, or cf.",
        ),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=VICTIMS,
            help="Training loss of recommenders: log (default) or bpr, by pairs of items.",
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, rich_help_panel=VICTIMS, help="Number of initialisations.")
    ] = 5,
    budgets: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=VICTIMS,
            help="Numbers of flips or shares of the edges between commas: 0,100,5%. Default: all "
            "flips.",
        ),
    ] = None,
    random: Annotated[
        bool,
        typer.Option(
            "--random", rich_help_panel=VICTIMS, help="Add a random attack with as many flips."
        ),
    ] = False,
    include_perturbed: Annotated[
        bool,
        typer.Option(
            "--include-perturbed",
            rich_help_panel=VICTIMS,
            help="Keep the flipped pairs in a recommender's metrics.",
        ),
    ] = False,
    user_column: shared.UserColumn = None,
    item_column: shared.ItemColumn = None,
    header: shared.Header = None,
    rating_column: shared.RatingColumn = None,
    min_rating: shared.MinRating = None,
    test_fraction: shared.TestFraction = None,
    data_seed: shared.DataSeed = None,
    root: shared.Root = None,
    device: shared.Device = "cpu",
    progress: shared.Progress = None,
    resume: shared.Resume = False,
    overwrite: shared.Overwrite = False,
    config: shared.Config = None,
    debug: shared.Debug = False,
    html: Annotated[
        Path | None, typer.Option(rich_help_panel=shared.OUTPUT, help="One page with everything.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(rich_help_panel=shared.OUTPUT, help="A figure: .png, .svg or .pdf."),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=shared.OUTPUT,
            help="Of the figure: accuracy, auroc or log_loss. Default: accuracy, or auroc.",
        ),
    ] = None,
    latex: Annotated[
        Path | None, typer.Option(rich_help_panel=shared.OUTPUT, help="The table for a paper.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(rich_help_panel=shared.OUTPUT, help="The table as a file.")
    ] = None,
    as_json: shared.Json = False,
    save_to: shared.SaveConfig = None,
) -> None:
    """Retrain victims on the clean and on the poisoned data, and say what the flips did to them.

    The input is read as it was for the attack, unless columns, split or seed are given here.
    """
    with logs():
        with usage():
            attacks, outputs = load_flips(flips), (html, plot, latex, csv)
            given = Reading(
                user_column,
                item_column,
                header,
                rating_column,
                min_rating,
                test_fraction,
                data_seed,
            )
            data = shared.open_input(input, reading_of(given, attacks), root, device)
            graph = read_fitting(data, attacks)
            chosen = _victims(graph, victims, loss)
            counts = budgets_of(budgets, attacks)
            check_fit(graph, attacks)
            metric = metric or default_metric(graph)
            known = ["accuracy"] if isinstance(graph, NodeGraph) else LABELS
            choice("metric", metric, known)
            runs = checkpoint_beside(flips[0], ".csv")
            check_apart([input, *flips, config], runs, *outputs, save_to)
            for path, kinds in zip(outputs, OUTPUTS, strict=True):
                check_output(path, kinds, overwrite or resume)
            check_new(save_to, overwrite or resume)
            check_writable(*outputs, save_to)
            fresh_or_resumed(runs, resume, overwrite)
            check_writable(runs)
        save_config(ctx, save_to)
        if random:
            attacks[RANDOM] = random_of(graph, attacks)
        try:
            report = evaluate(
                graph,
                attacks,
                chosen,
                range(seeds),
                counts,
                include_perturbed,
                bars(progress),
                checkpoint=runs,
            )
        except KeyboardInterrupt as error:
            if not runs.exists():
                raise
            raise Interrupted(
                f"interrupted: {runs} holds the finished runs; the same command with --resume "
                "goes on."
            ) from error
        files = write_files(report, html, plot, metric, latex, csv)
        runs.unlink(missing_ok=True)
    if as_json:
        show_json({"table": report.table, "files": files})
        return
    show_table(report.table, f"{input}: means over {counted(seeds, 'seed')}")
    for path in files:
        typer.echo(f"wrote {path}")


def default_metric(graph: Graph) -> str:
    return "accuracy" if isinstance(graph, NodeGraph) else "auroc"


def write_files(
    report: Report,
    html: Path | None,
    plot: Path | None,
    metric: str,
    latex: Path | None,
    csv: Path | None,
) -> list[Path]:
    """Write the files that are asked for, and return their paths."""
    if html is not None:
        report.to_html(html)
    if plot is not None:
        report.plot(metric, path=plot)
    if latex is not None:
        report.to_latex(latex)
    if csv is not None:
        with atomic_write(csv) as file:
            report.table.to_csv(file, index=False)
    return [path for path in (html, plot, latex, csv) if path is not None]


def _victims(graph: Graph, names: str | None, loss: Any) -> list[Any] | None:
    if loss is not None and isinstance(graph, NodeGraph):
        raise ValueError("loss is for graphs of interactions, found one of nodes.")
    if names is None and loss is None:
        return None
    listed = [name.strip() for name in (names or "cf").split(",")]
    if len(set(listed)) < len(listed):
        raise ValueError(f"victims={names!r} has one name twice.")
    if isinstance(graph, NodeGraph):
        return [node_victim(name) for name in listed]
    if loss in (None, CRITERIA[0]):
        return [recommender_victim(name) for name in listed]
    models = [(name, recommender(name, "victim")) for name in listed]
    return [RecommenderVictim(model, f"{name}-{loss}", loss=loss) for name, model in models]
