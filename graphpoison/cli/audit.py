"""``graphpoison audit``."""

from typing import Annotated

import typer

from .._text import further
from ..graphs import Interactions, read_graph
from ..promotion_audit import audit_promotions
from . import options as shared
from .attack_options import reading_of
from .chosen_ids import number_or_share, numbered, share_in
from .errors import usage
from .files import check_outputs, write_table
from .options import RUN, count, in_panel, list_length
from .output import logs, show_json, show_table

EPILOG = "Example: graphpoison audit shop.csv --sample 8 --gain 1% --html audit.html"
AUDIT = "Audit"


def command(
    ctx: typer.Context,
    input: shared.Input,
    item: Annotated[
        list[str] | None,
        in_panel(
            AUDIT,
            "ID",
            "Id of an item to audit; may be given several times. Default: see --sample.",
        ),
    ] = None,
    sample: Annotated[
        int,
        count(AUDIT, "Number of items to audit, spread from the least to the most popular item."),
    ] = 8,
    gain: Annotated[
        str,
        in_panel(
            AUDIT,
            "SHARE",
            "Further share of the users to reach, in percentage points above the share that "
            "gets the item without fake accounts (1% or 0.01).",
        ),
    ] = "1%",
    k: Annotated[int, list_length(AUDIT, "Length of the recommended lists.")] = 10,
    profile_length: Annotated[
        int | None,
        count(
            AUDIT, "Number of interactions of each fake account. Default: the mean over the users."
        ),
    ] = None,
    most: Annotated[
        str | None,
        in_panel(
            AUDIT,
            "SIZE",
            "Largest number of fake accounts to try, or share of the users. Default: 5% of "
            "the users, but at least 10.",
        ),
    ] = None,
    victim: Annotated[
        str,
        in_panel(
            AUDIT,
            "NAME",
            "Recommender to retrain: a victim of 'graphpoison evaluate', or an import path.",
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
    seed: Annotated[int, in_panel(RUN, "N", "Seed of the attacks.", min=0)] = 0,
    device: shared.Device = "cpu",
    progress: shared.Progress = True,
    overwrite: shared.Overwrite = False,
    debug: shared.Debug = False,
    html: shared.Html = None,
    plot: shared.Plot = None,
    csv: shared.Csv = None,
    as_json: shared.Json = False,
) -> None:
    """Which items can fake accounts promote, and would a filter detect the accounts?

    For each item, the command searches for the smallest number of fake accounts with which the
    retrained recommender shows the item to a further share of the users. It takes seconds to
    minutes for each item.
    """
    with logs(progress):
        with usage():
            reading = shared.split_of_tables(input, reading_of(ctx.params))
            graph = read_graph(shared.open_input(input, reading, root, device))
            if not isinstance(graph, Interactions):
                raise ValueError("audit is for interactions, found a graph of nodes.")
            items = numbered("item", item, graph.item_ids, graph.num_items) if item else None
            largest = None if most is None else number_or_share("most", most, graph.num_users)
            increase = share_in("gain", gain)
            outputs = {"html": html, "plot": plot, "csv": csv}
            files = check_outputs([input], outputs, overwrite)
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
            progress=progress,
        )
    if html is not None:
        found.to_html(html)
    if plot is not None:
        found.plot(plot)
    write_table(found.table, csv)
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
