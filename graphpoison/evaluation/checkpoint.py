"""Finished units of an evaluation, their settings, and a file from which to resume."""

import json
import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from .._settings import describe, differences, digest
from .._store import Store
from ..budget import Budget
from ..graphs import EdgeType
from ..perturbation import Perturbation
from ..victims import Victim

logger = logging.getLogger(__name__)

Key = tuple[str, int, str, int]
Rows = list[dict[str, Any]]
Prefixes = Mapping[str, Sequence[Perturbation]]
"""Name of an attack -> its prefixes, one for each evaluated number of flips."""
KEY = ["victim", "seed", "attack", "flips"]
"""The key of a unit: name of a victim, its seed, name of an attack and number of flips."""
COLUMNS = {
    "attack": str,
    "victim": str,
    "flips": int,
    "seed": int,
    "metric": str,
    "split": str,
    "users": str,
    "clean": float,
    "poisoned": float,
    "user_ci95": float,
    "num_users": int,
}


class Measured(NamedTuple):
    """A metric of the clean and of the poisoned victim.

    Args:
        metric: name of the metric.
        split: the part of the data on which it is measured.
        clean, poisoned: values of the metric.
        users: the group of users for which it is measured, or ``"all"``.
        user_ci95: half the 95% interval of the mean difference over these users; NaN if the metric
            has no value per user.
        num_users: the number of these users; 0 if the metric is not one of users.
    """

    metric: str
    split: str
    clean: float
    poisoned: float
    users: str = "all"
    user_ci95: float = math.nan
    num_users: int = 0


@dataclass(frozen=True, eq=False)
class Unit:
    """The smallest part of an evaluation; it is trained, measured and saved as a whole."""

    key: Key
    measure: Callable[[], list[Measured]]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The rows of finished units, with the settings that they depend on.

    All units share the settings of ``basis``. The units of one victim, or of one attack and number
    of flips, share the settings of one of the ``parts``. A file is refused if its basis differs, or
    if a part differs under the same name; parts under other names are kept. Different ``notes`` are
    no reason for a refusal, but its message lists them too. Several processes may use one file:
    each reads the units that another has finished. The key of a unit has a digest of its settings.

    Args:
        store: the file; None saves nothing.
        basis, parts: settings as JSON values.
        provenance: provenance of the earlier sessions.
    """

    store: Store | None
    basis: Mapping[str, Any]
    parts: Mapping[str, Any]
    provenance: Mapping[str, Any]

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | None,
        basis: Mapping[str, Any],
        parts: Mapping[str, Any],
        notes: Mapping[str, Any],
    ) -> "Checkpoint":
        """The checkpoint in the file ``path``, or an empty one if there is no file.

        Raises:
            ValueError: the file is damaged, or of another evaluation.
            OSError: the file cannot be read or written.
        """
        if path is None:
            return cls(None, basis, parts, {})
        store = Store(path)
        there = store.all()
        wanted = {"basis": dict(basis), **_named("part", parts)}
        different = _shared_differences(there, wanted)
        if not different and not there.items() >= wanted.items():
            different = _shared_differences(store.agree(wanted), wanted)
        if different:
            different += _shared_differences(there, _named("note", notes))
            raise ValueError(
                f"checkpoint {os.fspath(path)!r} is of another evaluation: "
                f"{'; '.join(different)}. Use the settings of the file, name another file, or "
                "remove it."
            )
        for name, note in _named("note", notes).items():
            if there.get(name) != note:
                store.replace(name, note)
        return cls(store, basis, parts, there.get("provenance", {}))

    def rows(self, unit: Unit, provenance: Callable[[], dict[str, Any]]) -> Rows:
        """The rows of ``unit``; it is measured and saved if the file does not have it."""
        name = self._name(unit)
        if self.store is not None and (known := self.store.get(name)) is not None:
            rows: Rows = known
            return rows
        key = dict(zip(KEY, unit.key, strict=True))
        found = [{**key, **measured._asdict()} for measured in unit.measure()]
        rows = [{column: kind(row[column]) for column, kind in COLUMNS.items()} for row in found]
        if self.store is not None:
            try:
                rows = self.store.put(name, rows)
                self.store.replace("provenance", provenance())
            except OSError as error:
                logger.warning("the checkpoint cannot be written, runs are not saved: %s", error)
        return rows

    def _name(self, unit: Unit) -> str:
        victim, _, attack, flips = unit.key
        names = f"victim {victim!r}", f"the first {flips} flips of {attack!r}"
        settings = json.dumps([self.basis, *(self.parts[name] for name in names)])
        return json.dumps(["unit", *unit.key, digest(settings)])


def _named(kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{kind} {name}": value for name, value in values.items()}


WHOLE = ("SwapSearch", "Perturbation.between")
"""Attacks whose prefixes are not attacks of smaller budgets."""


def prefixes_of(
    attacks: Mapping[str, Perturbation], budgets: Sequence[int | float | Budget] | None
) -> dict[str, list[Perturbation]]:
    """The prefix of each attack for each of ``budgets``; the whole attack if None.

    An attack that had the budget, but ended early for lack of an admissible flip, is taken whole.

    Raises:
        ValueError: a budget exceeds the budget of an attack.
    """
    return {
        name: [attack.prefix(end) for end in dict.fromkeys(_ends(name, attack, budgets))]
        for name, attack in attacks.items()
    }


def weak_prefixes(prefixes: Mapping[str, Sequence[Perturbation]]) -> list[str]:
    """A warning for each attack whose prefixes are not attacks of smaller budgets."""
    return [
        f"the first flips of {name!r} are weaker than an attack with that budget: attack each "
        "budget by itself."
        for name, ends in prefixes.items()
        if str(ends[0].meta.get("attack", "")).startswith(WHOLE)
        and len({len(end) for end in ends if len(end)}) > 1
    ]


def _ends(
    name: str, attack: Perturbation, budgets: Sequence[int | float | Budget] | None
) -> Iterator[int]:
    made, known = len(attack), attack.provenance
    whole = known.get("finished") and known.get("flips") == made
    allowed = attack.meta.get("budget", made) if whole else made
    for budget in [made] if budgets is None else budgets:
        count = attack.flips_of(budget)
        early = made < count <= allowed
        if early:
            logger.warning("%s ended after %d flips: evaluated there, not at %d", name, made, count)
        elif count > made:
            share = f" ({budget} is a share of the edges)" if isinstance(budget, float) else ""
            raise ValueError(f"budgets has {count} flips of {name!r}{share}, but {made} were made.")
        yield made if early else count


def parts_of(victims: Sequence[Victim], prefixes: Prefixes) -> dict[str, Any]:
    """The settings that units of one victim, or of one attack and number of flips, share."""
    flips = {
        f"the first {len(attack)} flips of {name!r}": _flips_digest(attack)
        for name, attacks in prefixes.items()
        for attack in attacks
    }
    return {**{f"victim {victim.name!r}": describe(victim) for victim in victims}, **flips}


def refuse_same_names(victims: Sequence[Victim]) -> None:
    """Raise a ValueError if two victims have the same name: tables and checkpoints identify
    victims by name."""
    names = [victim.name for victim in victims]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"victims has {names.count(name)} of the name {name!r}, but tables and checkpoints "
                "need different names; give each its own, e.g. ModuleVictim(build, name=...)."
            )


def one_edge_type(attacks: Mapping[str, Perturbation]) -> EdgeType:
    """The common edge type of all attacks.

    Raises:
        TypeError: the attacks have several edge types, or are on a homogeneous graph.
    """
    kinds: set[Any] = {attack.meta.get("edge_type") for attack in attacks.values()}
    if len(kinds) != 1:
        raise TypeError(f"the perturbations must be of one edge type of data, found {kinds}.")
    if None in kinds:
        raise TypeError("data must be Data, the kind attacked; found HeteroData.")
    kind: EdgeType = kinds.pop()
    return kind


def _flips_digest(attack: Perturbation) -> str:
    added = torch.tensor(attack.flips["added"].to_numpy(), dtype=torch.bool)
    fake = attack.fake_users
    joined = () if fake is None else (torch.tensor(fake.count), fake.edges, *fake.latent)
    return digest(attack.pairs, attack.feature_flips, added, *joined)


def _shared_differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """:func:`differences` between the values of the names that both have."""
    found = []
    for name in here:
        if name in there:
            path = "" if name == "basis" else name.partition(" ")[2]
            found += differences(there[name], here[name], path)
    return found
