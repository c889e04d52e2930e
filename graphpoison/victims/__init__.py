"""Victims: models trained from fresh initialisations, as somebody who trusts the graph would.

:class:`Victim` has one method, ``fit(graph, seed)``; :mod:`.nodes`, :mod:`.defences` and
:mod:`.recommenders` hold the victims there are, a file each, and :mod:`.named` their names.
"""

from .base import FittedNodes, FittedRecommender, Victim
from .named import NODE_VICTIMS, node_victim, recommender_victim, surrogate_victim, victims_of
from .nodes.module import ModuleFactory, ModuleVictim
from .nodes.surrogate import SurrogateVictim
from .recommenders.trained import RecommenderVictim

__all__ = [
    "NODE_VICTIMS",
    "FittedNodes",
    "FittedRecommender",
    "ModuleFactory",
    "ModuleVictim",
    "RecommenderVictim",
    "SurrogateVictim",
    "Victim",
    "node_victim",
    "recommender_victim",
    "surrogate_victim",
    "victims_of",
]
