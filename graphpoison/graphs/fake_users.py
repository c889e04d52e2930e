"""Users that an attacker signs up: how a graph grows by them."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .._checks import pair_index, positive_int
from .codes import among, decode, encode
from .pairs import PairState


@dataclass(frozen=True, eq=False)
class FakeUsers:
    """Users with numbers after the real ones; every pair of theirs is a training pair.

    Args:
        count: how many.
        edges: LongTensor [2, K], their first interactions; the first fake user is user 0.
        latent: fixed embeddings [count, D], one tensor for each table of user embeddings that the
            model has; empty where embeddings are trained as for any other user.
    """

    count: int
    edges: Tensor
    latent: tuple[Tensor, ...] = ()

    def __post_init__(self) -> None:
        positive_int("count", self.count)

    def extend(self, state: PairState, listed: bool = True) -> PairState:
        """A clean bipartite ``state`` with these users, whose pairs are the only candidates.

        Args:
            state: the graph that they join.
            listed: whether the pairs that ``state`` lists decide what is trained on.

        Raises:
            ValueError: so they do, but ``state`` lists no negatives: all pairs are implicit
                candidates.
        """
        if state.implicit_candidates and listed:
            raise ValueError(
                "candidates='all' without a list of pairs leaves no way to keep the attacker to "
                "the fake users; use candidates='sampled' (every pair of a fake user is a "
                "candidate in any case)."
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
        """LongTensor [2, count x items]: all pairs of these users, numbered after the users of a
        graph of ``shape``."""
        start, items = shape
        codes = torch.arange(start * items, (start + self.count) * items, device=device)
        return decode(codes, items)

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays from which ``of_arrays`` makes the same users."""
        latent = {f"fake_latent_{number}": part for number, part in enumerate(self.latent)}
        found = {"fake_count": torch.tensor(self.count), "fake_edges": self.edges, **latent}
        return {name: tensor.cpu().numpy() for name, tensor in found.items()}

    @classmethod
    def of_arrays(cls, arrays: dict[str, np.ndarray]) -> "FakeUsers":
        latent = sorted(name for name in arrays if name.startswith("fake_latent_"))
        return cls(
            int(arrays["fake_count"]),
            torch.from_numpy(arrays["fake_edges"]),
            tuple(torch.from_numpy(arrays[name]) for name in latent),
        )
