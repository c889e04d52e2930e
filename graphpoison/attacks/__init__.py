"""Attacks: how flips are chosen within a budget."""

from .base import Attack
from .baselines import RandomAttack
from .heuristics import DICE, DegreeAttack
from .injection import Injection, NewUsers, SimilarUsers
from .meta import MetaAttack

__all__ = [
    "DICE",
    "Attack",
    "DegreeAttack",
    "Injection",
    "MetaAttack",
    "NewUsers",
    "RandomAttack",
    "SimilarUsers",
]
