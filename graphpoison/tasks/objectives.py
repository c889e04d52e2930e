"""Objectives of attacks on rankings: users to harm, or items to promote or to demote.

An objective defines the target users (whose rankings are measured), the items that are relevant for
them, the interactions that are hidden from the surrogate, and the value that the attacker
maximises.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from .._checks import choice, in_range, indices, node_ids, positive_int
from ..graphs import Interactions
from .ranking_losses import LOSSES, RankingLoss, named_loss, unranked
from .targets import Targets

Loss = Literal["softmax-mass", "margin", "ndcg"]

SMOOTH_TEMPERATURE = 0.005
"""The temperature of ``"ndcg"`` for ``Degrade.before``, whose surrogate has smaller scores."""


class Objective(ABC):
    """A value that the attacker maximises, computed from the scores of the target users.

    Attributes:
        k: length of the recommended list.
        off_limits: users [n] whose own interactions the attacker must not flip, or None.
        clean_lists: whether the relevant items are the lists of the clean surrogate.
        usual_l2: the penalty of an EASE whose ``l2`` is None.
        usual_start: the heuristic that the search for flips starts from, or None.
        before: the objective that the first half of the flips maximises, or None.
    """

    k: int
    clean_lists: ClassVar[bool] = False
    usual_l2: float = 300.0
    usual_start: str | None = None
    before: "Objective | None" = None

    @property
    def off_limits(self) -> Tensor | None:
        return None

    def turn(self, number: int) -> "Objective":
        """Returns the objective of gradient ``number``; several losses are taken in turn."""
        return self

    @abstractmethod
    def targets(self, graph: Interactions, draw: torch.Generator) -> Targets:
        """Returns the target users and their pairs; ``draw`` chooses the hidden interactions.

        Raises:
            ValueError: users or items that ``graph`` does not have; no pair is left to rank.
        """

    @abstractmethod
    def value(self, scores: Tensor, targets: Targets) -> Tensor:
        """Returns the objective, a mean over target users, from their ``scores`` [n, I]."""


@dataclass(frozen=True)
class Degrade(Objective):
    """Lower the quality of users' rankings: minus the mean ``loss`` over users.

    With ``on="lists"`` and no ``users``, the default search of :class:`~graphpoison.RankingAttack`
    chooses the first half of its flips by another objective: ``Degrade`` with ``on="heldout"``.

    Args:
        users: indices of the users whose rankings are measured; None for all users.
        loss: how the ranking of a user is measured: ``"softmax-mass"``, ``"margin"`` or ``"ndcg"``
            (see :mod:`graphpoison.tasks.ranking_losses`), or a callable ``f(scores [n, I],
            relevant [n, I]) -> [n]`` for n users and I items, larger for a better ranking. A tuple
            of losses is averaged; :class:`~graphpoison.RankingAttack` with hidden interactions and
            ``redraw`` takes them in turn instead, one for each gradient. By default ``("ndcg",)``,
            and ``("softmax-mass", "margin")`` for :class:`Bystanders`.
        k: length of the recommended list.
        on: which items are relevant: ``"lists"``, the k items that the clean surrogate recommends
            to a user; ``"heldout"``, the interactions that are hidden from the surrogate. By
            default ``"lists"``, and ``"heldout"`` for :class:`Bystanders`.
        fraction: the probability, in (0, 0.9], that ``"heldout"`` hides an interaction of these
            users; at least one interaction in all is hidden. By default 0.1, and 0.2 for
            :class:`Bystanders`.
        temperature: the temperature of named losses, in units of the surrogate's scores; None for
            0.015 (``"softmax-mass"``), 0.03 (``"margin"``) and 0.01 (``"ndcg"``).

    Raises:
        TypeError, ValueError: a setting is out of range.
    """

    users: Sequence[int] | Tensor | None = None
    loss: Loss | RankingLoss | tuple[Loss | RankingLoss, ...] | None = None
    k: int = 10
    on: Literal["heldout", "lists"] | None = None
    fraction: float | None = None
    temperature: float | None = None

    usual_loss: ClassVar[tuple[Loss, ...]] = ("ndcg",)
    usual_on: ClassVar[Literal["heldout", "lists"]] = "lists"
    usual_fraction: ClassVar[float] = 0.1

    def __post_init__(self) -> None:
        if self.loss is None:
            object.__setattr__(self, "loss", self.usual_loss)
        if self.on is None:
            object.__setattr__(self, "on", self.usual_on)
        if self.fraction is None:
            object.__setattr__(self, "fraction", self.usual_fraction)
        _check_losses(self.loss, self.k, self.temperature)
        choice("on", self.on, ["heldout", "lists"])
        in_range("fraction", self.fraction, 0.0, 0.9, open_low=True)
        _as_indices(self, "users")

    def turn(self, number: int) -> "Degrade":
        if not isinstance(self.loss, tuple):
            return self
        return replace(self, loss=self.loss[number % len(self.loss)])

    @property
    def clean_lists(self) -> bool:  # type: ignore[override]
        return self.on == "lists"

    @property
    def usual_l2(self) -> float:  # type: ignore[override]
        return 300.0 if self.on == "lists" else 3000.0

    @property
    def usual_start(self) -> str | None:  # type: ignore[override]
        return "rare items become popular" if self.on == "lists" else None

    @property
    def before(self) -> "Degrade | None":  # type: ignore[override]
        if self.on != "lists" or self.users is not None:
            return None
        smooth = SMOOTH_TEMPERATURE if self.loss in ("ndcg", ("ndcg",)) else None
        return replace(self, on="heldout", temperature=self.temperature or smooth)

    def targets(self, graph: Interactions, draw: torch.Generator) -> Targets:
        users, edges = _users(self.users, graph), graph.edge_index
        own = edges[:, torch.isin(edges[0], users)]
        none = own[:, :0]
        if not own.size(1):
            raise ValueError("the users that count have no interactions; name other users.")
        if self.on == "lists":
            return Targets(own[0].unique(), none, none, own)
        assert self.fraction is not None
        keys = torch.rand(own.size(1), generator=draw).to(edges.device)
        hidden = (keys < self.fraction) | (keys == keys.min())  # at least one interaction
        return Targets(users, own[:, hidden], own[:, hidden], own[:, ~hidden])

    def value(self, scores: Tensor, targets: Targets) -> Tensor:
        return -_measured(self, scores, targets).mean()


@dataclass(frozen=True)
class Bystanders(Degrade):
    """Lower the quality of the rankings of ``users``, and flip no interaction of these users.

    ``users`` are off limits to :class:`~graphpoison.RankingAttack` and to heuristics; other attacks
    need :class:`~graphpoison.OffLimits` among their constraints.

    Args:
        users: indices of the users to harm; required.
        loss, k, on, fraction, temperature: as in :class:`Degrade`, which names the defaults.

    Raises:
        TypeError, ValueError: a setting is out of range; a task has no ``users``.
    """

    usual_loss: ClassVar[tuple[Loss, ...]] = ("softmax-mass", "margin")
    usual_on = "heldout"
    usual_fraction = 0.2

    @property
    def off_limits(self) -> Tensor | None:
        if self.users is None:
            raise ValueError("Bystanders needs users: indices of the users that are off limits.")
        return torch.as_tensor(self.users, dtype=torch.long)


@dataclass(frozen=True)
class Promote(Objective):
    """Raise ``items`` into the lists of the users who lack them: the mean ``loss`` over users.

    Args:
        items: indices of the items to promote.
        k: length of the recommended list.
        users: indices of the users whose rankings are measured; None for all users.
        loss: how the ranking of a user is measured, as in :class:`Degrade`; the relevant items are
            the ``items`` that the user lacks. By default ``"margin"``: the share of the relevant
            items that score above the user's k-th best other item, smoothed.
        temperature: as in :class:`Degrade`.

    Raises:
        TypeError, ValueError: there are no items, or a setting is out of range.
    """

    items: Sequence[int] | Tensor
    k: int = 10
    users: Sequence[int] | Tensor | None = None
    loss: Loss | RankingLoss | tuple[Loss | RankingLoss, ...] = "margin"
    temperature: float | None = None

    sign: ClassVar[float] = 1.0
    usual_l2: ClassVar[float] = 100.0  # type: ignore[misc]

    def __post_init__(self) -> None:
        _check_losses(self.loss, self.k, self.temperature)
        _as_indices(self, "items")
        _as_indices(self, "users")
        if not self.items:
            raise ValueError("items must name one item or more, found none.")

    def targets(self, graph: Interactions, draw: torch.Generator) -> Targets:
        users, edges = _users(self.users, graph), graph.edge_index
        items = node_ids("items", self.items, graph.num_items).to(edges.device)
        own = edges[:, torch.isin(edges[0], users)]
        pairs = torch.cartesian_prod(users, items).t()
        codes, known = (part[0] * graph.num_items + part[1] for part in (pairs, own))
        lacking = pairs[:, ~torch.isin(codes, known)]
        if not lacking.size(1):
            raise ValueError("every user that counts has all items already: nothing to rank.")
        return Targets(users, lacking, own[:, :0], own)

    def value(self, scores: Tensor, targets: Targets) -> Tensor:
        return self.sign * _measured(self, scores, targets).mean()


@dataclass(frozen=True)
class Demote(Promote):
    """Push ``items`` out of the lists of the users who lack them: minus :class:`Promote`."""

    sign: ClassVar[float] = -1.0


def _check_losses(loss: Any, k: int, temperature: float | None) -> None:
    losses = loss if isinstance(loss, tuple) else (loss,)
    if not losses:
        raise ValueError(f"loss must be one of {list(LOSSES)}, a callable, or several, found none.")
    for one in losses:
        if not callable(one):
            choice("loss", one, LOSSES)
    positive_int("k", k)
    if temperature is not None:
        in_range("temperature", temperature, 0.0, float("inf"), open_low=True)


def _loss(objective: Degrade | Promote) -> RankingLoss:
    """The mean of the losses of ``objective``, as a function of scores and relevant items."""
    assert objective.loss is not None
    losses = objective.loss if isinstance(objective.loss, tuple) else (objective.loss,)
    found = [
        named_loss(one, objective.k, objective.temperature) if isinstance(one, str) else one
        for one in losses
    ]

    def mean(scores: Tensor, relevant: Tensor) -> Tensor:
        return torch.stack([one(scores, relevant) for one in found]).mean(dim=0)

    return mean


def _measured(objective: Degrade | Promote, scores: Tensor, targets: Targets) -> Tensor:
    """How well the relevant items of each target user are ranked, [n]."""
    seen, relevant = (
        targets.rows(pairs, scores.size(1)) for pairs in (targets.seen, targets.relevant)
    )
    ranked = scores.masked_fill(seen, unranked(scores.dtype))
    return _loss(objective)(ranked, relevant & ~seen)


def _users(users: Sequence[int] | Tensor | None, graph: Interactions) -> Tensor:
    """The target users, real users only: LongTensor [n]."""
    if users is None:
        return torch.arange(graph.num_real_users, device=graph.edge_index.device)
    found = node_ids("users", users, graph.num_real_users)
    return found.to(graph.edge_index.device)


def _as_indices(objective: Any, name: str) -> None:
    """Store indices as a tuple of integers, which is comparable, hashable and recorded."""
    value = getattr(objective, name)
    if value is not None:
        object.__setattr__(objective, name, indices(name, value))
