"""The records, in files of flips, of the attacks that made them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch_geometric.data import Data, HeteroData

from .._settings import known_fields
from ..apply import poisoned, refuse_another_graph
from ..budget import part_of
from ..datasets.source import Reading
from ..evaluation.checkpoint import prefixes_of
from ..graphs import Graph, read_graph
from ..parsing import parse_budget
from ..perturbation import Perturbation
from ..registry import AttackSettings, random_beside
from .attack import COMMAND, DEFAULT_OUT

RANDOM = "random"


def load_flips(paths: Sequence[Path]) -> dict[str, Perturbation]:
    """The flips by the names of their files; in a file of the default name, by their attack's."""
    found = []
    for path in paths:
        if paths.count(path) > 1:
            raise ValueError(f"{path} is named {paths.count(path)} times: once is enough.")
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {str(path)!r}.")
        try:
            found.append(Perturbation.load(path))
        except Exception as error:
            raise ValueError(f"{path} holds no flips: {error}") from error
    names = [
        str(_record(attack, "settings").get("attack", path.stem))
        if path.name == DEFAULT_OUT
        else path.stem
        for path, attack in zip(paths, found, strict=True)
    ]
    unique = len(set(names)) == len(names) and RANDOM not in names
    return dict(zip(names if unique else map(str, paths), found, strict=True))


def _record(attack: Perturbation, part: str) -> Mapping[str, Any]:
    """The record of ``graphpoison attack``; empty if the flips were made otherwise."""
    found: Mapping[str, Any] = attack.meta.get(COMMAND, {}).get(part, {})
    return found


def reading_of(given: Reading, attacks: Mapping[str, Perturbation]) -> Reading:
    """``given``, with the values that it leaves open as the attacks have them."""
    records = [_record(attack, "reading") for attack in attacks.values()]
    recorded = [Reading(**known_fields(Reading, record)) for record in records]
    wanted = {name: value for name, value in asdict(given).items() if value is not None}
    readings = {replace(reading, **wanted) for reading in recorded}
    if len(readings) > 1:
        raise ValueError("these attacks read their input in different ways: evaluate them singly.")
    return readings.pop()


def budgets_of(text: str | None, attacks: Mapping[str, Perturbation]) -> list[int] | None:
    """Numbers of flips that every attack has made, unless it ended early, and one has made."""
    if text is None:
        return None
    edges = next(iter(attacks.values())).meta.get("num_edges", 0)
    counts = []
    for part in text.split(","):
        if part.strip() == "0":
            counts.append(0)
            continue
        budget = parse_budget(part)
        count = budget.flips or part_of(budget.share or 0.0, edges)
        if not count:
            raise ValueError(f"budgets={part.strip()!r} of {edges:,} edges is no flip at all.")
        counts.append(count)
    last = max(len(end) for ends in prefixes_of(attacks, counts).values() for end in ends)
    return sorted({min(count, last) for count in counts})


def read_fitting(data: Data | HeteroData, attacks: Mapping[str, Perturbation]) -> Graph:
    """The graph of ``data``, with the interactions that the first of ``attacks`` was made on."""
    name, attack = next(iter(attacks.items()))
    edge_type = attack.meta.get("edge_type") if isinstance(data, HeteroData) else None
    try:
        graph: Graph = read_graph(data, edge_type)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} does not fit this input: {error}") from error
    return graph


def check_fit(graph: Graph, attacks: Mapping[str, Perturbation]) -> None:
    """Raise a ValueError that names the first of ``attacks`` made on another graph."""
    for name, attack in attacks.items():
        try:
            refuse_another_graph({name: attack}, graph)
            poisoned(attack, graph)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} does not fit this input: {error}") from error


def random_of(graph: Graph, attacks: Mapping[str, Perturbation]) -> Perturbation:
    """Random flips beside the longest of ``attacks``."""
    longest = max(attacks.values(), key=len)
    settings = AttackSettings.of(_record(longest, "settings"))
    edge_type = longest.meta.get("edge_type")
    return random_beside(graph, longest, replace(settings, edge_type=edge_type))
