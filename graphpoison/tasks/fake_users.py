"""A recommendation task with fake users in its graph."""

import copy
from dataclasses import replace

from ..graphs import FakeUsers
from ..models.extra_users import with_extra_users
from .recommendation import Recommendation


def with_fake_users(task: Recommendation, users: FakeUsers) -> Recommendation:
    """``task`` on the graph that ``users`` have joined; their pairs are the only candidates.

    The attack loss stays as it was: target pairs are pairs of real users. The surrogate's real
    users and items start as in ``task``, where its scores come from tables of embeddings.

    Raises:
        ValueError: all pairs are candidates, unlisted; fixed embeddings do not fit the surrogate.
        TypeError: fixed embeddings for a surrogate that is not made of tables.
    """
    grown = copy.copy(task)
    grown.state = users.extend(task.state, listed=not task.surrogate.is_closed_form)
    grown.fake_users = users
    grown.surrogate = with_extra_users(task.surrogate, users)
    if task.target_pairs is not None:
        grown.target_pairs = replace(task.target_pairs, shape=grown.state.shape)
    return grown
