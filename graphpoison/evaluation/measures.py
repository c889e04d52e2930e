"""Metrics of the clean and of the poisoned victim, both on the same nodes or pairs."""

from collections.abc import Iterator

import torch
from torch import Tensor

from .._random import numpy_generator
from ..graphs import Graph, Interactions, NodeGraph
from ..graphs.codes import among
from ..metrics import accuracy, link_metrics
from ..perturbation import Perturbation
from ..victims.base import VICTIM_STREAM
from .checkpoint import Measured
from .fitted import Fitted
from .unseen_pairs import unseen_pairs


class AccuracyMeasure:
    """The accuracy of fitted node classifiers on the nodes of ``test_mask``.

    Raises:
        TypeError, ValueError: a mask is missing, sets no node, or a node without a label.
    """

    def __init__(self, graph: NodeGraph) -> None:
        if graph.test_mask is None:
            raise ValueError("data.test_mask is missing: evaluate needs nodes to test on.")
        for name in ("train_mask", *(["val_mask"] if graph.val_mask is not None else [])):
            graph.mask(name)
        self.graph, self.mask = graph, graph.mask("test_mask")

    def __call__(
        self, clean: Fitted, after: Fitted, poisoned: Graph, attack: Perturbation
    ) -> list[Measured]:
        before, now = (
            accuracy(fitted.logits()[self.mask], self.graph.y[self.mask])
            for fitted in (clean, after)
        )
        return [Measured("accuracy", "test", before, now)]


class PairMeasure:
    """Log loss, accuracy and AUROC of fitted recommenders on training and on unseen pairs.

    Args:
        graph: the clean graph, with its negatives.
        include_perturbed: keep the perturbed pairs, with the labels of the poisoned graph.
    """

    def __init__(self, graph: Interactions, include_perturbed: bool) -> None:
        self.graph, self.include_perturbed = graph, include_perturbed
        self.unseen = unseen_pairs(graph, numpy_generator(0, VICTIM_STREAM))

    def __call__(
        self, clean: Fitted, after: Fitted, poisoned: Graph, attack: Perturbation
    ) -> list[Measured]:
        assert isinstance(poisoned, Interactions)
        found: list[Measured] = []
        left_out = None if self.include_perturbed else attack.pairs.to(poisoned.edge_index.device)
        for split, pairs, clean_labels, labels in self._splits(poisoned):
            kept = torch.ones_like(pairs[0], dtype=torch.bool)
            if left_out is not None:
                kept = ~among(pairs, left_out, self.graph.num_items)
            before = link_metrics(clean.pairs(pairs)[kept], clean_labels[kept])
            now = link_metrics(after.pairs(pairs)[kept], labels[kept])
            found += [Measured(name, split, before[name], now[name]) for name in before]
        return found

    def _splits(self, poisoned: Interactions) -> Iterator[tuple[str, Tensor, Tensor, Tensor]]:
        """Name, pairs [2, K] of real users, and their labels in the clean and in the poisoned
        graph."""
        listed = poisoned.training_pairs.index
        listed = listed[:, listed[0] < self.graph.num_real_users]
        yield "train", listed, _labels(self.graph, listed), _labels(poisoned, listed)
        if self.unseen is not None:
            yield "unseen", self.unseen[0], self.unseen[1], self.unseen[1]


Measure = AccuracyMeasure | PairMeasure


def measure_of(graph: Graph, include_perturbed: bool) -> Measure:
    """The metrics that victims on ``graph`` are measured by."""
    if isinstance(graph, Interactions):
        return PairMeasure(graph, include_perturbed)
    return AccuracyMeasure(graph)


def _labels(graph: Interactions, pairs: Tensor) -> Tensor:
    """1 [K] where ``pairs`` are training interactions, else 0."""
    return among(pairs, graph.edge_index, graph.num_items).float()
