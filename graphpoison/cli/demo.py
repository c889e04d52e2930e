"""``graphpoison demo``."""

from pathlib import Path
from typing import Annotated

import typer

from .._checks import choice
from .._text import counted
from ..datasets import load
from ..evaluation import evaluate
from ..graphs import Graph, Interactions, read_graph
from ..registry import AttackSettings, build_attack, build_task, random_beside
from . import options as shared
from .completion import among
from .errors import usage
from .files import check_writable
from .measured import chosen_victims, metrics_of
from .options import INPUT, OUTPUT, in_panel
from .output import logs, show_json, show_table
from .recorded import RANDOM

SMALL: dict[str, dict[str, int]] = {
    "synthetic-interactions": {"num_users": 300, "num_items": 400, "num_interactions": 12_000},
    "synthetic-citation": {"num_nodes": 800, "num_words": 500},
}
SEEDS = 3
EPILOG = "Example: graphpoison demo --dataset synthetic-citation"


def command(
    dataset: Annotated[
        str, in_panel(INPUT, "NAME", f"{' or '.join(SMALL)}.", autocompletion=among(SMALL))
    ] = "synthetic-interactions",
    progress: shared.Progress = True,
    debug: shared.Debug = False,
    out: Annotated[Path, in_panel(OUTPUT, "FOLDER", "Folder for flips and page.")] = Path("demo"),
    as_json: shared.Json = False,
) -> None:
    """Attack a small built-in graph, and compare with random flips. No download."""

    with usage():
        choice("dataset", dataset, SMALL)
        page = out / f"{dataset}.html"
        check_writable(page)
    with logs(progress):
        graph = read_graph(load(dataset, None, None, **SMALL[dataset]))
        settings = _settings(graph)
        task = build_task(graph, settings)
        budget = task.state.num_edges // 20
        found = build_attack(graph, settings)(task, budget, progress=progress)
        attacks = {str(settings.attack): found, RANDOM: random_beside(graph, found, settings)}
        for name, attack in attacks.items():
            attack.save(out / f"{dataset}_{name}.npz")
        report = evaluate(
            graph,
            attacks,
            chosen_victims(graph, None, None),
            range(SEEDS),
            [budget // 4, budget // 2, budget],
            progress=progress,
            metrics=metrics_of(graph, None, attacks),
        )
        report.to_html(page)
    if as_json:
        show_json({"table": report.table, "page": page})
        return
    table = report.table[report.table["flips"] == budget]
    seeds = counted(report.runs["seed"].nunique(), "seed")
    show_table(table, f"{dataset}, {budget} flips on {shared.sizes(graph)}; {seeds}")
    typer.echo(f"The page is {page.resolve()}: open it in a browser.")


def _settings(graph: Graph) -> AttackSettings:
    """Return the default attack for interactions; for nodes, an attack with few meta-gradients."""

    if isinstance(graph, Interactions):
        return AttackSettings().resolved(interactions=True)
    return AttackSettings("meta", {"flips_per_step": max(1, graph.pairs.size(1) // 500)})
