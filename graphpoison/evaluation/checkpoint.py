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

logger = logging.getLogger(__name__)

Key = tuple[str, int, str, int]
Rows = list[dict[str, Any]]
Prefixes = Mapping[str, Sequence[Perturbation]]
"""Name of an attack -> its flips, cut at each number that is evaluated."""
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
        metric: its name.
        split: the part of the data that it is measured on.
        clean, poisoned: its values.
        users: the group of users that it is a mean over, or ``"all"``.
        user_ci95: half the 95% interval of the mean difference over these users; NaN where the
            metric has no value for each user.
        num_users: the number of these users; 0 where the metric is no mean over users.
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
    """A part of an evaluation that is trained and measured at once, or not at all."""

    key: Key
    measure: Callable[[], list[Measured]]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Rows by unit, and what they are rows of.

    All units share the settings of ``basis``; the units of one victim, or of one attack and number
    of flips, share the settings of one of the ``parts``. Files of another basis are refused, and
    files with another part under the same name. Parts under other names are kept. A file with other
    ``notes`` is not refused, but the message of a refusal lists differences of notes too. Several
    processes may evaluate with one file: each takes the units that another has finished. The key of
    a unit has a digest of its settings.

    Args:
        store: the file; None keeps nothing.
        basis, parts: as plain values.
        provenance: of the sessions before.
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
        """The checkpoint that ``path`` holds already, or an empty one.

        Raises:
            ValueError: the file is damaged, or of another evaluation.
            OSError: it cannot be read or written.
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
                f"{'; '.join(different)}. Go back to what it was made with, name another file, or "
                "remove it."
            )
        for name, note in _named("note", notes).items():
            if there.get(name) != note:
                store.replace(name, note)
        return cls(store, basis, parts, there.get("provenance", {}))

    def rows(self, unit: Unit, provenance: Callable[[], dict[str, Any]]) -> Rows:
        """The rows of a unit, measured and written if they are not there yet."""
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
                logger.warning("the checkpoint cannot be written, and runs are not safe: %s", error)
        return rows

    def _name(self, unit: Unit) -> str:
        victim, _, attack, flips = unit.key
        names = f"victim {victim!r}", f"the first {flips} flips of {attack!r}"
        settings = json.dumps([self.basis, *(self.parts[name] for name in names)])
        return json.dumps(["unit", *unit.key, digest(settings)])


def _named(kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{kind} {name}": value for name, value in values.items()}


WHOLE = ("SwapSearch", "Perturbation.between")
"""The records of flips that are no attacks of smaller budgets, in their order."""


def prefixes_of(
    attacks: Mapping[str, Perturbation], budgets: Sequence[int | float | Budget] | None
) -> dict[str, list[Perturbation]]:
    """Each attack cut at each of ``budgets``; whole without.

    One that had the budget, but found no admissible flip any more, is cut where it ended.

    Raises:
        ValueError: a budget beyond an attack's own.
    """
    return {
        name: [attack.prefix(end) for end in dict.fromkeys(_ends(name, attack, budgets))]
        for name, attack in attacks.items()
    }


def weak_prefixes(prefixes: Mapping[str, Sequence[Perturbation]]) -> list[str]:
    """A sentence for each attack that was cut where its first flips are no attack of their own."""
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


def parts_of(victims: Sequence[Any], prefixes: Prefixes) -> dict[str, Any]:
    """The settings that units of one victim, or of one attack and number of flips, share."""
    flips = {
        f"the first {len(attack)} flips of {name!r}": _flips_digest(attack)
        for name, attacks in prefixes.items()
        for attack in attacks
    }
    return {**{f"victim {victim.name!r}": describe(victim) for victim in victims}, **flips}


def refuse_same_names(victims: Sequence[Any]) -> None:
    """Raise a ValueError if two victims have one name, by which a table and a file know them."""
    names = [victim.name for victim in victims]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"victims has {names.count(name)} of the name {name!r}, but tables and checkpoints "
                "know them by name; give each its own, e.g. ModuleVictim(build, name=...)."
            )


def one_edge_type(attacks: Mapping[str, Perturbation]) -> EdgeType:
    """The edge type that all attacks are of.

    Raises:
        TypeError: they are of several, or of a homogeneous graph.
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
    """:func:`differences` of the values under names that both have."""
    found = []
    for name in here:
        if name in there:
            path = "" if name == "basis" else name.partition(" ")[2]
            found += differences(there[name], here[name], path)
    return found
