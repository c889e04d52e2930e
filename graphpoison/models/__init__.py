"""Models, one a file: forward definitions, and the closed form of their training.

Each can be the surrogate of an attack, or a victim.
"""

from collections.abc import Iterable
from typing import Any

from torch import nn

from .._checks import refuse_class
from .._named import named
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
Surrogate = str | nn.Module | NodeClassifier[Any] | Recommender
"""A model by its name, a module, or the settings of a model."""
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
    """A model from its name or import path (``"linear-gcn(hidden=32)"``), from settings such as
    ``LinearGCN(hidden=32)``, or from a module."""
    if isinstance(surrogate, str):
        surrogate = named("surrogate", surrogate, NODE_CLASSIFIERS, (NodeClassifier, nn.Module))
    if isinstance(surrogate, NodeClassifier):
        return surrogate
    if isinstance(surrogate, nn.Module):
        return ModuleClassifier(surrogate)
    refuse_class("surrogate", surrogate)
    raise _no_model("surrogate", surrogate, NODE_CLASSIFIERS)


def recommender(
    surrogate: str | nn.Module | Recommender, argument: str = "surrogate"
) -> Recommender:
    """A recommender from its name or import path (``"gmf(dim=8)"``), from settings such as
    ``CF(dim=8)``, or from a module.

    ``"mlp"`` is CF with a feed-forward head instead of the dot product.
    ``argument``: its name in error messages.
    """
    if isinstance(surrogate, str):
        surrogate = named(argument, surrogate, RECOMMENDERS, (Recommender, nn.Module))
    if isinstance(surrogate, Recommender):
        return surrogate
    if isinstance(surrogate, nn.Module):
        return ModuleRecommender(surrogate, argument)
    refuse_class(argument, surrogate)
    raise _no_model(argument, surrogate, RECOMMENDERS)


def _no_model(argument: str, found: object, known: Iterable[str]) -> TypeError:
    return TypeError(
        f"{argument} must be one of {list(known)}, the settings of a model, or a module, found "
        f"{found!r}."
    )


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
    "Surrogate",
    "node_classifier",
    "recommender",
]
__dir__ = __all__.copy
