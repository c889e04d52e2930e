"""Hypergradients: derivatives of the attack loss w.r.t. the graph, through training."""

from .base import Hypergradient
from .meta_gradient import Flips, MetaGradient
from .unrolled import Unrolled

__all__ = ["Flips", "Hypergradient", "MetaGradient", "Unrolled"]
