"""Attacks by users who are signed up for the purpose, each around an attack that picks flips."""

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
    """Fake users join the graph, then ``attack`` flips pairs of theirs and of nobody else.

    All their pairs are training pairs: the interactions they start with, all others negatives.
    They are part of the result, see ``Perturbation.fake_users``, and are there with 0 flips too.
    """

    num_users: int
    attack: Attack

    @abstractmethod
    def fake_users(self, task: Recommendation, seed: int) -> FakeUsers:
        """The users who join; ``task`` is the task of the clean graph."""

    def aimed(self, task: Recommendation) -> Recommendation:
        """``task`` with the objective of this attack, where it has one of its own."""
        return task

    @final
    def __call__(
        self,
        task: Task[Any],
        budget: Budget | int,
        seed: int = 0,
        progress: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
        max_memory: int | str | None = None,
    ) -> Perturbation:
        """Run the attack, as :meth:`graphpoison.Attack.__call__` does on the grown graph.

        A share given as ``Budget.fraction`` is one of the edges of the grown graph. Pseudo-labels
        come from the clean one.

        Raises:
            TypeError: the task is no :class:`~graphpoison.Recommendation`, or not of a surrogate
                that the method can be used with.
            ValueError: the task's candidates are all pairs, unlisted; see also there.
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
        """The task of the graph that the users have joined, of a checkpoint if there is one.

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
        """The fake users of a checkpoint of this run; anew, they could differ in rounding."""
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
    """Users without any interaction join (thesis, section 3.11 and Algorithm 5).

    ``NewUsers(47, objective=Promote(items), profile_length=85)`` optimises all profiles jointly
    for an objective of rankings; a budget of ``num_users * profile_length`` flips fills them.

    Args:
        num_users: how many.
        attack: the choice of flips; Algorithm 5 with a :class:`~graphpoison.MetaAttack`, its
            baseline with a :class:`~graphpoison.RandomAttack`. By default
            ``ProfileAttack(profile_length)`` where a length is given, else a meta-attack that adds.
        objective: takes the place of the task's objective, for a surrogate in closed form.
        profile_length: number of interactions of each fake user; only without ``attack``.

    Raises:
        TypeError, ValueError: a setting out of range; both ``attack`` and ``profile_length``.
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
        elif self.profile_length is not None and not isinstance(self.attack, ProfileAttack):
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
    """Users who resemble real ones join (thesis, section 3.12).

    Args:
        num_users: how many, at most as many as there are real users to resemble.
        method: ``"sample"``: each has a part of the items of one real user, drawn without
            repetition; ``"kmeans"``: the surrogate is trained on the clean graph, its user
            embeddings are clustered, and the means are the embeddings of the fake users. They have
            no interactions at first, and their embeddings are not trained, neither in the
            surrogate nor in a victim, whose embeddings must be of the same size.
        fraction: the share of a real user's items that ``"sample"`` takes, at least one.
        attack: what picks the flips.
        training: how the surrogate is trained for ``"kmeans"``; as the attack trains it if left
            out. Name it to give a :class:`~graphpoison.RandomAttack` the same fake users.
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
