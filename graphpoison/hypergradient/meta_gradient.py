"""The meta-gradient of a task at one graph, and the search for its best flips."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..constraints import Constraint, admissible, on_features, unlisted_additions
from ..graphs import PairState
from ..sparse import FactoredGradient
from ..training import Params


@dataclass(frozen=True, eq=False)
class Flips:
    """Pairs to flip, best first.

    Args:
        pairs: LongTensor [2, K], two nodes, or a node and a feature.
        added: BoolTensor [K], True where an edge appears or a feature becomes 1.
        score: Tensor [K], the first-order gain in attack loss.
        of_features: BoolTensor [K], True for flips of features; None if all flips are of edges.
    """

    pairs: Tensor
    added: Tensor
    score: Tensor
    of_features: Tensor | None = None

    def __post_init__(self) -> None:
        count = self.added.numel()
        if tuple(self.pairs.shape) != (2, count) or self.score.shape != (count,):
            raise ValueError(
                f"pairs must be [2, K], added and score [K], found shapes "
                f"{tuple(self.pairs.shape)}, {tuple(self.added.shape)} and "
                f"{tuple(self.score.shape)}."
            )

    @classmethod
    def none(cls, state: PairState) -> "Flips":
        """No flips of ``state``."""
        pairs = state.index[:, :0]
        return cls(pairs, pairs[0] > 0, state.weight[:0])

    def __len__(self) -> int:
        return self.pairs.size(1)

    def take(self, keep: Tensor | slice) -> "Flips":
        """The flips at ``keep``, an index, mask or slice."""
        of_features = None if self.of_features is None else self.of_features[keep]
        return Flips(self.pairs[:, keep], self.added[keep], self.score[keep], of_features)

    def with_features(self, features: "Flips") -> "Flips":
        """These flips of edges, then the flips ``features``."""
        which = torch.arange(len(self) + len(features), device=self.score.device) >= len(self)
        return replace(self.then(features), of_features=which)

    def then(self, others: "Flips") -> "Flips":
        """These flips, then ``others`` of the same kind."""
        return Flips(
            torch.cat([self.pairs, others.pairs], dim=1),
            torch.cat([self.added, others.added]),
            torch.cat([self.score, others.score.to(self.score.dtype)]),
        )

    def best(self, k: int) -> "Flips":
        """The ``k`` flips of the largest scores; of equal scores, the first."""
        return self.take(torch.argsort(self.score, descending=True, stable=True)[:k])

    def adds(self, state: PairState) -> Tensor:
        """BoolTensor [K]: which flips add an edge to ``state``, or set a feature to 1."""
        if self.of_features is None or state.features is None:
            return ~state.is_edge(self.pairs)
        return ~torch.where(
            self.of_features, state.features.is_edge(self.pairs), state.is_edge(self.pairs)
        )

    def made(self, state: PairState) -> PairState:
        """``state`` after these flips."""
        if self.of_features is None:
            return state.flip(self.pairs)
        edges = state.flip(self.pairs[:, ~self.of_features])
        return edges.flip_features(self.pairs[:, self.of_features])


@dataclass(frozen=True, eq=False)
class MetaGradient:
    """``d attack_loss / d w``, through training, for every candidate pair.

    Args:
        loss: the attack loss after training, a float.
        params: the surrogate's parameters after training.
        state: the graph at which it was computed.
        gradient: Tensor [M] for the listed pairs, or factors for all pairs where the state has
            implicit candidates.
        residual: the residual of the linear system, relative to its right-hand side, if the
            hypergradient solves one; else None.
        features: factors for all entries [N, F] of binary features that may be flipped too.
    """

    loss: float
    params: Params
    state: PairState
    gradient: Tensor | FactoredGradient
    residual: float | None = None
    features: FactoredGradient | None = None

    @property
    def values(self) -> Tensor:
        """The gradient as a Tensor [M] with an entry for each listed pair in the order of
        ``state.index``. If the state has implicit candidates, a Tensor [num_pairs] of all pairs
        (0, 1), (0, 2), ..., which takes memory for N^2 / 2 numbers."""
        if isinstance(self.gradient, FactoredGradient):
            return self.gradient.dense()
        return self.gradient

    @property
    def is_finite(self) -> bool:
        """Whether all entries are finite."""
        return all(_is_finite(part) for part in (self.gradient, self.features) if part is not None)

    @property
    def is_zero(self) -> bool:
        """Whether all entries of candidates are 0."""
        if self.features is not None and not self.features.is_zero:
            return False
        if isinstance(self.gradient, FactoredGradient):
            return self.gradient.is_zero
        return not bool(self.gradient[self.state.candidate].any())

    def at(self, pairs: Tensor) -> Tensor:
        """The entries [K] of ``pairs`` [2, K], which must be listed unless all pairs are
        candidates."""
        if isinstance(self.gradient, FactoredGradient):
            return self.gradient.at(pairs)
        return self.gradient[self.state.locate(pairs)]

    def topk(
        self,
        k: int,
        *,
        constraints: Sequence[Constraint] = (),
        allow_removals: bool = True,
        allow_additions: bool = True,
    ) -> Flips:
        r"""The ``k`` admissible flips of the largest score :math:`(1 - 2 w) \cdot \nabla_w`, or
        :math:`-w \cdot \nabla_w` for the removal of an edge of weight w.

        A flip is admissible if its pair is a candidate that was not flipped before and no
        constraint forbids the flip in the current graph. Fewer than ``k`` flips are returned if
        fewer are left. Edges and features compete by the same scores; setting a feature to 1 is an
        addition.
        """
        kinds = allow_removals, allow_additions
        edges = self._of_one_kind(k, constraints, *kinds)
        if self.features is None or self.state.features is None:
            return edges
        entries = MetaGradient(self.loss, self.params, self.state.features, self.features)
        rules = on_features(constraints, self.state)
        return edges.with_features(entries._of_one_kind(k, rules, *kinds)).best(k)

    def _of_one_kind(
        self,
        k: int,
        constraints: Sequence[Constraint],
        allow_removals: bool,
        allow_additions: bool,
    ) -> Flips:
        listed = self._listed(k, constraints, allow_removals, allow_additions)
        if not isinstance(self.gradient, FactoredGradient) or not allow_additions:
            return listed
        additions = unlisted_additions(self.state, constraints)
        pattern = self.state.pattern
        score, pairs = self.gradient.topk(k, pattern.codes, additions, pattern.ranks)
        return listed.then(Flips(pairs, torch.ones_like(score, dtype=torch.bool), score)).best(k)

    def _listed(
        self,
        k: int,
        constraints: Sequence[Constraint],
        allow_removals: bool,
        allow_additions: bool,
    ) -> Flips:
        state = self.state
        gradient = self.gradient
        if isinstance(gradient, FactoredGradient):
            gradient = gradient.at(state.index)
        present = state.weight > 0
        allowed = admissible(state, constraints, allow_removals, allow_additions)
        score = flip_scores(state.weight, gradient)
        score = torch.where(allowed, score, -torch.inf)
        top = score.topk(min(k, score.numel()))
        found = top.indices[top.values > -torch.inf]
        return Flips(state.index[:, found], ~present[found], score[found])


def _is_finite(gradient: Tensor | FactoredGradient) -> bool:
    if isinstance(gradient, FactoredGradient):
        return gradient.is_finite
    return bool(gradient.isfinite().all())


def flip_scores(weight: Tensor, gradient: Tensor) -> Tensor:
    """The first-order gain in attack loss from flipping pairs with ``weight`` [K], all [K]."""
    return torch.where(weight > 0, -weight.to(gradient.dtype) * gradient, gradient)
