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
    "ranking": (ranking_attack, "rankings of an accurate recommender, all pairs considered"),
    "strongest": (
        strongest_attack,
        "for nodes: SGC, a saturating margin; some flips are then undone and replaced",
    ),
    "meta": (
        partial(MetaAttack, redraw=True),
        "exact meta-gradient (thesis, Algorithm 1; Metattack)",
    ),
    "meta-approx": (
        partial(MetaAttack, redraw=True, hypergradient=Approximate()),
        "Meta-Approx, A-Meta (thesis, Algorithm 3)",
    ),
    "meta-implicit": (
        partial(MetaAttack, redraw=True, hypergradient=Implicit()),
        "meta-gradient at convergence",
    ),
    "random": (RandomAttack, "random flips (thesis, Algorithm 2)"),
    "dice": (DICE, "DICE, by true labels"),
    "degree": (DegreeAttack, "pairs of the largest degrees"),
    "pgd": (PGDAttack, "projected gradient"),
    "min-max": (partial(PGDAttack, retrain=True), "projected gradient, retraining"),
    "prbcd": (PRBCD, "PRBCD, random blocks"),
    "grbcd": (GRBCD, "GRBCD, greedy random blocks"),
}
ATTACKS = {name: text for name, (_, text) in MAKERS.items()}
"""Names of attacks, with descriptions."""


@dataclass(frozen=True)
class Made:
    """The class or function that makes an attack, and arguments.

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
        """The maker of the attack that ``text`` names, as in ``"meta(flips_per_step=5)"``.

        Raises:
            TypeError: an import path leads to no attack.
            ValueError: the name is unknown, or the text has another form.
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
