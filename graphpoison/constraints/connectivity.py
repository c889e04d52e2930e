"""No flip disconnects nodes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..graphs import PairState
from ..graphs.connectivity import components
from .base import Constraint, Predicate


@dataclass(frozen=True)
class Connectivity(Constraint):
    """Nodes that are connected in the clean graph stay connected: no bridge is removed.

    Bridges are computed once for each graph whose removals are checked, in
    O(nodes + edges x diameter) at worst.
    """

    def additions(self, state: PairState) -> Predicate | None:
        return None

    def removals(self, state: PairState) -> Predicate | None:
        bridges = state.bridges

        def allowed(source: Tensor, target: Tensor) -> Tensor:
            pairs = torch.stack(torch.broadcast_tensors(source, target))
            return ~bridges[state.locate(pairs)]

        return allowed

    def violation(self, clean: PairState, poisoned: PairState) -> str | None:
        before, after = (
            components(state.joint_edges, state.num_nodes) for state in (clean, poisoned)
        )
        parts = torch.stack([before, after]).unique(dim=1).size(1)
        torn = parts - before.unique().numel()
        return f"{torn} parts of the graph were cut off" if torn else None
