"""A recommendation task with fake users in its graph."""

import copy
from dataclasses import replace

from ..fake_users import FakeUsers
from ..models import PairwiseRecommender
from ..models.extra_users import ExtraUsers
from .recommendation import Recommendation


def with_fake_users(task: Recommendation, users: FakeUsers) -> Recommendation:
    """``task`` on the graph that ``users`` have joined; their pairs are the only candidates.

    What the attacker wants stays as it was: probes are pairs of real users. The surrogate's real
    users and items start as in ``task``, where its scores come from tables of embeddings.

    Raises:
        ValueError: the task's graph is open, or fixed embeddings do not fit the surrogate.
        TypeError: fixed embeddings for a surrogate that is not made of tables.
    """
    grown = copy.copy(task)
    grown.state = users.extend(task.state)
    grown.fake_users = users
    if task.probe is not None:
        grown.probe = replace(task.probe, shape=grown.state.shape)
    if isinstance(task.surrogate, PairwiseRecommender):
        grown.pairwise = ExtraUsers(task.surrogate, users.count, users.latent)
        grown.surrogate = grown.pairwise
    elif users.latent:
        raise TypeError(
            f"{task.surrogate!r} does not score pairs from tables of user embeddings, in which "
            "fake users could have fixed ones; use CF, GMF, MLP or NeuMF."
        )
    return grown
