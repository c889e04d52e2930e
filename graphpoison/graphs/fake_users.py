"""Fake users, which an attacker adds to a graph of interactions."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .._checks import pair_index, positive_int
from .codes import among, decode, encode
from .pairs import PairState


@dataclass(frozen=True, eq=False)
class FakeUsers:
    """Fake users, numbered after the real users. All their pairs are training pairs.

    Args:
        count: number of fake users.
        edges: LongTensor [2, K], their initial interactions; fake users are numbered from 0 here.
        latent: fixed embeddings [count, D], one tensor for each user table of the model; empty if
            fake users have trained embeddings, as real users do.
    """

    count: int
    edges: Tensor
    latent: tuple[Tensor, ...] = ()

    def __post_init__(self) -> None:
        positive_int("count", self.count)

    def extend(self, state: PairState, listed: bool = True) -> PairState:
        """``state`` with these users added. Only the pairs of fake users are candidates.

        Args:
            state: a clean bipartite graph.
            listed: whether the surrogate trains on the pairs that ``state`` lists.

        Raises:
            ValueError: ``listed`` is True, but ``state`` has implicit candidates and therefore
                lists no negatives.
        """
        if state.implicit_candidates and listed:
            raise ValueError(
                "candidates='all' has no list of pairs, so that flips cannot be limited to the "
                "fake users; use candidates='sampled' (every pair of a fake user is a candidate "
                "in any case)."
            )
        device = state.weight.device
        fresh, edges = self.pairs(state.shape, device), self.numbered(state.shape).to(device)
        absent = fresh[:, ~among(fresh, edges, state.shape[1])]
        grown = PairState.build(
            torch.cat([state.index[:, state.clean > 0], edges], dim=1),
            torch.cat([state.index[:, state.clean == 0], absent], dim=1),
            (state.shape[0] + self.count, state.shape[1]),
            bipartite=True,
            candidate_codes=encode(fresh, state.shape[1]),
        )
        return grown.with_backend(state.pattern.backend).with_ranks(state.pattern.ranks)

    def numbered(self, shape: tuple[int, int]) -> Tensor:
        """``edges`` with users numbered after the users of a graph of ``shape``."""
        edges = pair_index("edges", self.edges, (self.count, shape[1]))
        return torch.stack([edges[0] + shape[0], edges[1]])

    def pairs(self, shape: tuple[int, int], device: torch.device) -> Tensor:
        """All pairs of these users, LongTensor [2, count x items]; the users are numbered after the
        users of a graph of ``shape``."""
        start, items = shape
        codes = torch.arange(start * items, (start + self.count) * items, device=device)
        return decode(codes, items)

    def arrays(self) -> dict[str, np.ndarray]:
        """The users as arrays, which :meth:`of_arrays` reads."""
        latent = {f"fake_latent_{number}": part for number, part in enumerate(self.latent)}
        found = {"fake_count": torch.tensor(self.count), "fake_edges": self.edges, **latent}
        return {name: tensor.cpu().numpy() for name, tensor in found.items()}

    @classmethod
    def of_arrays(cls, arrays: dict[str, np.ndarray]) -> "FakeUsers":
        """The users from the result of :meth:`arrays`.

        Raises:
            ValueError: the arrays have other names.
        """
        latent = [f"fake_latent_{number}" for number in range(len(arrays) - 2)]
        if {"fake_count", "fake_edges", *latent} != set(arrays):
            raise ValueError(f"the arrays of fake users have other names: {sorted(arrays)}")
        return cls(
            int(arrays["fake_count"]),
            torch.from_numpy(arrays["fake_edges"]),
            tuple(torch.from_numpy(arrays[name]) for name in latent),
        )
