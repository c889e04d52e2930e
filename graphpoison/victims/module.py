"""Any module as a victim, trained with early stopping on the validation nodes."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch_geometric.data import Data

from .._checks import in_range, positive_int
from .._random import isolated_rng
from ..graph.labelled import labelled_nodes, training_masks
from ..models.module import refuse_cached
from .base import NodeVictim
from .sparse_input import SparseInput

ModuleFactory = Callable[[int, int], nn.Module]
"""``factory(num_features, num_classes)`` -> module with forward(x, edge_index, edge_weight)."""


@dataclass(frozen=True)
class ModuleVictim(NodeVictim):
    """A module trained as in Kipf and Welling (2017) and most of the attack literature.

    Adam; the epoch with the best validation accuracy is kept (the earliest of equals), or the last
    where no ``val_mask`` sets a node. A module with a method ``penalty()`` has what that returns,
    asked for after each forward pass, added to its loss.

    Args:
        build: makes the module, given the numbers of features and classes. Edge weights, if the
            graph has any, are its third argument, unless it says ``supports_edge_weight = False``
            as PyG's models do.
        name: what the table calls it.
        epochs, lr, weight_decay: of training; the decay is on all parameters.
        purify: what the defender does to the graph first, see :mod:`graphpoison.victims.purify`.

    Raises:
        TypeError, ValueError: features, labels or masks are not what they should be.
        FloatingPointError: training is not finite.
    """

    build: ModuleFactory
    name: str
    epochs: int = 200
    lr: float = 0.01
    weight_decay: float = 5e-4
    purify: Callable[[Data], Data] | None = None

    def __post_init__(self) -> None:
        positive_int("epochs", self.epochs)
        in_range("lr", self.lr, 0.0, float("inf"), open_low=True)
        in_range("weight_decay", self.weight_decay, 0.0, float("inf"))

    def train(self, data: Data, seed: int) -> Tensor:
        data = labelled_nodes(data, training_masks(data))
        data = data if self.purify is None else self.purify(data)
        x, device = data.x, data.x.device
        num_classes = int(data.y.max()) + 1
        with isolated_rng(seed, device):
            module = self.build(x.size(1), num_classes).to(device=device, dtype=x.dtype)
            refuse_cached(module)
            with SparseInput(x):
                logits = self._fit(module, data, _edge_inputs(module, data))
        if not bool(logits.isfinite().all()):
            raise FloatingPointError(
                f"training of {self.name!r} diverged: its logits are not finite; use a smaller lr."
            )
        return logits

    def _fit(self, module: nn.Module, data: Data, edges: tuple[Tensor, ...]) -> Tensor:
        optimizer = torch.optim.Adam(
            module.parameters(), lr=self.lr, weight_decay=self.weight_decay
        )
        masks = [data[name].nonzero().squeeze(1) for name in training_masks(data)]
        labelled, validation = masks[0], masks[1] if masks[1:] else None
        penalty = getattr(module, "penalty", None)
        best = -1
        kept: Tensor | None = None
        for _ in range(self.epochs):
            module.train()
            optimizer.zero_grad()
            logits = module(data.x, *edges)
            loss = cross_entropy(logits[labelled], data.y[labelled])
            (loss if penalty is None else loss + penalty()).backward()
            optimizer.step()
            module.eval()
            with torch.no_grad():
                logits = module(data.x, *edges)
            score = _hits(logits, data.y, validation)
            if validation is None or score > best:
                best, kept = score, logits
        assert kept is not None
        return kept


def _hits(logits: Tensor, labels: Tensor, nodes: Tensor | None) -> int:
    """How many of ``nodes`` have their largest logit at their label."""
    return 0 if nodes is None else int((logits[nodes].argmax(dim=1) == labels[nodes]).sum())


def _edge_inputs(module: nn.Module, data: Data) -> tuple[Tensor, ...]:
    weight = getattr(data, "edge_weight", None)
    if weight is None or getattr(module, "supports_edge_weight", True) is False:
        return (data.edge_index,)
    return data.edge_index, weight
