"""Attacks: how flips are chosen within a budget."""

from .base import Attack
from .baselines import RandomAttack
from .meta import MetaAttack

__all__ = ["Attack", "MetaAttack", "RandomAttack"]
