"""Any module as a victim, trained as the attack literature trains victims."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..._checks import choice, in_range, positive_int
from ..._random import isolated_rng
from ...graphs import NodeGraph
from ...models.module import refuse_cached
from ..base import FittedNodes, Victim
from .sparse_input import SparseInput

EPOCHS = ("validation", "last")

ModuleFactory = Callable[[int, int], nn.Module]
"""``factory(num_features, num_classes)`` -> module with forward(x, edge_index, edge_weight)."""


@dataclass(frozen=True)
class ModuleVictim(Victim):
    """A module trained as in Kipf and Welling (2017) and most of the attack literature.

    Adam on the cross-entropy of the labelled nodes. A module with a method ``penalty()`` has the
    value of that method, called after each forward pass, added to its loss. A module that returns
    several samples [S, N, C] in training minimises their mean cross-entropy.

    Args:
        build: makes the module, given the numbers of features and classes. Edge weights, if the
            graph has any, are its third argument, unless it says ``supports_edge_weight = False``
            as PyG's models do.
        name: what the table calls it.
        epochs, lr, weight_decay: of training; the decay is on all parameters.
        purify: what the defender does to the graph first: a function of a
            :class:`~graphpoison.NodeGraph` that returns another, such as
            :func:`~graphpoison.victims.defences.jaccard.drop_dissimilar`.
        select: the epoch that is kept: ``"validation"``, the one with the best accuracy on
            ``val_mask`` (the earliest of equals; the last epoch where the mask sets no node), or
            ``"last"``, as DeepRobust's scripts have it. On poisoned graphs the last epoch is
            up to 15 points worse.

    Raises:
        TypeError, ValueError: features, labels or masks are not what they should be.
        FloatingPointError: training is not finite.
    """

    build: ModuleFactory
    name: str
    epochs: int = 200
    lr: float = 0.01
    weight_decay: float = 5e-4
    purify: Callable[[NodeGraph], NodeGraph] | None = None
    select: Literal["validation", "last"] = "validation"

    def __post_init__(self) -> None:
        choice("select", self.select, EPOCHS)
        positive_int("epochs", self.epochs)
        in_range("lr", self.lr, 0.0, float("inf"), open_low=True)
        in_range("weight_decay", self.weight_decay, 0.0, float("inf"))

    def fit(self, graph: NodeGraph, seed: int) -> "FittedModule":
        logits = self.train(graph, seed)[self.select]
        if not bool(logits.isfinite().all()):
            raise FloatingPointError(
                f"training of {self.name!r} diverged: its logits are not finite; use a smaller lr."
            )
        return FittedModule(logits)

    def train(self, graph: NodeGraph, seed: int) -> dict[str, Tensor]:
        """The logits [N, C] of both epochs that ``select`` can name, by name."""
        graph = graph if self.purify is None else self.purify(graph)
        x, device = graph.x, graph.x.device
        with isolated_rng(seed, device):
            module = self.build(graph.num_features, graph.num_classes)
            if not any(True for _ in module.parameters()):
                raise ValueError(
                    f"victim {self.name!r} has no parameters to train; write a Victim."
                )
            module = module.to(device=device, dtype=x.dtype)
            refuse_cached(module)
            best, last = self._train(module, graph)
        return dict(zip(EPOCHS, (best, last), strict=True))

    def _train(self, module: nn.Module, graph: NodeGraph) -> tuple[Tensor, Tensor]:
        """The logits of the best validation epoch and of the last one."""
        optimizer = torch.optim.Adam(
            module.parameters(), lr=self.lr, weight_decay=self.weight_decay
        )
        edges, labels = _edge_inputs(module, graph), graph.y
        labelled = graph.mask("train_mask").nonzero().squeeze(1)
        validation = None
        if graph.val_mask is not None:
            validation = graph.mask("val_mask").nonzero().squeeze(1)
        penalty, sparse_input = getattr(module, "penalty", None), SparseInput(graph.x)
        best = -1
        logits = kept = graph.x
        for _ in range(self.epochs):
            module.train()
            optimizer.zero_grad()
            with sparse_input:
                logits = module(graph.x, *edges)
            loss = _mean_cross_entropy(logits[..., labelled, :], labels[labelled])
            (loss if penalty is None else loss + penalty()).backward()
            optimizer.step()
            module.eval()
            with torch.no_grad(), sparse_input:
                logits = module(graph.x, *edges)
            score = _hits(logits, labels, validation)
            if validation is None or score > best:
                best, kept = score, logits
        return kept, logits


@dataclass(frozen=True, eq=False)
class FittedModule(FittedNodes):
    """The logits [N, C] of a trained module."""

    values: Tensor

    def logits(self) -> Tensor:
        return self.values


def _mean_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Over nodes [L, C] or samples and nodes [S, L, C]."""
    samples = logits.unsqueeze(0) if logits.dim() == 2 else logits
    return cross_entropy(samples.flatten(0, 1), labels.repeat(samples.size(0)))


def _hits(logits: Tensor, labels: Tensor, nodes: Tensor | None) -> int:
    """How many of ``nodes`` have their largest logit at their label."""
    return 0 if nodes is None else int((logits[nodes].argmax(dim=1) == labels[nodes]).sum())


def _edge_inputs(module: nn.Module, graph: NodeGraph) -> tuple[Tensor, ...]:
    weight = graph.edge_weight
    if weight is None or getattr(module, "supports_edge_weight", True) is False:
        return (graph.edge_index,)
    return graph.edge_index, weight
