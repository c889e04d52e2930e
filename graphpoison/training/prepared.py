"""Tensors that are computed from the edge weights once per meta-gradient, before training."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Generic, Self, TypeVar

import torch
from torch import Tensor

from ..graphs import Features
from ..sparse import Pattern

if TYPE_CHECKING:
    from .all_pairs_loss import AllPairsLoss
    from .criteria import Criterion
    from .pair_loss import PairLoss

Params = tuple[Tensor, ...]
Structure = TypeVar("Structure")


@dataclass(frozen=True, eq=False)
class Prepared:
    """Everything that depends on the edge weights but not on the parameters.

    Args:
        weight: Tensor [M], the weights of the listed pairs (the leaf of the meta-gradient).
        tensors: functions of ``weight`` that are used in training.
    """

    weight: Tensor
    tensors: Params

    def detached(self, requires_grad: bool) -> Self:
        """The same, with tensors that are detached from ``weight``."""
        leaves = tuple(tensor.detach().requires_grad_(requires_grad) for tensor in self.tensors)
        return replace(self, tensors=leaves)

    def weight_gradient(self, cotangents: Params) -> Tensor:
        """The gradient [M] w.r.t. ``weight`` for ``cotangents``, one per tensor."""
        (gradient,) = torch.autograd.grad(self.tensors, (self.weight,), cotangents)
        return gradient


@dataclass(frozen=True, eq=False)
class NodeInputs:
    """The inputs of node classification that an attack on edges does not change.

    Args:
        features: node features, [N, F]; if attacked too, the features of the current graph.
        labelled: LongTensor [L], the nodes whose labels are used in training.
        num_classes: number of classes.
    """

    features: Features
    labelled: Tensor
    num_classes: int


@dataclass(frozen=True, eq=False)
class PreparedNodes(Prepared, Generic[Structure]):
    """Prepared by a node classifier.

    Args:
        inputs: features and labelled nodes.
        structure: the propagation matrix, or another form of the edges; not differentiated.
    """

    inputs: NodeInputs
    structure: Structure


@dataclass(frozen=True, eq=False)
class PreparedPairs(Prepared):
    """Prepared by a recommender; the first tensor holds the targets of the training pairs.

    Args:
        pattern: the listed training pairs, which are also the edges of the training graph.
        all_pairs: the loss of all pairs, if every pair is a training pair.
        losses: losses in closed form that were made for these targets; training and the attack loss
            share one, since each has buffers for all pairs.
    """

    pattern: Pattern
    all_pairs: "AllPairsLoss | None" = None
    losses: "dict[Criterion, PairLoss | None]" = field(default_factory=dict)
