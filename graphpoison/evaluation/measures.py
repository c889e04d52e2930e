"""Metrics of the clean and of the poisoned victim, both on the same nodes, pairs or lists."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .._random import numpy_generator
from ..graphs import Graph, Interactions, NodeGraph
from ..graphs.codes import among
from ..metrics import PAIR_METRICS, accuracy, link_metrics
from ..perturbation import Perturbation
from ..victims.base import VICTIM_STREAM
from .checkpoint import Measured
from .fitted import Fitted
from .lists import read_victim
from .ranking import Lists, Ranking
from .unseen_pairs import unseen_pairs


class AccuracyMeasure:
    """The accuracy of fitted node classifiers on the nodes of ``test_mask``.

    Raises:
        TypeError, ValueError: a mask is missing, sets no node, or sets a node without a label.
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


class Part(NamedTuple):
    """Pairs [2, K] of real users, and their labels [K] in the clean and in the poisoned graph."""

    split: str
    pairs: Tensor
    clean: Tensor
    poisoned: Tensor


class PairMetrics:
    """Log loss, accuracy and AUROC of fitted recommenders on training and on unseen pairs.

    Args:
        graph: the clean graph, with its negatives.
        metrics: names from :data:`graphpoison.metrics.PAIR_METRICS`.
        include_perturbed: keep the perturbed pairs, with the labels of the poisoned graph.
        default: leave out log loss and accuracy of victims whose scores are not log-odds.
    """

    def __init__(
        self,
        graph: Interactions,
        metrics: Sequence[str],
        include_perturbed: bool,
        default: bool = False,
    ) -> None:
        self.graph, self.include_perturbed = graph, include_perturbed
        self.default = default
        self.metrics = [name for name in PAIR_METRICS if name in metrics]
        self.unseen = unseen_pairs(graph, numpy_generator(0, VICTIM_STREAM)) if metrics else None

    def parts(self, poisoned: Interactions) -> Iterator[Part]:
        """The pairs to score; none without metrics."""
        if not self.metrics:
            return
        listed = poisoned.training_pairs.index
        listed = listed[:, listed[0] < self.graph.num_real_users]
        yield Part("train", listed, _labels(self.graph, listed), _labels(poisoned, listed))
        if self.unseen is not None:
            yield Part("unseen", self.unseen[0], self.unseen[1], self.unseen[1])

    def compare(
        self, part: Part, before: Tensor, now: Tensor, attack: Perturbation, log_odds: bool = True
    ) -> list[Measured]:
        """The metrics of both victims, from their scores ``before`` [K] and ``now`` [K]."""
        kept = torch.ones_like(part.pairs[0], dtype=torch.bool)
        if not self.include_perturbed:
            left_out = attack.pairs.to(part.pairs.device)
            kept = ~among(part.pairs, left_out, self.graph.num_items)
        clean = link_metrics(before[kept], part.clean[kept])
        poisoned = link_metrics(now[kept], part.poisoned[kept])
        names = self.metrics if log_odds or not self.default else ["auroc"]
        return [Measured(name, part.split, clean[name], poisoned[name]) for name in names]


@dataclass(frozen=True, eq=False)
class RecommenderMeasure:
    """Metrics of pairs and, with a ``ranking``, of lists of fitted recommenders.

    A victim computes the scores of a user once for all metrics.
    """

    graph: Interactions
    pairs: PairMetrics
    ranking: Ranking | None = None

    def __call__(
        self, clean: Fitted, after: Fitted, poisoned: Graph, attack: Perturbation
    ) -> list[Measured]:
        assert isinstance(poisoned, Interactions)
        parts = list(self.pairs.parts(poisoned))
        wanted = [part.pairs for part in parts]
        before_lists, before = self._read(clean, wanted, poisoned)
        now_lists, now = before_lists, before
        if after is not clean:
            now_lists, now = self._read(after, wanted, poisoned)
        found: list[Measured] = []
        log_odds = bool(getattr(clean.model, "log_odds", True))
        for part, first, second in zip(parts, before, now, strict=True):
            found += self.pairs.compare(part, first, second, attack, log_odds)
        if self.ranking is not None:
            found += self.ranking(Lists(before_lists, now_lists), attack)
        return found

    def _read(
        self, fitted: Fitted, wanted: Sequence[Tensor], poisoned: Interactions
    ) -> tuple[Tensor, list[Tensor]]:
        if self.ranking is None:
            return torch.empty(0, 0), [fitted.pairs(pairs) for pairs in wanted]
        hidden, k = self.ranking.hidden(poisoned), self.ranking.k
        return read_victim(fitted, self.ranking.users, hidden, k, wanted)


Measure = AccuracyMeasure | RecommenderMeasure


def _labels(graph: Interactions, pairs: Tensor) -> Tensor:
    """1 [K] where ``pairs`` are training interactions, else 0."""
    return among(pairs, graph.edge_index, graph.num_items).float()
