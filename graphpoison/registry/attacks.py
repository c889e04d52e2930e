"""Attacks by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from .._named import Call, found_by
from ..attacks import (
    DICE,
    GRBCD,
    PRBCD,
    Attack,
    DegreeAttack,
    Injection,
    MetaAttack,
    PGDAttack,
    RandomAttack,
)
from ..hypergradient import Approximate, Implicit
from ..presets import strongest_attack
from ..ranking_presets import ranking_attack

Maker = Callable[..., Attack]

MAKERS: dict[str, tuple[Maker, str]] = {
    "ranking": (ranking_attack, "harms rankings of an accurate recommender; considers all pairs"),
    "strongest": (
        strongest_attack,
        "for nodes: meta-gradient through SGC, saturating margin loss, then swaps of flips",
    ),
    "meta": (
        MetaAttack,
        "exact meta-gradient (thesis, Algorithm 1; Metattack)",
    ),
    "meta-approx": (
        partial(MetaAttack, hypergradient=Approximate()),
        "Meta-Approx, A-Meta (thesis, Algorithm 3)",
    ),
    "meta-implicit": (
        partial(MetaAttack, hypergradient=Implicit()),
        "meta-gradient at convergence",
    ),
    "random": (RandomAttack, "random flips (thesis, Algorithm 2)"),
    "dice": (DICE, "DICE, with the true labels"),
    "degree": (DegreeAttack, "pairs with the largest sum of degrees"),
    "pgd": (PGDAttack, "projected gradient"),
    "min-max": (partial(PGDAttack, retrain=True), "projected gradient, with retraining"),
    "prbcd": (PRBCD, "PRBCD, random blocks"),
    "grbcd": (GRBCD, "GRBCD, greedy random blocks"),
}
ATTACKS = {name: text for name, (_, text) in MAKERS.items()}
"""Name of an attack -> its description."""


@dataclass(frozen=True)
class Made:
    """The class or function that makes an attack, and its arguments.

    Args:
        name: a name in :data:`ATTACKS`, or an import path.
        make: the class or function.
        options: arguments in the text.
    """

    name: str
    make: Maker
    options: Mapping[str, Any]

    @classmethod
    def of(cls, text: str) -> "Made":
        """Return the maker of the attack that ``text`` names, as in ``"meta(flips_per_step=5)"``.

        Raises:
            TypeError: the object of an import path is not an attack.
            ValueError: the name is unknown, an argument has no name, or the text has another form.
        """
        call = Call.of("attack", text)
        if call.args:
            raise ValueError(f"attack={text!r} has an argument without a name: name the argument.")
        known = {name: make for name, (make, _) in MAKERS.items()}
        found = found_by("attack", call, known)
        fits = not isinstance(found, type) or issubclass(found, Attack | Injection)
        if not callable(found) or not fits:
            raise TypeError(f"attack={text!r} must be a subclass of Attack, found {found!r}.")
        return cls(call.name, found, call.options)
