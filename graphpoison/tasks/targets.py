"""The users and pairs of an objective of rankings."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Targets:
    """The target users of an objective, and the pairs that the objective ranks or hides.

    Args:
        users: LongTensor [n], the target users, whose rankings are measured.
        relevant: LongTensor [2, R], pairs (user, item) whose ranking is measured.
        hidden: LongTensor [2, H], interactions that the surrogate is not trained on.
        seen: LongTensor [2, S], pairs of ``users`` that are not ranked.
    """

    users: Tensor
    relevant: Tensor
    hidden: Tensor
    seen: Tensor

    def rows(self, pairs: Tensor, num_items: int) -> Tensor:
        """``pairs`` of the counted users as a BoolTensor [n, I]."""
        place = pairs.new_full((int(torch.cat([self.users, pairs[0]]).max()) + 1,), -1)
        place[self.users] = torch.arange(self.users.numel(), device=pairs.device)
        row = place[pairs[0]]
        found = torch.zeros(
            self.users.numel(), num_items, dtype=torch.bool, device=self.users.device
        )
        found[row[row >= 0], pairs[1][row >= 0]] = True
        return found

    def also_seen(self, pairs: Tensor) -> "Targets":
        """Returns targets in which ``pairs`` [2, K] are not ranked either."""
        return replace(self, seen=torch.cat([self.seen, pairs], dim=1))

    def with_lists(self, scores: Tensor, k: int) -> "Targets":
        """Returns targets whose relevant items are the ``k`` best items of each counted user, by
        ``scores`` [n, I], among the items that the user has not seen.

        Raises:
            ValueError: no user lacks an item.
        """
        ranked = scores.masked_fill(self.rows(self.seen, scores.size(1)), -torch.inf)
        best = ranked.topk(min(k, scores.size(1)), dim=1)
        row, place = (best.values > -torch.inf).nonzero(as_tuple=True)
        if not row.numel():
            raise ValueError("the users that count have all items: nothing to rank.")
        return replace(self, relevant=torch.stack([self.users[row], best.indices[row, place]]))
