"""The random attack that stands beside another one."""

from dataclasses import replace
from typing import Any, overload

from .base import Attack
from .baselines import RandomAttack
from .injection import Injection, SimilarUsers


@overload
def random_like(attack: Attack) -> RandomAttack: ...
@overload
def random_like(attack: Injection) -> Injection: ...
def random_like(attack: Attack | Injection) -> RandomAttack | Injection:
    """Random flips of the kinds that ``attack`` makes, to stand beside it at equal budget.

    It has the same constraints, adds and removes as ``attack`` may, and takes candidates, features
    among them, from the same task. For an attack that only adds this is the baseline of the
    thesis, Algorithm 2. For an :class:`Injection` it is the same fake users around random flips.
    An attack of one's own says what it may by attributes ``allow_removals`` and
    ``allow_additions``; without them it is taken to add alone.
    """
    if isinstance(attack, Injection):
        changed: dict[str, Any] = {"attack": random_like(attack.attack)}
        if isinstance(attack, SimilarUsers) and attack.method == "kmeans":
            changed["training"] = attack.training or attack.gradient
        return replace(attack, **changed)  # type: ignore[type-var]
    if not isinstance(attack, Attack):
        raise TypeError(
            f"attack must be an attack such as MetaAttack(), found {type(attack).__name__}: flips "
            "do not say what may be flipped."
        )
    return RandomAttack(tuple(attack.constraints), *kinds_of(attack))


def kinds_of(attack: Attack) -> tuple[bool, bool]:
    """Whether ``attack`` may remove edges, and whether it may add them."""
    return getattr(attack, "allow_removals", False), getattr(attack, "allow_additions", True)
