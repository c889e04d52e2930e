"""Attacks by fake users, who join the graph; a second attack flips their pairs."""

import os
from abc import ABC, abstractmethod
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import torch
from torch import Tensor

from .._checks import choice, in_range, positive_int
from .._io import locked
from .._memory import limited
from .._random import derive_seed, generator, numpy_generator
from ..budget import Budget
from ..graphs import FakeUsers
from ..models.extra_users import user_tables
from ..perturbation import Perturbation
from ..tasks import Objective, Recommendation, Task
from ..tasks.fake_users import with_fake_users
from ..training import Training
from ..training.settings import check_training
from .base import Attack, settings_of
from .meta import MetaAttack
from .profiles import ProfileAttack
from .surrogate import SurrogateAttack

_COPIES, _CLUSTERS = 2**30, 2**30 + 1  # streams of the seed, beyond the steps of any attack


class Injection(ABC):
    """Adds fake users to the graph; then ``attack`` flips only pairs of fake users.

    All pairs of fake users are training pairs: initial interactions and, for all other items,
    negatives. The fake users are part of the result (``Perturbation.fake_users``), also with 0
    flips.
    """

    num_users: int
    attack: Attack

    @abstractmethod
    def fake_users(self, task: Recommendation, seed: int) -> FakeUsers:
        """Returns the users who join; ``task`` is the task on the clean graph."""

    def aimed(self, task: Recommendation) -> Recommendation:
        """Returns ``task`` with the objective of this attack, if the attack has one."""
        return task

    @final
    def __call__(
        self,
        task: Task[Any],
        budget: Budget | int | float,
        seed: int = 0,
        progress: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
        max_memory: int | str | None = None,
    ) -> Perturbation:
        """Run the attack on the graph with fake users, as :meth:`graphpoison.Attack.__call__`.

        ``Budget.fraction`` is a share of the edges of the graph with fake users. Pseudo-labels come
        from the clean graph.

        Raises:
            TypeError: the task is no :class:`~graphpoison.Recommendation`, or the method does not
                fit its surrogate.
            ValueError: the surrogate is trained in steps on all pairs without a list of them; or
                as :meth:`graphpoison.Attack.__call__` raises.
        """
        task = _recommendation(task)
        with ExitStack() as held:
            task.ranks.share(lambda: held.enter_context(locked(checkpoint)))
            with limited(max_memory, task.state.weight.device):
                grown = self.grown(task, seed, checkpoint)
            return self.attack.run(grown, budget, seed, progress, checkpoint, max_memory, by=self)

    @final
    def grown(
        self, task: Task[Any], seed: int, checkpoint: str | os.PathLike[str] | None = None
    ) -> Recommendation:
        """Returns the task on the graph with fake users, read from the checkpoint if there is one.

        Raises:
            TypeError: the task is no :class:`~graphpoison.Recommendation`.
        """
        task = _recommendation(task)
        bound = self.attack.setup(self.aimed(task), seed)
        assert isinstance(bound, Recommendation)
        before = task.ranks.share(lambda: self._joined(checkpoint, task, seed))
        joined = before or self.fake_users(bound, seed)
        return with_fake_users(bound, task.ranks.share(lambda: joined))

    def _joined(
        self, checkpoint: str | os.PathLike[str] | None, task: Recommendation, seed: int
    ) -> FakeUsers | None:
        """The fake users of a checkpoint of this run; drawn again, they may differ by rounding."""
        if checkpoint is None or not Path(checkpoint).exists():
            return None
        found = Perturbation.load(checkpoint)
        users, items = task.state.shape
        here = settings_of(self, task), seed, [users + self.num_users, items]
        there = tuple(found.meta.get(name) for name in ("settings", "seed", "shape"))
        return found.fake_users if there == here else None

    @property
    def surrogate_training(self) -> Training | None:
        """How the attack trains its surrogate, if it trains one."""
        return self.attack.training if isinstance(self.attack, SurrogateAttack) else None

    def _check(self) -> None:
        positive_int("num_users", self.num_users)
        if not isinstance(self.attack, Attack):
            raise TypeError(
                f"attack must be an attack such as MetaAttack(), found {self.attack!r}."
            )


def _recommendation(task: object) -> Recommendation:
    if not isinstance(task, Recommendation):
        raise TypeError(f"task must be a Recommendation, found {type(task).__name__}.")
    return task


def _additions() -> Attack:
    return MetaAttack(allow_removals=False)


@dataclass(frozen=True)
class NewUsers(Injection):
    """Adds fake users without interactions; an attack flips only their pairs (thesis, section 3.11
    and Algorithm 5).

    With a profile length, the profiles of all fake users are optimised jointly for an objective of
    rankings, as in ``NewUsers(47, objective=Promote(items), profile_length=85)``. A budget of
    ``num_users * profile_length`` flips fills all profiles.

    Args:
        num_users: number of fake users.
        attack: the attack that chooses the flips: a :class:`~graphpoison.MetaAttack` for Algorithm
            5, a :class:`~graphpoison.RandomAttack` for its baseline. By default
            ``ProfileAttack(profile_length)`` if a length is given, else
            ``MetaAttack(allow_removals=False)``.
        objective: replaces the objective of the task; for a surrogate in closed form. None keeps
            the objective of the task.
        profile_length: number of interactions of each fake user, for
            :class:`~graphpoison.ProfileAttack`. If ``attack`` is given too, it must have the same
            profile length.

    Raises:
        TypeError, ValueError: a setting is out of range; ``attack`` has another profile length, or
            none.
    """

    num_users: int = 50
    attack: Attack = None  # type: ignore[assignment]  # replaced by __post_init__
    objective: Objective | None = None
    profile_length: int | None = None

    def __post_init__(self) -> None:
        if self.attack is None:
            length = self.profile_length
            usual = _additions() if length is None else ProfileAttack(length)
            object.__setattr__(self, "attack", usual)
        elif self.profile_length not in (None, getattr(self.attack, "profile_length", None)):
            raise ValueError(
                f"profile_length={self.profile_length} belongs to ProfileAttack, found attack="
                f"{self.attack!r}; leave one of them out."
            )
        self._check()

    def aimed(self, task: Recommendation) -> Recommendation:
        return task if self.objective is None else task.with_objective(self.objective)

    def fake_users(self, task: Recommendation, seed: int) -> FakeUsers:
        none = torch.empty(2, 0, dtype=torch.long, device=task.state.weight.device)
        return FakeUsers(self.num_users, none)


@dataclass(frozen=True)
class SimilarUsers(Injection):
    """Adds fake users who resemble real users; an attack flips only the pairs of the fake users
    (thesis, section 3.12).

    Args:
        num_users: number of fake users, at most the number of real users (with interactions, for
            ``"sample"``).
        method: ``"sample"``: each fake user has a random part of the items of one real user; the
            real users are drawn without replacement. ``"kmeans"``: the surrogate is trained on the
            clean graph, its user embeddings are clustered, and the cluster means are the embeddings
            of the fake users. These users have no initial interactions. Their embeddings stay
            fixed in the surrogate and in a victim, whose user embeddings must have the same size.
        fraction: the share of a real user's items that ``"sample"`` takes, at least one item.
        attack: the attack that chooses the flips.
        training: training of the surrogate for ``"kmeans"``. None trains the surrogate as
            ``attack`` does. If ``attack`` trains no surrogate, ``training`` is required, as in
            ``SimilarUsers(method="kmeans", attack=RandomAttack(), training=training)``. The same
            training and seed give the same fake users.

    Raises:
        TypeError, ValueError: a setting is out of range; ``num_users`` is larger than the number of
            real users; ``"kmeans"`` with an attack that trains no surrogate and without
            ``training``, or with a surrogate that has no user embeddings.
    """

    num_users: int = 300
    method: Literal["sample", "kmeans"] = "sample"
    fraction: float = 0.5
    attack: Attack = field(default_factory=_additions)
    training: Training | None = None

    def __post_init__(self) -> None:
        self._check()
        choice("method", self.method, ["sample", "kmeans"])
        if self.training is not None:
            check_training(self.training)
        in_range("fraction", self.fraction, 0.0, 1.0, open_low=True)

    @property
    def surrogate_training(self) -> Training | None:
        return self.training or super().surrogate_training

    def fake_users(self, task: Recommendation, seed: int) -> FakeUsers:
        if self.method == "sample":
            return self._copies(task.state.edges, seed)
        return self._means(task, seed)

    def _copies(self, edges: Tensor, seed: int) -> FakeUsers:
        users, counts = edges[0].unique(return_counts=True)
        self._refuse_more_than(users.numel(), "users with interactions")
        items = np.split(edges[1].cpu().numpy(), counts.cumsum(0).cpu().numpy()[:-1])
        rng = numpy_generator(seed, _COPIES)
        chosen = rng.choice(len(items), self.num_users, replace=False)
        taken = [
            rng.permutation(items[user])[: max(1, round(self.fraction * len(items[user])))]
            for user in chosen
        ]
        owner = np.repeat(np.arange(self.num_users), [len(part) for part in taken])
        pairs = torch.from_numpy(np.stack([owner, np.concatenate(taken)]))
        return FakeUsers(self.num_users, pairs.to(edges.device))

    def _means(self, task: Recommendation, seed: int) -> FakeUsers:
        training, tables = self.surrogate_training, user_tables(task.surrogate)
        if training is None:
            raise TypeError(
                f"method='kmeans' trains a surrogate, and {self.attack!r} trains none; give "
                "training=Training(...)."
            )
        if not tables:
            raise TypeError(f"{task.surrogate!r} has no table of user embeddings to cluster.")
        self._refuse_more_than(task.state.shape[0], "users")
        params = task.train(training, task.state, task.init(generator(seed)))
        found = torch.cat([params[table] for table in tables], dim=1).cpu().numpy()
        random_state = derive_seed(seed, _CLUSTERS) % 2**32
        from sklearn.cluster import KMeans  # takes a second to import

        means = KMeans(self.num_users, random_state=random_state).fit(found).cluster_centers_
        widths = [params[table].size(1) for table in tables]
        latent = torch.from_numpy(means).to(params[tables[0]]).split(widths, dim=1)
        none = torch.empty(2, 0, dtype=torch.long, device=task.state.weight.device)
        return FakeUsers(self.num_users, none, latent)

    def _refuse_more_than(self, found: int, what: str) -> None:
        if self.num_users > found:
            raise ValueError(f"num_users={self.num_users} is more than the {found} {what}.")
