"""Attacks built from names and numbers, as a command line, a file or a form has them."""

from .builders import build_attack, build_task, build_training, random_beside
from .settings import ATTACKS, AttackSettings

__all__ = [
    "ATTACKS",
    "AttackSettings",
    "build_attack",
    "build_task",
    "build_training",
    "random_beside",
]
