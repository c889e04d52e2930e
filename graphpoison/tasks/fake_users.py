"""A recommendation task with fake users in its graph."""

import copy
from dataclasses import replace

from ..graphs import FakeUsers
from ..models.extra_users import with_extra_users
from .recommendation import Recommendation


def with_fake_users(task: Recommendation, users: FakeUsers) -> Recommendation:
    """Returns ``task`` on the graph with fake ``users``; only their pairs are candidates.

    The attack loss is not changed: target pairs are pairs of real users. If the surrogate scores
    pairs from tables of embeddings, real users and items start from the same embeddings as in
    ``task``.

    Raises:
        ValueError: the surrogate is trained in steps on all pairs without a list of them; fixed
            embeddings do not fit the surrogate.
        TypeError: fixed embeddings for a surrogate without tables of embeddings.
    """
    grown = copy.copy(task)
    grown.state = users.extend(task.state, listed=not task.surrogate.is_closed_form)
    grown.fake_users = users
    grown.surrogate = with_extra_users(task.surrogate, users)
    if task.target_pairs is not None:
        grown.target_pairs = replace(task.target_pairs, shape=grown.state.shape)
    return grown
