"""Hypergradients: derivatives of the attack loss w.r.t. the graph, through training."""

from .approximate import Approximate
from .base import Hypergradient
from .closed_form import ClosedForm
from .implicit import Implicit
from .meta_gradient import Flips, MetaGradient
from .unrolled import Unrolled

__all__ = [
    "Approximate",
    "ClosedForm",
    "Flips",
    "Hypergradient",
    "Implicit",
    "MetaGradient",
    "Unrolled",
]
__dir__ = __all__.copy
