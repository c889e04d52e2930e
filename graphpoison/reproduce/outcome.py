"""Measures a table or figure by its name and writes the files; called by the command line."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from .._checks import choice, positive_int
from .._io import atomic_write
from .citation_tables import CITATION_TABLES, citation_section, levels
from .figures import Panel, draw_curves, draw_users
from .pages import section, sizes_section
from .runner import run
from .settings import CF_DESCENT, FIRST_SEED, MOVIELENS, TABLES, Table
from .sizes import sizes
from .tables import compare

FULL_SEEDS, QUICK_SEEDS = 3, 2


@dataclass(frozen=True)
class Picture:
    """A figure of curves: the tables that it is drawn from, and its panels."""

    tables: tuple[str, ...]
    panels: tuple[Panel, ...]


def _by_attack(table: str) -> Picture:
    attacks = ("baseline", "meta-attack")
    return Picture((table,), tuple({"metric": "accuracy", "attack": name} for name in attacks))


def _unseen(*tables: str) -> Picture:
    metrics = ("accuracy", "auroc")
    return Picture(tables, tuple({"metric": name, "split": "unseen"} for name in metrics))


PICTURES = {
    "figure-4.1": _by_attack("4.2"),
    "figure-4.2": _by_attack("4.3"),
    "figure-4.3": _by_attack("4.4"),
    "figure-4.4": _by_attack("4.5"),
    "figure-4.5": Picture(("4.6",), ({"metric": "accuracy"},)),
    "figure-4.6": _unseen("4.7", "4.8"),
    "figure-4.7": _unseen("4.9", "4.10"),
    "figure-4.8": _unseen("4.11", "4.12"),
}
USERS = "figure-4.9"
SIZES = "4.19"


@dataclass(frozen=True)
class Outcome:
    """The result of :func:`reproduce`.

    Args:
        files: the files written.
        section: the section of a page, in markdown.
        frame: the values of the table; None for a picture.
    """

    files: tuple[Path, ...]
    section: str
    frame: pd.DataFrame | None = None


def thesis_names() -> list[str]:
    """The tables and figures of the thesis."""
    return [*TABLES, SIZES, *PICTURES, USERS]


def names() -> list[str]:
    """The names that :func:`reproduce` accepts: :func:`thesis_names` and the tables of citation
    graphs."""
    return [*thesis_names(), *CITATION_TABLES]


def reproduce(
    name: str,
    out: Path,
    seeds: int | None = None,
    quick: bool = False,
    root: str | Path | None = None,
    progress: bool = False,
) -> Outcome:
    """Measure a table or a figure of the thesis, or attacks on a citation graph.

    Runs that ``out`` already holds are not repeated.

    Args:
        name: one of :func:`names`, e.g. ``"4.7"`` or ``"figure-4.6"``.
        out: folder for perturbations, runs, ``table-*.csv``, ``table-*.md`` and ``figure-*.png``.
        seeds: number of seeds; by default 3, or 2 with ``quick``. For the tables of citation
            graphs, number of attacks of each kind; by default 1.
        quick: use at most five gradients for each attack, with the same numbers of perturbations;
            for Table 4.1, use one gradient for every ten flips. Files are written to the folder
            ``quick`` in ``out``.
        root: folder of data sets, see :func:`graphpoison.datasets.load`.
        progress: show progress bars.

    Raises:
        ValueError: ``name`` is not a known table or figure, or ``seeds`` is less than 1.
        FileNotFoundError: the files of the data set were not found.
    """
    choice("name", name, names())
    default = 1 if name in CITATION_TABLES else QUICK_SEEDS if quick else FULL_SEEDS
    count = positive_int("seeds", default if seeds is None else seeds)
    if name == USERS:
        path = out / f"{name}.png"
        draw_users(MOVIELENS, CF_DESCENT, path, root)
        return _pictured(path)
    if name == SIZES:
        frame = sizes(root)
        return _tabled(out, name, frame, sizes_section(frame))
    if quick:
        out = out / "quick"
    if name in PICTURES:
        tables = [TABLES[number] for number in PICTURES[name].tables]
        first = [replace(table, experiments=table.experiments[:1]) for table in tables]
        found = [_measured(table, out, count, quick, root, progress) for table in first]
        path = out / f"{name}.png"
        draw_curves(_curves(found), PICTURES[name].panels, path)
        return _pictured(path)
    command = f"graphpoison reproduce {name} --seeds {count}{' --quick' * quick}"
    if name in CITATION_TABLES:
        citation = CITATION_TABLES[name]
        experiment = citation.experiment.quick() if quick else citation.experiment
        frame = levels(run(experiment, out, range(count), root, progress))
        return _tabled(out, name, frame, citation_section(citation, frame, name, command))
    table, runs = _measured(TABLES[name], out, count, quick, root, progress)
    frame = compare(table, runs)
    return _tabled(out, name, frame, section(table, frame, command))


Measured = tuple[Table, list[pd.DataFrame]]


def _measured(
    table: Table, out: Path, seeds: int, quick: bool, root: str | Path | None, progress: bool
) -> Measured:
    if quick:
        table = replace(table, experiments=tuple(each.quick() for each in table.experiments))
    chosen = range(FIRST_SEED, FIRST_SEED + seeds)
    return table, [run(each, out, chosen, root, progress) for each in table.experiments]


def _curves(found: Sequence[Measured]) -> pd.DataFrame:
    """Values of several tables, without perturbed pairs and, if measured, also with them."""
    parts = []
    for table, runs in found:
        parts.append(compare(table, runs).assign(pairs="without perturbed pairs"))
        if all(rows["perturbed"].any() for rows in runs):
            kept = compare(table, runs, perturbed=True).drop(columns="thesis")
            parts.append(kept.assign(pairs="with perturbed pairs"))
    return pd.concat(parts, ignore_index=True)


def _pictured(path: Path) -> Outcome:
    return Outcome((path,), f"![{path.stem}]({path.name})\n")


def _tabled(out: Path, name: str, frame: pd.DataFrame, text: str) -> Outcome:
    csv, page = out / f"table-{name}.csv", out / f"table-{name}.md"
    with atomic_write(csv) as file:
        frame.to_csv(file, index=False)
    with atomic_write(page) as file:
        file.write(text.encode())
    return Outcome((csv, page), text, frame)
