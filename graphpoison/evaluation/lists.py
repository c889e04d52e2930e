"""The first k items of every user's ranking; scores are computed once per user."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..victims.base import USERS_AT_ONCE
from .fitted import Fitted


@dataclass(frozen=True, eq=False)
class Rows:
    """Pairs (user, item) by user: ``items[starts[u]:starts[u + 1]]`` are the items of user ``u``.

    Args:
        starts: LongTensor [U + 1].
        items: LongTensor [K].
    """

    starts: Tensor
    items: Tensor

    @classmethod
    def of(cls, pairs: Tensor, num_users: int) -> "Rows":
        """The rows of ``pairs`` [2, K]; pairs of users from ``num_users`` on are left out."""
        pairs = pairs[:, pairs[0] < num_users]
        counts = torch.bincount(pairs[0], minlength=num_users)
        starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        return cls(starts, pairs[1, pairs[0].argsort(stable=True)])

    def select(self, users: Tensor) -> Tensor:
        """The pairs [2, K'] of ``users`` [U'], with each user's position in ``users`` as number."""
        counts = self.starts[users + 1] - self.starts[users]
        place = torch.arange(users.numel(), device=users.device).repeat_interleave(counts)
        before = counts.cumsum(0) - counts
        within = torch.arange(place.numel(), device=users.device) - before[place]
        return torch.stack([place, self.items[self.starts[users][place] + within]])


def read_victim(
    fitted: Fitted, users: Tensor, hidden: Rows, k: int, wanted: Sequence[Tensor] = ()
) -> tuple[Tensor, list[Tensor]]:
    """The lists of ``users``, and the scores of pairs, from one pass over the users.

    Args:
        fitted: a trained recommender; it is asked for the scores of one batch of users at a time.
        users: LongTensor [U'] of users, sorted.
        hidden: the items of each user that are left out of the list.
        k: the length of the lists.
        wanted: further pairs [2, K] of these users to score. If the victim has its own method
            ``pairs``, this method scores them.

    Returns:
        The lists [U', k], as :func:`first_items` gives them, and the scores [K] of each of
        ``wanted``.

    Raises:
        TypeError: the scores are no Tensor.
        ValueError: the scores have another shape, or are not finite.
    """
    own = fitted.scores_pairs
    index = torch.cat([users.new_empty(2, 0), *([] if own else wanted)], dim=1)
    order = index[0].argsort(stable=True)
    sorted_users = index[0, order]
    lists, scores = [users.new_empty(0, k)], []
    for batch, block in fitted.blocks(users, USERS_AT_ONCE):
        low = int(torch.searchsorted(sorted_users, batch[0]))
        high = int(torch.searchsorted(sorted_users, batch[-1], right=True))
        chosen = index[:, order[low:high]]
        scores.append(block[torch.searchsorted(batch, chosen[0]), chosen[1]])
        shown = _hide(block, hidden.select(batch), fitted.name)
        lists.append(first_items(shown, k))
    if own or not scores:
        return torch.cat(lists), [fitted.pairs(pairs) for pairs in wanted]
    values = torch.cat(scores)
    values = torch.empty_like(values).index_copy(0, order, values)
    return torch.cat(lists), list(values.split([pairs.size(1) for pairs in wanted]))


def first_items(scores: Tensor, k: int) -> Tensor:
    """The ``k`` items [U', k] of the largest ``scores`` [U', I] in each row, the largest first.

    Of items with equal scores, the item with the smaller number comes first, on every device. Items
    with score ``-inf`` are in no list: a row with fewer than ``k`` other items is filled up with
    the number I, which is no item.
    """
    values, items = scores.topk(k, dim=1)
    last = values[:, -1:]
    tied = (scores >= last).sum(dim=1) > k
    if bool(tied.any()):
        items[tied] = _first_of_equal(scores[tied], last[tied], k)
    items = items.sort(dim=1).values
    values = scores.gather(1, items)
    order = values.argsort(dim=1, descending=True, stable=True)
    items = items.gather(1, order)
    return items.where(values.gather(1, order) > -torch.inf, items.new_tensor(scores.size(1)))


def _first_of_equal(scores: Tensor, last: Tensor, k: int) -> Tensor:
    """The items [U', k] with scores above ``last`` [U', 1], the k-th largest score, filled up with
    the first items that have exactly this score."""
    above, equal = scores > last, scores == last
    room = k - above.sum(dim=1, keepdim=True)
    chosen = above | (equal & (equal.cumsum(dim=1) <= room))
    return chosen.nonzero()[:, 1].view(-1, k)


def _hide(scores: Tensor, pairs: Tensor, victim: str) -> Tensor:
    """``scores`` [U', I] with ``-inf`` at ``pairs`` [2, K]; the other scores must be finite."""
    shown = scores.index_put((pairs[0], pairs[1]), scores.new_tensor(-torch.inf))
    finite = shown.isfinite()
    finite[pairs[0], pairs[1]] = True
    wrong = finite.numel() - int(finite.sum())
    if wrong:
        raise ValueError(
            f"victim {victim!r} has {wrong} scores that are not finite among {finite.numel()} "
            "pairs of users with items; give a finite score to every item that a user has not seen."
        )
    return shown
