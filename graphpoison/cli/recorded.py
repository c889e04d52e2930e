"""Files of flips, and the settings of the attack that they record."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import Data, HeteroData

from .._settings import known_fields
from ..apply import poisoned, refuse_another_graph
from ..attacks.heuristics import heuristics
from ..attacks.templates import promotion_templates
from ..budget import part_of
from ..datasets.source import GRAPH, Reading
from ..datasets.text_tables import suffix
from ..evaluation.checkpoint import prefixes_of
from ..graphs import Graph, Interactions, read_graph
from ..graphs.adjacency_formats import is_adjacency
from ..parsing import parse_budget
from ..perturbation import Perturbation
from ..registry import AttackSettings, build_task, random_beside
from ..tasks import Recommendation
from .attack import COMMAND, DEFAULT_OUT
from .measured import OFF_LIMITS, promoted
from .plan import PROMOTION

RANDOM = "random"


def load_flips(paths: Sequence[Path]) -> dict[str, Perturbation | Path]:
    """Return the flips of files, by name.

    The name is the file's name without its suffix; for a file of the default name, the name of the
    attack. A poisoned adjacency stays a path, until :func:`between` compares it with the input.

    Raises:
        ValueError: a path is given twice, or a file holds no flips.
        FileNotFoundError: a file does not exist.
    """
    found: list[Perturbation | Path] = []
    for path in paths:
        if paths.count(path) > 1:
            raise ValueError(f"{path} is given {paths.count(path)} times: give it once.")
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {str(path)!r}.")
        try:
            found.append(path if is_adjacency(path) else Perturbation.load(path))
        except Exception as error:
            raise ValueError(f"{path} holds no flips: {error}") from error
    names = [
        _name(attack, path.stem)
        if path.name == DEFAULT_OUT and isinstance(attack, Perturbation)
        else path.stem
        for path, attack in zip(paths, found, strict=True)
    ]
    unique = len(set(names)) == len(names) and RANDOM not in names
    return dict(zip(names if unique else map(str, paths), found, strict=True))


def between(
    data: Data | HeteroData, attacks: Mapping[str, Perturbation | Path]
) -> dict[str, Perturbation]:
    """Return ``attacks``, with each poisoned adjacency replaced by its differences from ``data``.

    Raises:
        ValueError: an adjacency does not fit ``data``.
    """
    found = {}
    for name, attack in attacks.items():
        if isinstance(attack, Path):
            try:
                attack = Perturbation.between(data, attack)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{name} does not fit this input: {error}") from error
        found[name] = attack
    return found


def with_record(attacks: Mapping[str, Perturbation | Path]) -> dict[str, Perturbation]:
    """Return ``attacks`` without poisoned adjacencies, which have no record."""
    return {name: attack for name, attack in attacks.items() if isinstance(attack, Perturbation)}


def _name(attack: Perturbation, usual: str) -> str:
    """Return the name of the attack that made the flips, or ``usual`` if it is not recorded."""
    if attack.meta.get("targets"):
        return PROMOTION
    return str(_record(attack, "settings").get("attack", usual))


def _record(attack: Perturbation, part: str) -> Mapping[str, Any]:
    """Return a part of the record of ``graphpoison attack``; empty if the flips have no record."""
    found: Mapping[str, Any] = attack.meta.get(COMMAND, {}).get(part, {})
    return found


def reading_of(source: str, given: Reading, attacks: Mapping[str, Perturbation]) -> Reading:
    """Return how to read ``source``: as ``given``, with missing values from the attacks' records.

    For a saved graph, which already has its split, this is ``given``.

    Raises:
        ValueError: the attacks read their input in different ways.
    """
    if suffix(Path(source)) == GRAPH:
        return given
    records = [_record(attack, "reading") for attack in attacks.values()]
    there = [Reading(**known_fields(Reading, record)) for record in records]
    wanted = {name: value for name, value in asdict(given).items() if value is not None}
    readings = {replace(reading, **wanted) for reading in there} or {given}
    if len(readings) > 1:
        raise ValueError(
            "these attacks read their input in different ways: evaluate them one by one."
        )
    return readings.pop()


def budgets_of(text: str | None, attacks: Mapping[str, Perturbation]) -> list[int] | None:
    """Return the numbers of flips that ``text`` lists, sorted; None for all flips.

    Shares are of the clean edges. If all attacks ended before a number, the largest number of flips
    that was made replaces it.

    Raises:
        ValueError: a number is less than one flip, or exceeds the budget of an attack.
    """
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
            raise ValueError(f"budgets={part.strip()!r} of {edges:,} edges is less than one flip.")
        counts.append(count)
    last = max(len(end) for ends in prefixes_of(attacks, counts).values() for end in ends)
    return sorted({min(count, last) for count in counts})


def read_fitting(data: Data | HeteroData, attacks: Mapping[str, Perturbation]) -> Graph:
    """Return the graph of ``data``, with the edge type that the first of ``attacks`` records.

    Raises:
        ValueError: the data lack this edge type.
    """
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
    """Return random flips, as many as the longest of ``attacks`` has: :func:`.random_beside`."""
    longest = _longest(attacks)
    settings = AttackSettings.of(_record(longest, "settings"))
    if settings.imports:  # a file of flips must not import modules
        settings = AttackSettings()
    edge_type = longest.meta.get("edge_type")
    return random_beside(graph, longest, replace(settings, edge_type=edge_type))


def check_heuristics(graph: Graph, attacks: Mapping[str, Perturbation]) -> None:
    """Raise a ValueError if no heuristics can be compared with ``attacks``."""
    if not isinstance(graph, Interactions):
        raise ValueError("heuristics are for graphs of interactions, found one of nodes.")
    longest = _longest(attacks)
    if longest.fake_users is not None and not longest.meta.get("targets"):
        raise ValueError(
            "heuristics with fake users promote items, but these flips promote none: leave the "
            "option out, and compare with --random."
        )


def heuristics_of(graph: Graph, attacks: Mapping[str, Perturbation]) -> dict[str, Perturbation]:
    """Return flips by simple rules, as many as the longest of ``attacks`` has, within its limits.

    If the longest attack promotes items, the result has the same number of fake users instead,
    with profiles by templates and of the same length.
    """
    assert isinstance(graph, Interactions)
    longest = _longest(attacks)
    if longest.fake_users is not None:
        count = longest.fake_users.count
        length = (len(longest) + longest.fake_users.edges.size(1)) // count
        made = promotion_templates(graph, longest.meta["targets"], count, length)
        return {f"{kind} profiles": attack for kind, attack in made.items()}
    settings = AttackSettings.of(_record(longest, "settings"))
    task = build_task(graph, settings)
    assert isinstance(task, Recommendation)
    barred = settings.off_limits
    return heuristics(
        task,
        len(longest),
        max_profile_share=settings.share_of_profiles,
        off_limits=None if barred is None else torch.tensor(barred, dtype=torch.long),
        allow_additions=bool(longest.added.size(1)),
        allow_removals=bool(longest.removed.size(1)),
    )


def groups_of(attacks: Mapping[str, Perturbation]) -> dict[str, list[int]]:
    """Return the users that are off limits to every attack, as a group; empty if there are none."""
    barred = [
        set(_record(attack, "settings").get("off_limits") or ()) for attack in attacks.values()
    ]
    shared = sorted(set.intersection(*barred))
    return {OFF_LIMITS: shared} if shared else {}


def promoting(graph: Graph, attacks: Mapping[str, Perturbation]) -> str:
    """Return the end of a title: the ids of the promoted items, if any."""
    items = promoted(attacks)
    if not items or not isinstance(graph, Interactions):
        return ""
    return f"; promoted: {', '.join(graph.item_names(items))}"


def _longest(attacks: Mapping[str, Perturbation]) -> Perturbation:
    return max(attacks.values(), key=len)
