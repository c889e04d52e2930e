"""The settings of a study, and its runs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

from torch import Tensor

from .._checks import flag, seed_number
from .._settings import describe, differences
from ..attacks import Attack, Injection
from ..attacks.base import settings_of
from ..budget import Budget, budget_of
from ..evaluation.checkpoint import WHOLE, refuse_same_names
from ..evaluation.paired_runs import distinct_seeds
from ..graphs import Graph, Interactions, NodeGraph
from ..metrics import parse_metric
from ..perturbation import fingerprint
from ..provenance import SERIES, graph_digest
from ..tasks import Task
from ..victims import AnyVictim, victims_of
from .runs import AttackRun, EvaluationRun, Run


@dataclass(frozen=True, eq=False)
class Study:
    """Every attack on every task, evaluated on every victim with every seed and budget.

    Each seed makes a separate attack and trains separate victims, so that intervals over seeds
    cover the variation of both.

    Args:
        tasks: a :class:`Task`, or several by name.
        attacks: an attack, or several by name. ``gp.random_like(attack)`` and
            :class:`graphpoison.HeuristicAttack` serve as baselines.
        budgets: numbers of flips, shares of the clean edges as floats, or :class:`Budget`; 0 is the
            clean graph. One attack with the largest budget serves all budgets: prefixes of its
            flips are evaluated. If a prefix is not an attack with the smaller budget
            (``SwapSearch``), each budget has a separate attack.
        victims: as in :func:`graphpoison.evaluate`.
        seeds: seeds of attacks and victims.
        attack_seed: the seed of all attacks: each attack is made once, and evaluated on the victims
            of all seeds. By default the seed of the victim. With ``attack_seed``, a deterministic
            victim is trained with the first of ``seeds`` only.
        metrics, targets, include_perturbed: as in :func:`graphpoison.evaluate`.

    Raises:
        TypeError, ValueError: a task, attack, budget, seed or metric is not valid, or an argument
            has no element.
    """

    tasks: Any
    attacks: Any
    budgets: Any
    victims: AnyVictim | Sequence[AnyVictim] | None = None
    seeds: Any = range(5)
    attack_seed: int | None = None
    metrics: Sequence[str] | str | None = None
    targets: Sequence[int] | Tensor | None = None
    include_perturbed: bool = False

    def __post_init__(self) -> None:
        named = {
            "tasks": _named("tasks", "task", self.tasks, Task),
            "attacks": _named("attacks", "attack", self.attacks, Attack | Injection),
            "seeds": distinct_seeds(self.seeds),
            "budgets": _budgets(self.budgets),
            "metrics": _metrics(self.metrics),
        }
        for name, value in named.items():
            object.__setattr__(self, name, value)
        for name, task in self.tasks.items():
            if not isinstance(getattr(task, "graph", None), NodeGraph | Interactions):
                raise TypeError(
                    f"task {name!r} has no attribute graph, which victims are trained on; set "
                    "self.graph = gp.read_graph(data)."
                )
        if self.attack_seed is not None:
            seed_number("attack_seed", self.attack_seed)
        flag("include_perturbed", self.include_perturbed)


def planned(studies: Iterable[Study]) -> list[Run]:
    """The runs of all studies, without duplicates: attacks first, then evaluations. Evaluations
    that share a clean victim follow one another.

    Raises:
        ValueError: two attacks, or two victims, with the same name on tasks with the same name have
            different settings.
    """
    studies = list(studies)
    largest: dict[tuple[str, str], int] = {}
    for study in studies:
        for (task_name, task), name in product(study.tasks.items(), study.attacks):
            counts = [_flips(budget, task) for budget in study.budgets]
            largest[task_name, name] = max([*counts, largest.get((task_name, name), 0)])
    attacks: dict[str, AttackRun] = {}
    evaluations: dict[str, EvaluationRun] = {}
    for study in studies:
        for task_name, task in study.tasks.items():
            most = {name: largest[task_name, name] for name in study.attacks}
            for run in _of_task(study, task_name, task, most):
                attacks.setdefault(run.made_by.key, run.made_by)
                evaluations.setdefault(run.key, run)
    ordered = sorted(
        evaluations.values(), key=lambda run: (run.task_name, run.victim.name, run.seed)
    )
    runs: list[Run] = [*attacks.values(), *ordered]
    refuse_other_settings({}, runs)
    return runs


def refuse_other_settings(known: Mapping[str, Any], runs: Iterable[Run]) -> None:
    """Raise a ValueError if two attacks or two victims with the same name have different settings.

    Args:
        known: description of an attack or victim -> its settings in earlier runs.
        runs: the runs to compare with ``known`` and with each other.
    """
    there = dict(known)
    for run in runs:
        different = differences(there.setdefault(run.part, run.shared), run.shared)
        if different:
            raise ValueError(
                f"{run.part} has other settings than earlier runs with this name, and the table "
                f"would mix both: {'; '.join(different)}. Use another name or another folder."
            )


def _of_task(
    study: Study, task_name: str, task: Any, most: Mapping[str, int]
) -> Iterator[EvaluationRun]:
    graph: Graph = task.graph
    if isinstance(graph, Interactions):
        graph = graph.with_negatives().with_unseen_apart()
    data = fingerprint(task.state, *task.inputs_digested())
    options: dict[str, Any] = {
        "metrics": study.metrics,
        "targets": study.targets,
        "include_perturbed": study.include_perturbed,
    }
    evaluated = {"graph": graph_digest(graph), **describe(options)}
    victims = victims_of(graph, study.victims)
    refuse_same_names(victims)

    @cache
    def made(name: str, flips: int, budget: str, seed: int) -> AttackRun:
        attack = study.attacks[name]
        settings = {"graphpoison": SERIES, "data": data, **settings_of(attack, task)}
        return AttackRun(
            {**settings, "attack_seed": seed, "attack_budget": flips},
            task_name,
            name,
            seed,
            budget,
            task,
            attack,
            flips,
            _whole(attack),
        )

    for victim, (name, attack), budget in product(victims, study.attacks.items(), study.budgets):
        flips, label = _flips(budget, task), _label(budget)
        # with the same attack, a deterministic victim has the same result for every seed
        same = study.attack_seed is not None and getattr(victim, "deterministic", False)
        for seed in study.seeds[:1] if same else study.seeds:
            drawn = seed if study.attack_seed is None else study.attack_seed
            whole = _whole(attack)
            made_by = made(name, flips if whole else most[name], label if whole else "", drawn)
            settings = {"victim": describe(victim), "seed": seed, "flips": flips, **evaluated}
            yield EvaluationRun(
                {**made_by.settings, **settings},
                task_name,
                name,
                seed,
                label,
                made_by,
                graph,
                victim,
                flips,
                options,
            )


def _whole(attack: Attack | Injection) -> bool:
    """Whether a prefix of the flips of ``attack`` is not an attack with a smaller budget."""
    return repr(attack).startswith(WHOLE)


def _flips(budget: Budget, task: Task[Any]) -> int:
    return budget.resolve(task.state, task.clean_edges.size(1))


def _label(budget: Budget) -> str:
    """The budget as text for the table, e.g. ``"40"`` or ``"5%"``."""
    if budget.share is None:
        return str(budget.flips)
    return f"{100 * budget.share:.10g}%" + (" of candidates" if budget.of == "candidates" else "")


def _named(argument: str, usual: str, value: Any, kind: Any) -> dict[str, Any]:
    """Name -> value; a single value of ``kind`` gets the name ``usual``."""
    named = dict(value) if isinstance(value, Mapping) else {usual: value}
    if not named:
        raise ValueError(f"{argument} must name one {usual} or more, found none.")
    for name, each in named.items():
        if not isinstance(each, kind) or not isinstance(name, str):
            raise TypeError(
                f"{argument} must be a {usual}, or {argument} by name as in {{'mine': ...}}, found "
                f"{name!r}: {each!r}."
            )
    return named


def _metrics(values: Any) -> tuple[str, ...] | None:
    """Names of metrics; None for the defaults of :func:`.evaluate`."""
    if values is None:
        return None
    names = (values,) if isinstance(values, str) or not isinstance(values, Iterable) else values
    found = tuple(names)
    for name in found:
        parse_metric(name)
    if not found:
        raise ValueError("metrics must name one metric or more, found none.")
    return found


def _budgets(values: Any) -> tuple[Budget, ...]:
    if isinstance(values, str | Budget) or not isinstance(values, Iterable):
        raise TypeError(f"budgets must be a list, such as [0, 40] or [0.05], found {values!r}.")
    found = list(map(budget_of, values))
    if not found or len(set(found)) < len(found):
        raise ValueError(f"budgets must be one or more, all different, found {values!r}.")
    return tuple(found)
