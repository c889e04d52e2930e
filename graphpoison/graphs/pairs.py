"""The graph under attack: pairs of nodes with weights; a pair of weight 0 is no edge."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from .._ranks import Ranks
from ..sparse.pattern import Pattern
from .codes import encode
from .connectivity import bridges


@dataclass(frozen=True, eq=False)
class PairState:
    """Node pairs with weights, before, during or after an attack; never changed in place.

    Args:
        pattern: the M listed pairs, sorted by (source, target), each once. In a homogeneous graph
            each pair is stored once, with source < target.
        weight: Tensor [M], above 0 for edges (1 if the data have no edge weights), 0 for other
            pairs.
        clean: Tensor [M], the weights before the attack.
        candidate: BoolTensor [M], which listed pairs the attacker may flip.
        flipped: BoolTensor [M], which pairs the attacker has flipped.
        bipartite: whether sources and targets are different kinds of nodes.
        implicit_candidates: whether every pair that is *not* listed is a candidate of weight 0 too
            (``candidates="all"``, without a list of N^2 pairs).
        candidate_mask: BoolTensor [rows, cols], the implicit candidates; None for all pairs.
        features: binary node features that the attacker may flip too, as the pairs (node, feature)
            of a bipartite graph; None if features are not attacked.
    """

    pattern: Pattern
    weight: Tensor
    clean: Tensor
    candidate: Tensor
    flipped: Tensor
    bipartite: bool
    implicit_candidates: bool = False
    candidate_mask: Tensor | None = None
    features: "PairState | None" = None

    @classmethod
    def build(
        cls,
        edges: Tensor,
        absent: Tensor,
        shape: tuple[int, int],
        *,
        bipartite: bool,
        implicit_candidates: bool = False,
        candidate_codes: Tensor | None = None,
        edge_weight: Tensor | None = None,
    ) -> "PairState":
        """A clean state of the pairs ``edges`` and ``absent``, both ``[2, *]`` without repetition.

        ``candidate_codes`` are the codes of the candidates; by default all pairs are candidates.
        ``edge_weight`` are the weights of ``edges``, above 0; 1 by default.
        """
        index = torch.cat([edges, absent], dim=1)
        codes = encode(index, shape[1])
        order = torch.argsort(codes)
        if edge_weight is None:
            edge_weight = torch.ones(edges.size(1), device=index.device)
        clean = torch.cat([edge_weight, edge_weight.new_zeros(absent.size(1))])[order]
        candidate = torch.ones_like(clean, dtype=torch.bool)
        if candidate_codes is not None:
            candidate = torch.isin(codes[order], candidate_codes)
        return cls(
            pattern=Pattern.of(index[:, order], shape),
            weight=clean,
            clean=clean,
            candidate=candidate,
            flipped=torch.zeros_like(candidate),
            bipartite=bipartite,
            implicit_candidates=implicit_candidates,
        )

    def with_backend(self, backend: str) -> "PairState":
        """The same graph, with ``backend`` as the kernel of its sparse products."""
        if backend == self.pattern.backend:
            return self  # keeps what its pattern has cached
        features = None if self.features is None else self.features.with_backend(backend)
        return replace(self, pattern=replace(self.pattern, backend=backend), features=features)

    def with_ranks(self, ranks: Ranks) -> "PairState":
        """The same graph, whose work ``ranks`` share."""
        features = None if self.features is None else self.features.with_ranks(ranks)
        return replace(self, pattern=replace(self.pattern, ranks=ranks), features=features)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of source and of target nodes."""
        return self.pattern.shape

    @property
    def index(self) -> Tensor:
        """LongTensor [2, M] of the listed pairs."""
        return self.pattern.index

    @property
    def num_listed(self) -> int:
        return self.pattern.num_entries

    @cached_property
    def num_pairs(self) -> int:
        """The number of listed and implicit pairs, which is the length of a meta-gradient."""
        if not self.implicit_candidates:
            return self.num_listed
        if self.candidate_mask is not None:
            return int((self.candidate_mask | self.occupied).sum())
        rows, cols = self.shape
        return rows * cols if self.bipartite else rows * (rows - 1) // 2

    @property
    def occupied(self) -> Tensor:
        """Which pairs are listed, BoolTensor [rows, cols]."""
        found = torch.zeros(self.shape, dtype=torch.bool, device=self.weight.device)
        found[tuple(self.index)] = True
        return found

    @cached_property
    def num_edges(self) -> int:
        """Number of clean edges, the base of a fractional budget."""
        return int((self.clean > 0).sum())

    @cached_property
    def edges(self) -> Tensor:
        """LongTensor [2, E] of the pairs that are edges now."""
        return self.index[:, self.weight > 0]

    @cached_property
    def degrees(self) -> tuple[Tensor, Tensor]:
        """Degrees of sources and of targets now; twice the same tensor in a homogeneous graph."""
        return self.count_ends(self.edges)

    @cached_property
    def clean_degrees(self) -> tuple[Tensor, Tensor]:
        """Degrees before the attack."""
        return self.count_ends(self.index[:, self.clean > 0])

    @cached_property
    def bridges(self) -> Tensor:
        """BoolTensor [M], True for bridges (edges that are the only path between their ends)."""
        found = torch.zeros_like(self.flipped)
        found[self.weight > 0] = bridges(self.joint_edges, self.num_nodes)
        return found

    @property
    def num_nodes(self) -> int:
        """Number of nodes; in a bipartite graph, of both sides together."""
        return sum(self.shape) if self.bipartite else self.shape[0]

    @property
    def joint_edges(self) -> Tensor:
        """:attr:`edges`, with the targets of a bipartite graph numbered after its sources."""
        source, target = self.edges
        return torch.stack([source, target + self.shape[0]]) if self.bipartite else self.edges

    def count_ends(self, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """The number of ``pairs`` [2, K] at each source and at each target; twice the same tensor
        in a homogeneous graph."""
        if self.bipartite:
            source, target = (
                torch.bincount(ends, minlength=size)
                for ends, size in zip(pairs, self.shape, strict=True)
            )
            return source, target
        both = torch.bincount(pairs.flatten(), minlength=self.shape[0])
        return both, both

    def locate(self, pairs: Tensor) -> Tensor:
        """Positions of ``pairs`` [2, K] in :attr:`index`: LongTensor [K], -1 if not listed."""
        codes = encode(pairs, self.shape[1])
        if not self.num_listed:
            return torch.full_like(codes, -1)
        position = torch.searchsorted(self.pattern.codes, codes).clamp(max=self.num_listed - 1)
        return torch.where(self.pattern.codes[position] == codes, position, -1)

    def is_edge(self, pairs: Tensor) -> Tensor:
        """Which of ``pairs`` [2, K] are edges now: BoolTensor [K]."""
        position = self.locate(pairs)
        if not self.num_listed:
            return torch.zeros_like(position, dtype=torch.bool)
        return (position >= 0) & (self.weight[position.clamp(min=0)] > 0)

    def flip(self, pairs: Tensor) -> "PairState":
        """The state after flipping ``pairs`` [2, K], which must be distinct.

        An edge gets weight 0. Another pair becomes an edge: with its clean weight if it was an edge
        before the attack, else with weight 1.

        Raises:
            ValueError: a pair is neither listed nor an implicit candidate.
        """
        position = self.locate(pairs)
        listed = position[position >= 0]
        weight, flipped = self.weight.clone(), self.flipped.clone()
        clean = self.clean[listed]
        restored = torch.where(clean > 0, clean, 1.0)
        weight[listed] = torch.where(weight[listed] > 0, 0.0, restored)
        flipped[listed] = True
        state = replace(self, weight=weight, flipped=flipped)
        fresh = pairs[:, position < 0]
        if not fresh.size(1):
            return state
        if not self.implicit_candidates or not (
            self.candidate_mask is None or bool(self.candidate_mask[tuple(fresh)].all())
        ):
            raise ValueError(f"pairs {fresh.t().tolist()[:3]} are not candidates of this graph.")
        return state._insert(fresh)

    def flip_features(self, entries: Tensor) -> "PairState":
        """The state after flipping the pairs (node, feature) ``entries`` [2, K].

        Raises:
            ValueError: the features are not candidates.
        """
        if not entries.size(1):
            return self
        if self.features is None:
            raise ValueError("the features of this graph are not candidates.")
        return replace(self, features=self.features.flip(entries))

    def _insert(self, pairs: Tensor) -> "PairState":
        index = torch.cat([self.index, pairs], dim=1)
        order = torch.argsort(encode(index, self.shape[1]))
        ones = self.weight.new_ones(pairs.size(1))

        def merged(values: Tensor, new: Tensor) -> Tensor:
            return torch.cat([values, new.to(values.dtype)])[order]

        return replace(
            self,
            pattern=replace(self.pattern, row=index[0, order], col=index[1, order]),
            weight=merged(self.weight, ones),
            clean=merged(self.clean, torch.zeros_like(ones)),
            candidate=merged(self.candidate, ones),
            flipped=merged(self.flipped, ones),
        )
