"""Victims by name."""

from .._checks import choice
from .base import NodeVictim
from .gnnguard import GNNGuard, guarded
from .module import ModuleFactory, ModuleVictim
from .purify import drop_dissimilar, low_rank
from .rgcn import RGCN
from .soft_median import SoftMedianGCN
from .standard import SGC, MeanSAGE, PropagatedMLP, gat, gcn

NODE_VICTIMS = {
    victim.name: victim
    for victim in (
        ModuleVictim(gcn, "gcn"),
        ModuleVictim(gat, "gat", lr=0.005),
        ModuleVictim(MeanSAGE, "sage"),
        ModuleVictim(PropagatedMLP, "appnp"),
        ModuleVictim(SGC, "sgc", epochs=100, lr=0.2, weight_decay=1e-5),
        ModuleVictim(gcn, "gcn-jaccard", purify=drop_dissimilar),
        ModuleVictim(gcn, "gcn-svd", purify=low_rank),
        ModuleVictim(GNNGuard, "gnnguard", purify=guarded),
        ModuleVictim(SoftMedianGCN, "soft-median-gcn"),
        ModuleVictim(RGCN, "rgcn", weight_decay=0.0),
    )
}
"""Name -> victim; what a factory's docstring does not say, training included, is as for the GCN."""


def node_victim(victim: str | NodeVictim | ModuleFactory) -> NodeVictim:
    """A victim from its name, one of :data:`NODE_VICTIMS`, or from a module factory."""
    if isinstance(victim, NodeVictim):
        return victim
    if isinstance(victim, str):
        return NODE_VICTIMS[choice("victims", victim, NODE_VICTIMS)]
    if callable(victim):
        return ModuleVictim(victim, getattr(victim, "__name__", type(victim).__name__))
    raise TypeError(f"victims must be names, victims or module factories, found {victim!r}.")
