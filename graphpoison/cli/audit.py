"""``graphpoison audit``."""

from pathlib import Path
from typing import Annotated

import typer

from .._io import atomic_write
from .._text import further
from ..graphs import Interactions, read_graph
from ..promotion_audit import audit_promotions
from . import options as shared
from .attack_options import reading_of
from .chosen_ids import number_or_share, numbered, share_in
from .errors import usage
from .files import check_apart, check_output, check_writable
from .output import bars, logs, show_json, show_table

EPILOG = "Example: graphpoison audit shop.csv --sample 8 --gain 1% --html audit.html"
AUDIT = "Audit"


def command(
    ctx: typer.Context,
    input: shared.Input,
    item: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            rich_help_panel=AUDIT,
            help="Id of an item to audit; may be given several times. Default: see --sample.",
        ),
    ] = None,
    sample: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            rich_help_panel=AUDIT,
            help="Number of items to audit, spread from the least to the most popular item.",
        ),
    ] = 8,
    gain: Annotated[
        str,
        typer.Option(
            metavar="SHARE",
            rich_help_panel=AUDIT,
            help="Further share of the users to reach, in percentage points above the share that "
            "gets the item without fake accounts (1% or 0.01).",
        ),
    ] = "1%",
    k: Annotated[
        int,
        typer.Option(
            "--list-length",
            "-k",
            metavar="N",
            min=1,
            rich_help_panel=AUDIT,
            help="Length of the recommended lists.",
        ),
    ] = 10,
    profile_length: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            rich_help_panel=AUDIT,
            help="Number of interactions of each fake account. Default: the mean over the users.",
        ),
    ] = None,
    most: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            rich_help_panel=AUDIT,
            help="Largest number of fake accounts to try, or share of the users. Default: 5% of "
            "the users, but at least 10.",
        ),
    ] = None,
    victim: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            rich_help_panel=AUDIT,
            help="Recommender to retrain: a victim of 'graphpoison evaluate', or an import path.",
        ),
    ] = "ease",
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
    seed: Annotated[
        int,
        typer.Option(metavar="N", min=0, rich_help_panel=shared.RUN, help="Seed of the attacks."),
    ] = 0,
    device: shared.Device = "cpu",
    progress: shared.Progress = None,
    overwrite: shared.Overwrite = False,
    debug: shared.Debug = False,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", rich_help_panel=shared.OUTPUT, help="Write an HTML page."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=shared.OUTPUT,
            help="Write the chart: .png, .svg or .pdf.",
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE", rich_help_panel=shared.OUTPUT, help="Write the table as CSV."),
    ] = None,
    as_json: shared.Json = False,
) -> None:
    """Which items can fake accounts promote, and would a filter detect the accounts?

    For each item, the command searches for the smallest number of fake accounts with which the
    retrained recommender shows the item to a further share of the users. It takes seconds to
    minutes for each item.
    """
    with logs():
        with usage():
            reading = shared.split_of_tables(input, reading_of(ctx.params))
            graph = read_graph(shared.open_input(input, reading, root, device))
            if not isinstance(graph, Interactions):
                raise ValueError("audit is for interactions, found a graph of nodes.")
            items = numbered("item", item, graph.item_ids, graph.num_items) if item else None
            largest = None if most is None else number_or_share("most", most, graph.num_users)
            increase = share_in("gain", gain)
            kinds = ([".html", ".htm"], [".png", ".svg", ".pdf"], [".csv"])
            check_apart([input], html, plot, csv)
            for path, suffixes in zip((html, plot, csv), kinds, strict=True):
                check_output(path, suffixes, overwrite)
            check_writable(html, plot, csv)
        found = audit_promotions(
            graph,
            items,
            sample=sample,
            gain=increase,
            k=k,
            profile_length=profile_length,
            most=largest,
            victim=victim,
            seed=seed,
            progress=bars(progress),
        )
    if html is not None:
        found.to_html(html)
    if plot is not None:
        found.plot(plot)
    if csv is not None:
        with atomic_write(csv) as file:
            found.table.to_csv(file, index=False)
    files = [path for path in (html, plot, csv) if path is not None]
    if as_json:
        show_json({"table": found.table, "settings": found.settings, "files": files})
        return
    title = (
        f"{input}: fake accounts that bring an item {further(k, increase)} of {victim}, "
        f"at most {found.settings['most']:,}"
    )
    show_table(found.table, title, keep=found.table.columns)
    for path in files:
        typer.echo(f"wrote {path}")
