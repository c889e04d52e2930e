"""Surrogates: models whose training is differentiated with respect to the graph."""

from torch import nn

from .._checks import choice
from .base import NodeInputs, NodeSurrogate, PairwiseRecommender, Recommender
from .factorisation import CF, GMF
from .gcn import LinearGCN, ReLUGCN
from .lightgcn import LightGCN
from .module import ModuleClassifier, ModuleRecommender
from .neural import MLP, NeuMF
from .prepared import Params, Prepared

NODE_SURROGATES: dict[str, type[NodeSurrogate]] = {"linear-gcn": LinearGCN, "relu-gcn": ReLUGCN}
RECOMMENDERS: dict[str, type[Recommender]] = {
    "cf": CF,
    "gmf": GMF,
    "mlp": MLP,
    "neumf": NeuMF,
    "lightgcn": LightGCN,
}


def node_surrogate(surrogate: str | nn.Module | NodeSurrogate) -> NodeSurrogate:
    """A surrogate from its name, from settings such as ``LinearGCN(hidden=32)``, or a module."""
    if isinstance(surrogate, NodeSurrogate):
        return surrogate
    if isinstance(surrogate, nn.Module):
        return ModuleClassifier(surrogate)
    return NODE_SURROGATES[choice("surrogate", surrogate, NODE_SURROGATES)]()


def recommender(
    surrogate: str | nn.Module | Recommender, argument: str = "surrogate"
) -> Recommender:
    """A recommender from its name, from settings such as ``CF(dim=8)``, or a module.

    ``"mlp"`` is CF with a feed-forward head in the place of the dot product.
    ``argument`` is what errors call it.
    """
    if isinstance(surrogate, Recommender):
        return surrogate
    if isinstance(surrogate, nn.Module):
        return ModuleRecommender(surrogate)
    return RECOMMENDERS[choice(argument, surrogate, RECOMMENDERS)]()


__all__ = [
    "CF",
    "GMF",
    "MLP",
    "LightGCN",
    "LinearGCN",
    "ModuleClassifier",
    "ModuleRecommender",
    "NeuMF",
    "NodeInputs",
    "NodeSurrogate",
    "PairwiseRecommender",
    "Params",
    "Prepared",
    "ReLUGCN",
    "Recommender",
    "node_surrogate",
    "recommender",
]
