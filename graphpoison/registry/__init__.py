"""Attacks built from names and numbers, for example from a command line or a file."""

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
__dir__ = __all__.copy
