"""Studies from a YAML file; its options have the names of options of ``graphpoison attack``."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from .._checks import nearest
from ..attacks import Attack, Injection, random_like
from ..attacks.heuristics import HeuristicAttack
from ..attacks.rules import RULES
from ..budget import Budget
from ..graphs import Graph, read_graph
from ..parsing import parse_budget
from ..registry import build_attack, build_task
from ..sweeps import Study
from ..tasks import Task
from . import options
from .attack_options import reading_of, settings_of
from .chosen_ids import for_graph
from .config import NO, YES, defaults_of, read_yaml
from .errors import WrongUsage, message
from .measured import chosen_victims, listed, metrics_of
from .plan import BUDGET
from .recorded import RANDOM

KEYS = (
    *("tasks", "attacks", "victims", "seeds", "budgets"),
    *("attack-seed", "metrics", "include-perturbed", "random"),
)
OF_THE_STUDY = (
    *("input", "budget", "seed", "device", "root", "progress", "max_memory", "dry_run", "resume"),
    *("overwrite", "config", "debug", "out", "export", "as_json", "save_to"),
)
"""Parameters of ``graphpoison attack`` that an attack of a study cannot set."""
_READING = (
    *("user_column", "item_column", "header", "rating_column", "min_rating", "test_fraction"),
    *("data_seed", "split", "time_column", "edge_type"),
)
SEEDS = "5"


@dataclass(frozen=True)
class _Place:
    """A place in the YAML file, and the settings for reading it.

    Args:
        path: the file, and the place in it, for errors.
        command: ``graphpoison attack``, which has the options.
        root: folder of data sets.
        device: where to compute.
    """

    path: str
    command: Any
    root: Path | None
    device: str

    def at(self, name: str) -> "_Place":
        return replace(self, path=f"{self.path}: {name}")

    @property
    def key(self) -> str:
        return self.path.rpartition(": ")[2]

    def wrong(self, text: str) -> WrongUsage:
        return WrongUsage(f"{self.path}: {text}")


def read_studies(path: Path, command: Any, root: Path | None, device: str) -> list[Study]:
    """Return the studies of a file.

    The file holds one product of tasks and attacks, or a list of products.

    Args:
        path: the file.
        command: ``graphpoison attack``, which has the options.
        root: folder of data sets.
        device: where to compute.

    Raises:
        WrongUsage: a key or an option is unknown, or a value is not valid.
        TypeError, ValueError, OSError: as the data, tasks, attacks and studies raise.
    """
    found, place = read_yaml(path), _Place(str(path), command, root, device)
    products = found if isinstance(found, list) else [found]
    if not products:
        raise place.wrong("a study must have tasks and attacks, found nothing.")
    return [
        study
        for number, product in enumerate(products)
        for study in _product(place.at(f"study {number + 1}") if products[1:] else place, product)
    ]


def _product(place: _Place, found: Any) -> list[Study]:
    """Return the studies of one product of tasks and attacks.

    Each task and attack is a study, because attacks on one task may need different surrogates.
    """
    if not isinstance(found, Mapping):
        raise place.wrong("a study must be lines of 'key: value', with tasks and attacks.")
    given = {str(key).replace("_", "-"): value for key, value in found.items()}
    for key in given:
        if key not in KEYS:
            raise place.wrong(f"unknown key {key!r}.{nearest(key, KEYS)}")
    shared: dict[str, Any] = {
        "budgets": [_budget(text) for text in _texts(place.at("budgets"), given, BUDGET)],
        "seeds": _seeds(place.at("seeds"), given.get("seeds", SEEDS)),
        "attack_seed": _number(place.at("attack-seed"), given.get("attack-seed")),
        "include_perturbed": _flag(place.at("include-perturbed"), given),
    }
    tasks, attacks = (_named(place.at(key), given.get(key)) for key in ("tasks", "attacks"))
    victims, metrics = (_texts(place.at(key), given) for key in ("victims", "metrics"))
    studies = []
    for task_name, task_options in tasks.items():
        task_options = {"input": task_options} if isinstance(task_options, str) else task_options
        graph = _graph(place.at(f"tasks: {task_name}"), task_options)
        cases = {
            name: _case(place.at(f"attacks: {name}"), graph, task_options, name, attack_options)
            for name, attack_options in attacks.items()
        }
        if _flag(place.at("random"), given) and cases:
            task, first = next(iter(cases.values()))
            cases.setdefault(RANDOM, (task, random_like(first)))
        measured: dict[str, Any] = {
            "victims": chosen_victims(graph, victims, None),
            "metrics": metrics_of(graph, metrics, {}),
        }
        studies += [
            Study({task_name: task}, {name: attack}, **measured, **shared)
            for name, (task, attack) in cases.items()
        ]
    return studies


def _graph(place: _Place, task: Any) -> Graph:
    """Return the graph of a task."""
    given = _parsed(place, task)
    reading = options.split_of_tables(given["input"], reading_of(given))
    data = options.open_input(given["input"], reading, place.root, place.device)
    graph: Graph = read_graph(data, settings_of(given).edge_type)
    return graph


def _case(
    place: _Place, graph: Graph, task: Any, name: str, attack: Any
) -> tuple[Task[Any], Attack | Injection]:
    """Return a task and an attack on it. Options of the attack override options of the task."""
    attack = {"attack": name} if attack is None else attack
    attack = {"attack": attack} if isinstance(attack, str) else attack
    if not isinstance(attack, Mapping):
        raise place.wrong(f"an attack must be a name or lines of 'option: value', found {attack}.")
    rule = attack.get("attack") if attack.get("attack") in RULES else None
    given = _parsed(place, {**task, **attack, **({} if rule is None else {"attack": "ranking"})})
    before = _parsed(place, task)
    for option in ("input", *_READING):
        if given[option] != before[option]:
            raise place.wrong(f"{option!r} is for tasks: all attacks of a task share the input.")
    settings = for_graph(
        settings_of(given),
        graph,
        *(given[option] for option in ("promote", "fake_users", "profile_length", "off_limits")),
    )
    if rule is None:
        return build_task(graph, settings), build_attack(graph, settings)
    barred = None if settings.off_limits is None else torch.tensor(settings.off_limits)
    limited = HeuristicAttack(rule, settings.share_of_profiles, barred)
    return build_task(graph, settings), limited


def _parsed(place: _Place, found: Any) -> dict[str, Any]:
    """Return the parameter values of ``graphpoison attack`` for the options ``found``."""
    if not isinstance(found, Mapping) or not isinstance(found.get("input"), str):
        raise place.wrong("a task must be an input, or lines of 'option: value' with an input.")
    defaults = defaults_of(place.command, found, place.path)
    for name in OF_THE_STUDY[1:]:
        if name in defaults:
            raise place.wrong(
                f"{name.replace('_', '-')!r} is not an option of a task or an attack."
            )
    source = defaults.pop("input")
    try:
        context = place.command.make_context("attack", [source], default_map=defaults)
    except Exception as error:  # click's own
        raise place.wrong(message(error)) from error
    return {**context.params, "input": source}


def _named(place: _Place, found: Any) -> dict[str, Any]:
    """Return options by name, from lines of 'name: options', a list of names, or one name."""
    listed_names = [found] if isinstance(found, str) else found
    if isinstance(listed_names, list) and all(isinstance(name, str) for name in listed_names):
        if len(set(listed_names)) < len(listed_names):
            raise place.wrong("a name is given twice.")
        return {name: name for name in listed_names}
    if not isinstance(found, Mapping) or not found:
        raise place.wrong("give names, or lines of 'name: options'.")
    return {str(name): value for name, value in found.items()}


def _texts(place: _Place, given: Mapping[str, Any], usual: str | None = None) -> list[str]:
    """Return the texts of a key, whose value is a list, or one text with commas."""
    found = given.get(place.key)
    if found is None:
        return [] if usual is None else [usual]
    values = found if isinstance(found, list) else [found]
    if not all(isinstance(value, str) for value in values):
        raise place.wrong("give one value or a list of values.")
    return listed(values)


def _budget(text: str) -> Budget:
    return Budget(0) if text == "0" else parse_budget(text)


def _seeds(place: _Place, found: Any) -> list[int]:
    """Return the seeds of a list; for a number n, the seeds 0 to n - 1."""
    if not isinstance(found, list):
        return list(range(_number(place, found) or 0))
    return [_number(place, text) or 0 for text in found]


def _number(place: _Place, text: Any) -> int | None:
    if text is not None and not (isinstance(text, str) and text.isascii() and text.isdigit()):
        raise place.wrong(f"give an integer of at least 0, found {text!r}.")
    return None if text is None else int(text)


def _flag(place: _Place, given: Mapping[str, Any]) -> bool:
    text = given.get(place.key, NO[0])
    if not isinstance(text, str) or text.lower() not in YES + NO:
        raise place.wrong(f"give true or false, found {text!r}.")
    return text.lower() in YES
