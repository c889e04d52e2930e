"""Sections in markdown for tables and figures, and pages that are filled with these sections."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from .._io import atomic_write
from ..report.summary import NAMES
from .settings import Table
from .tables import markdown, markdown_table, ratios
from .thesis import TABLES

SIDES = ["source", "meta-attack", "baseline", "ratio"]


def section(table: Table, frame: pd.DataFrame, command: str) -> str:
    """The section on a table: command, our values beside the thesis's, differences and settings.

    Args:
        table: the table.
        frame: the result of :func:`graphpoison.reproduce.compare`.
        command: the command that made the table.
    """
    published = TABLES[table.number]
    names = row_names(table.number)
    parts = [
        f"### Table {table.number}: {published.caption}",
        f"```\n$ {command}\n```",
        f"Ours is {_mean_of(int(frame['seeds'].max()))}; the thesis's figure is in brackets.",
        markdown(frame, names),
        _agreement(frame),
    ]
    if published.columns[0][1] == "surrogate":
        parts.append(_ratios(frame, names))
    settings = dict.fromkeys(f"- `{experiment!r}`" for experiment in table.experiments)
    parts += ["Settings:", "\n".join(settings)]
    return "\n\n".join(parts) + "\n"


def _mean_of(seeds: int) -> str:
    return "of one seed" if seeds == 1 else f"the mean of {seeds} seeds ± half its 95% interval"


def sizes_section(frame: pd.DataFrame) -> str:
    """Table 4.19, see :func:`graphpoison.reproduce.sizes.sizes`."""
    cells = [
        [line[0], line[1], *("-" if pd.isna(figure) else f"{figure:,.0f}" for figure in line[2:])]
        for line in frame.to_numpy()
    ]
    title = "### Table 4.19: Summary of datasets"
    return f"{title}\n\n{markdown_table(list(frame.columns), cells)}\n"


def row_names(number: str) -> dict[int, str]:
    """Row -> its name, for a table of drops, e.g. ``"9: GMF to CF, layers_differ Yes"``."""
    published = TABLES[number]
    if not published.drops:
        return {}
    names = {}
    for place, line in enumerate(published.lines[list(published.notes)].to_dict("records"), 1):
        models = f"{place}: {line.pop('surrogate')} to {line.pop('target')}"
        names[place] = ", ".join([models, *(f"{note} {value}" for note, value in line.items())])
    return names


def _agreement(frame: pd.DataFrame) -> str:
    """How many of the thesis's values lie within our intervals; mean and extreme differences."""
    both = frame.dropna(subset=["ours", "thesis"])
    if both.empty:
        return "The thesis has no figure to compare with."
    within = (both["difference"].abs() <= both["ci95"]).sum()
    parts = [f"{within} of the thesis's {len(both)} figures lie within our intervals."]
    if both["ci95"].isna().all():
        parts = ["One run has no interval."]
    for metric, group in both.groupby("metric", sort=False):
        gap = group["difference"]
        parts.append(
            f"Ours minus the thesis's, {NAMES[str(metric)]}: {gap.mean():+.4f} on average, from "
            f"{gap.min():+.4f} to {gap.max():+.4f}."
        )
    return " ".join(parts)


def _ratios(frame: pd.DataFrame, names: Mapping[int, str]) -> str:
    """In words: the target's drop on unseen pairs, by the meta-attack and by random flips."""
    lines = ["Drop of the target on unseen pairs, meta-attack against baseline:", ""]
    for row, line in ratios(frame).groupby("row", sort=False):
        said = [
            f"{source} {meta:.4f} against {baseline:.4f}"
            + (f", {ratio:.2f} times" if min(meta, baseline) > 0 else "")
            for source, meta, baseline, ratio in line[SIDES].to_numpy()
        ]
        lines.append(f"- {names.get(int(str(row)), 'all flips')}: {'; '.join(said)}")
    return "\n".join(lines)


def fill(page: Path, sections: Mapping[str, str]) -> None:
    """Put each section between ``<!-- name -->`` and ``<!-- end name -->`` of a page.

    Raises:
        ValueError: the page lacks these two markers.
    """
    text = page.read_text(encoding="utf-8")
    for name, content in sections.items():
        before, start, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- end {name} -->")
        if not end:
            raise ValueError(
                f"{page} has no place for {name}: add <!-- {name} --> and <!-- end {name} -->."
            )
        text = before + start + content + end + after
    with atomic_write(page) as file:
        file.write(text.encode())
