"""Attacks: how flips are chosen within a budget."""

from .base import Attack
from .baselines import RandomAttack
from .beside import random_like
from .heuristics import DICE, DegreeAttack
from .injection import Injection, NewUsers, SimilarUsers
from .meta import MetaAttack
from .projected import PGDAttack
from .randomised_block import GRBCD, PRBCD

__all__ = [
    "DICE",
    "GRBCD",
    "PRBCD",
    "Attack",
    "DegreeAttack",
    "Injection",
    "MetaAttack",
    "NewUsers",
    "PGDAttack",
    "RandomAttack",
    "SimilarUsers",
    "random_like",
]
