"""Any module as a victim, with the training that is common in the attack literature."""

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

    Adam minimises the cross-entropy of the labelled nodes. If the module has a method
    ``penalty()``, its value is added to the loss after each forward pass. If the module returns
    several samples [S, N, C] in training, their mean cross-entropy is minimised.

    Args:
        build: makes the module from the numbers of features and classes. Edge weights, if the graph
            has any, are the third argument of the module, unless the module has
            ``supports_edge_weight = False`` as PyG's models do.
        name: name of the victim in tables.
        epochs, lr, weight_decay: settings of training; the decay applies to all parameters.
        purify: the defence applied to the graph before training: a function from a
            :class:`~graphpoison.NodeGraph` to another, such as
            :func:`~graphpoison.victims.defences.jaccard.drop_dissimilar`.
        select: the epoch that is kept. ``"validation"``: the epoch with the best accuracy on
            ``val_mask`` (the first of equal ones; the last epoch if there are no validation nodes).
            ``"last"``: the last epoch, as in DeepRobust's scripts. On poisoned graphs the last
            epoch is up to 15 points worse.

    Raises:
        TypeError, ValueError: features, labels or masks are missing or not valid.
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
        """The logits [N, C] of the ``"validation"`` epoch and of the ``"last"`` epoch, by name."""
        graph = graph if self.purify is None else self.purify(graph)
        x, device = graph.x, graph.x.device
        with isolated_rng(seed, device):
            module = self.build(graph.num_features, graph.num_classes)
            if not any(True for _ in module.parameters()):
                raise ValueError(
                    f"victim {self.name!r} has no parameters to train; write your own Victim."
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
    """Mean cross-entropy over nodes, ``logits`` [L, C], or over samples and nodes, [S, L, C]."""
    samples = logits.unsqueeze(0) if logits.dim() == 2 else logits
    return cross_entropy(samples.flatten(0, 1), labels.repeat(samples.size(0)))


def _hits(logits: Tensor, labels: Tensor, nodes: Tensor | None) -> int:
    """The number of ``nodes`` whose largest logit is at their label; 0 without nodes."""
    return 0 if nodes is None else int((logits[nodes].argmax(dim=1) == labels[nodes]).sum())


def _edge_inputs(module: nn.Module, graph: NodeGraph) -> tuple[Tensor, ...]:
    weight = graph.edge_weight
    if weight is None or getattr(module, "supports_edge_weight", True) is False:
        return (graph.edge_index,)
    return graph.edge_index, weight
