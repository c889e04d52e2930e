"""The HTML page of a report: self-contained, without requests to other files."""

import json
import os
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from ..perturbation import FEATURE, Perturbation
from . import matplotlib_figures
from .changes import Change, Side, change, sides
from .html import cell, svg, write_page
from .neighbourhood import neighbourhood
from .summary import (
    ALL,
    KEYS,
    excesses,
    heuristic_baselines,
    means,
    measured,
    named,
    of_all_users,
    random_baseline,
    spreads,
    transfer,
)
from .words import beyond_zero, fixed, headline, interval

if TYPE_CHECKING:
    from .results import Report

WIDTH = 4.8  # inches, so that texts of a drawing can be read on a phone
TEXTS = {
    "pairs": "Clean and poisoned means of each attack and victim",
    "curves": "Means against the number of flips",
    "transfer": "Drops of each victim under each attack",
}
"""Descriptions of charts for screen readers."""


def write_report(report: "Report", path: str | os.PathLike[str]) -> None:
    """Write ``report`` as a page, see :meth:`graphpoison.Report.to_html`."""
    runs = report.runs.dropna(subset=["clean", "poisoned"])
    found = measured(runs)
    baseline = random_baseline(report.perturbations)
    changes = {name: change(made, report.graph) for name, made in report.perturbations.items()}
    numbers = count()
    attacks = [_attack(name, made, next(numbers)) for name, made in changes.items()]
    figures = _comparisons(of_all_users(runs), found, baseline, numbers)
    rows = list(_rows(runs, baseline))
    for number, attack in enumerate(attacks):
        for place, side in enumerate(attack["sides"]):
            if side["side"].before is not None:
                name = f"degrees-{number}-{place}"
                draw = partial(matplotlib_figures.plot_degrees, [side["side"]])
                text = f"Degrees of {side['side'].kind}s before and after {attack['name']}"
                figures[name] = {"": svg(draw, text, next(numbers))}
    context = {
        "finding": headline(runs, *found[0], baseline, heuristic_baselines(report.perturbations)),
        "warnings": list(report.meta.get("warnings", ())),
        "facts": _facts(report, changes),
        "choices": {_key(*pair): _named(*pair) for pair in found},
        "rows": rows,
        "groups": any(row["users"] != ALL for row in rows),
        "baseline": baseline,
        "attacks": attacks,
        "figures": figures,
        "flips": _json(_flips(report.perturbations, changes)) if changes else None,
        "provenance": list(_provenance(report)),
    }
    write_page("page.html", context, path)


def _comparisons(
    runs: pd.DataFrame,
    found: list[tuple[str, str]],
    baseline: str | None,
    numbers: Iterator[int],
) -> dict[str, dict[str, Markup]]:
    """Charts of the runs for each metric and split; empty or trivial charts are left out."""
    several = sum(name != baseline for name in runs["attack"].unique()) > 1
    figures: dict[str, dict[str, Markup]] = {"pairs": {}, "curves": {}, "transfer": {}}
    for metric, split in found:
        chosen = runs[(runs["metric"] == metric) & (runs["split"] == split)]
        draws = {"pairs": partial(matplotlib_figures.plot_pairs, chosen, baseline)}
        if (chosen["flips"] > 0).any():
            draw = partial(matplotlib_figures.plot_curves, chosen, metric, [split], baseline)
            draws["curves"] = draw
        if several and chosen["victim"].nunique() > 1:
            grid = transfer(runs, metric, split, baseline)
            draws["transfer"] = partial(matplotlib_figures.draw_transfer, grid)
        for name, draw in draws.items():
            text = f"{TEXTS[name]}: {_named(metric, split)}"
            figures[name][_key(metric, split)] = svg(draw, text, next(numbers))
    return {name: group for name, group in figures.items() if group}


def _key(metric: str, split: str) -> str:
    return f"{metric}|{split}"


def _named(metric: str, split: str) -> str:
    return f"{named(metric)}, {split} data"


def _rows(runs: pd.DataFrame, baseline: str | None) -> Iterator[dict[str, Any]]:
    """The rows of the table of results, one mapping for each; numbers come with their intervals."""
    table = means(runs).merge(spreads(runs), on=KEYS)
    if baseline is not None:
        table = table.merge(excesses(runs, baseline), on=KEYS, how="left")
    for row in table.to_dict("records"):
        beyond = _difference(row.get("excess", np.nan), row.get("excess_ci95", np.nan))
        yield {
            **{str(key): row[key] for key in [*KEYS, "seeds"]},
            "key": _key(row["metric"], row["split"]),
            "figures": [
                ("clean", f"{row['clean']:.4f}", _around(row["clean_ci95"]), True),
                ("poisoned", f"{row['poisoned']:.4f}", _around(row["poisoned_ci95"]), True),
                ("drop", *_difference(row["drop"], row["ci95"])),
                *([] if baseline is None else [("beyond random", *beyond)]),
            ],
        }


def _around(half: float) -> str:
    return "" if np.isnan(half) else f"± {half:.4f}"


def _difference(mean: float, half: float) -> tuple[str, str, bool]:
    """The mean, the interval, and whether the interval excludes 0."""
    said = "" if np.isnan(half) else interval(mean, half)
    text = "" if np.isnan(mean) else fixed(mean)
    return text, said, beyond_zero(mean, half) != 0


def _facts(report: "Report", changes: Mapping[str, Change]) -> dict[str, str]:
    """The sizes of the attacked graph, and the numbers of flips, attacks, victims and seeds."""
    facts = {}
    found = next(iter(changes.values()), None)
    if found is not None and found.kept is not None:
        real = found.sizes[0] - found.num_fake
        facts[f"{found.kinds[0]}s"] = f"{real:,}"
        if found.bipartite:
            facts[f"{found.kinds[1]}s"] = f"{found.sizes[1]:,}"
        taken = found.removed[0] < real
        facts["edges"] = f"{found.kept.shape[1] + int(taken.sum()):,}"
    fake = max((change.num_fake for change in changes.values()), default=0)
    if fake:
        facts["fake users"] = f"{fake:,}"
    facts["flips"] = f"{report.runs['flips'].max():,}"
    facts["attacks"] = f"{report.runs['attack'].nunique()}"
    facts["victims"] = f"{report.runs['victim'].nunique()}"
    facts["seeds"] = f"{report.runs['seed'].nunique()}"
    return facts


def _attack(name: str, found: Change, number: int) -> dict[str, Any]:
    """The counts, sides and drawing of one attack's flips; no drawing if there are no flips."""
    part = neighbourhood(found)
    return {
        "name": name,
        "sides": [{"side": side, "top": side.top(), **_hits(side)} for side in sides(found)],
        "picture": svg(
            partial(matplotlib_figures.draw_neighbourhood, part, WIDTH),
            f"The neighbourhood of the nodes that {name} hit most",
            number,
        )
        if part.places
        else None,
        "added": found.added.shape[1],
        "removed": found.removed.shape[1],
        "set": found.features_set.shape[1],
        "cleared": found.features_cleared.shape[1],
        "drawn": len(part.added) + len(part.removed),
        "nodes": len(part.places),
    }


def _hits(side: Side) -> dict[str, Any]:
    hit = side.flips > 0
    return {
        "hit": int(hit.sum()),
        "number": len(hit),
        "fake": int(hit[side.num_real :].sum()),
    }


def _flips(
    perturbations: Mapping[str, Perturbation], changes: Mapping[str, Change]
) -> dict[str, Any]:
    """The columns of all flips. Users from the number ``real`` of their attack on are fake."""
    parts = [made.flips.assign(attack=name) for name, made in perturbations.items()]
    table = pd.concat(parts, ignore_index=True)
    kinds = {found.kinds for found in changes.values()}
    source, target = next(iter(kinds)) if len(kinds) == 1 else ("source", "target")
    labels = {"source": source, "target": target, "attack_loss": "attack loss"}
    features = bool((table["kind"] == FEATURE).any())
    if source == target:
        labels |= {"source": "node", "target": "other node" + " or feature" * features}
    for end, place in (("source", 0), ("target", 1)):
        longest = max((found.ids[place] or [] for found in changes.values()), key=len, default=[])
        if longest:
            here = list(table.columns).index(end) + 1
            table.insert(here, f"{end}_id", [longest[node] for node in table[end]])
            labels[f"{end}_id"] = f"{labels[end]} id"
    columns = ["attack", *(name for name in table.columns if name != "attack")]
    return {
        "columns": [{"key": name, "label": labels.get(name, name)} for name in columns],
        "values": {name: _values(table[name]) for name in columns},
        "sameKind": source == target,
        "features": features,
        "real": {name: found.sizes[0] - found.num_fake for name, found in changes.items()},
    }


def _values(column: pd.Series) -> list[Any]:
    """The values as a list; None for numbers that are not finite, which JSON does not have."""
    if column.dtype.kind == "f":
        return [value if np.isfinite(value) else None for value in column.tolist()]
    return list(column.tolist())


def _provenance(report: "Report") -> Iterator[tuple[int, str, str | None]]:
    """Depth, name and value of all recorded settings; a heading has no value.

    The ``meta`` of an attack is only listed if it is not in ``report.meta["attacks"]``.
    """
    yield from _flat({"evaluation": report.meta} if report.meta else {}, 0)
    known = report.meta.get("attacks", ())
    metas = {name: made.meta for name, made in report.perturbations.items() if name not in known}
    yield from _flat(metas, 0)


def _flat(values: Mapping[Any, Any], depth: int) -> Iterator[tuple[int, str, str | None]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield depth, str(name).replace("_", " "), None
            yield from _flat(value, depth + 1)
        elif isinstance(value, list | tuple) and any(isinstance(part, Mapping) for part in value):
            yield depth, str(name).replace("_", " "), None
            yield from _flat(dict(enumerate(value, 1)), depth + 1)
        else:
            yield depth, str(name).replace("_", " "), cell(value)


def _json(value: Any) -> Markup:
    """JSON, escaped for a ``<script>`` element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028"))
