"""Models, one a file: forward definitions, and the closed form of their training.

Each can be the surrogate of an attack, or a victim.
"""

from typing import Any

from torch import nn

from .._checks import choice, refuse_class
from .base import NodeClassifier, PairwiseRecommender, Recommender
from .cf import CF
from .ease import EASE
from .gmf import GMF
from .lightgcn import LightGCN
from .linear_gcn import LinearGCN
from .mlp import MLP
from .module import ModuleClassifier, ModuleRecommender
from .neumf import NeuMF
from .relu_gcn import ReLUGCN
from .sgc import SGC
from .wmf import WMF

NODE_CLASSIFIERS: dict[str, type[NodeClassifier[Any]]] = {
    "linear-gcn": LinearGCN,
    "relu-gcn": ReLUGCN,
    "sgc": SGC,
}
RECOMMENDERS: dict[str, type[Recommender]] = {
    "cf": CF,
    "gmf": GMF,
    "mlp": MLP,
    "neumf": NeuMF,
    "lightgcn": LightGCN,
    "ease": EASE,
    "wmf": WMF,
}


def node_classifier(surrogate: str | nn.Module | NodeClassifier[Any]) -> NodeClassifier[Any]:
    """A model from its name, from settings such as ``LinearGCN(hidden=32)``, or from a module."""
    if isinstance(surrogate, NodeClassifier):
        return surrogate
    if isinstance(surrogate, nn.Module):
        return ModuleClassifier(surrogate)
    refuse_class("surrogate", surrogate)
    return NODE_CLASSIFIERS[choice("surrogate", surrogate, NODE_CLASSIFIERS)]()


def recommender(
    surrogate: str | nn.Module | Recommender, argument: str = "surrogate"
) -> Recommender:
    """A recommender from its name, from settings such as ``CF(dim=8)``, or from a module.

    ``"mlp"`` is CF with a feed-forward head instead of the dot product.
    ``argument``: its name in error messages.
    """
    if isinstance(surrogate, Recommender):
        return surrogate
    if isinstance(surrogate, nn.Module):
        return ModuleRecommender(surrogate, argument)
    refuse_class(argument, surrogate)
    return RECOMMENDERS[choice(argument, surrogate, RECOMMENDERS)]()


__all__ = [
    "CF",
    "EASE",
    "GMF",
    "MLP",
    "SGC",
    "WMF",
    "LightGCN",
    "LinearGCN",
    "ModuleClassifier",
    "ModuleRecommender",
    "NeuMF",
    "NodeClassifier",
    "PairwiseRecommender",
    "ReLUGCN",
    "Recommender",
    "node_classifier",
    "recommender",
]
