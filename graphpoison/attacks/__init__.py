"""Attacks: how flips are chosen within a budget."""

from .base import Attack
from .cost import Estimate, estimate
from .degree import DegreeAttack
from .dice import DICE
from .injection import Injection, NewUsers, SimilarUsers
from .meta import MetaAttack
from .pgd import PGDAttack
from .prbcd import GRBCD, PRBCD
from .profiles import ProfileAttack
from .random import RandomAttack, random_like
from .ranking import RankingAttack
from .surrogate import SurrogateAttack
from .swap import SwapSearch

__all__ = [
    "DICE",
    "GRBCD",
    "PRBCD",
    "Attack",
    "DegreeAttack",
    "Estimate",
    "Injection",
    "MetaAttack",
    "NewUsers",
    "PGDAttack",
    "ProfileAttack",
    "RandomAttack",
    "RankingAttack",
    "SimilarUsers",
    "SurrogateAttack",
    "SwapSearch",
    "estimate",
    "random_like",
]
__dir__ = __all__.copy
