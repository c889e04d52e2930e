"""Attacks: how flips are chosen within a budget."""

from .base import Attack
from .baselines import RandomAttack
from .injection import Injection, NewUsers, SimilarUsers
from .meta import MetaAttack

__all__ = ["Attack", "Injection", "MetaAttack", "NewUsers", "RandomAttack", "SimilarUsers"]
