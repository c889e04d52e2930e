"""Victims: models trained from fresh initialisations, as somebody who trusts the graph would."""

from .base import NodeVictim, Victim
from .module import ModuleFactory, ModuleVictim
from .named import NODE_VICTIMS, node_victim
from .surrogates import RecommenderVictim, SurrogateVictim, recommender_victim, surrogate_victim

__all__ = [
    "NODE_VICTIMS",
    "ModuleFactory",
    "ModuleVictim",
    "NodeVictim",
    "RecommenderVictim",
    "SurrogateVictim",
    "Victim",
    "node_victim",
    "recommender_victim",
    "surrogate_victim",
]
