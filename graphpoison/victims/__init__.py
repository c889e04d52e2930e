"""Victims: models trained from fresh initialisations on the graph that they are given.

:class:`Victim` has one method, ``fit(graph, seed)``. :mod:`.nodes`, :mod:`.defences` and
:mod:`.recommenders` have one file for each victim of the library; :mod:`.named` has their names.
"""

from .base import FittedNodes, FittedRecommender, Victim
from .named import (
    NODE_VICTIMS,
    RECOMMENDER_VICTIMS,
    AnyVictim,
    VictimLike,
    node_victim,
    recommender_victim,
    surrogate_victim,
    victims_of,
)
from .nodes.module import ModuleFactory, ModuleVictim
from .nodes.surrogate import SurrogateVictim
from .recommenders.ease import EASE
from .recommenders.foreign import MatrixVictim
from .recommenders.implicit_models import ImplicitALS, ImplicitBPR, ImplicitVictim
from .recommenders.item_knn import ItemKNN
from .recommenders.lightgcn_bpr import LightGCNBPR
from .recommenders.mf_bpr import MFBPR
from .recommenders.mf_softmax import MFSoftmax
from .recommenders.mult_vae import MultVAE
from .recommenders.popularity import Popularity
from .recommenders.slim import SLIM
from .recommenders.trained import RecommenderVictim

__all__ = [
    "EASE",
    "MFBPR",
    "NODE_VICTIMS",
    "RECOMMENDER_VICTIMS",
    "SLIM",
    "AnyVictim",
    "FittedNodes",
    "FittedRecommender",
    "ImplicitALS",
    "ImplicitBPR",
    "ImplicitVictim",
    "ItemKNN",
    "LightGCNBPR",
    "MFSoftmax",
    "MatrixVictim",
    "ModuleFactory",
    "ModuleVictim",
    "MultVAE",
    "Popularity",
    "RecommenderVictim",
    "SurrogateVictim",
    "Victim",
    "VictimLike",
    "node_victim",
    "recommender_victim",
    "surrogate_victim",
    "victims_of",
]
__dir__ = __all__.copy
