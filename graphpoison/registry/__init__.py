"""Attacks built from names and numbers, e.g. of a command line, a file or a form."""

from .attacks import ATTACKS
from .builders import build_attack, build_task, build_training, random_beside
from .settings import AttackSettings

__all__ = [
    "ATTACKS",
    "AttackSettings",
    "build_attack",
    "build_task",
    "build_training",
    "random_beside",
]
