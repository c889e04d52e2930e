"""The settings of one experiment; this module computes nothing."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Self

from torch_geometric.data import Data, HeteroData

from .._settings import digest
from ..attacks import Attack, MetaAttack, NewUsers, RandomAttack, SimilarUsers
from ..budget import part_of
from ..datasets import load
from ..hypergradient import Approximate, Unrolled
from ..models import LinearGCN, Recommender
from ..perturbation import Perturbation
from ..tasks import NodeClassification, Recommendation, Task
from ..training import Training
from ..victims import RecommenderVictim, Victim

QUICK_STEPS = 5  # number of meta-gradients of an attack with --quick
SURROGATE_SEEDS = 1_000_000  # added to a seed: surrogate and target are initialised differently
Kind = Literal["new", "sample", "kmeans"]
Runner = Callable[..., Perturbation]
"""An attack, or an injection of fake users; called like :meth:`graphpoison.Attack.__call__`."""


@dataclass(frozen=True)
class DataSet:
    """The name and the options of a data set for :func:`graphpoison.datasets.load`."""

    name: str
    options: tuple[tuple[str, Any], ...] = ()

    def load(self, root: str | Path | None = None) -> Data | HeteroData:
        """The data; negatives and split do not depend on the seed of a run."""
        return load(self.name, root=root, **dict(self.options))


@dataclass(frozen=True)
class Trained:
    """A recommender and how it is trained."""

    model: Recommender
    training: Training


@dataclass(frozen=True)
class Users:
    """Fake users, added before the flips; only their pairs are flipped (thesis, 3.11, 3.12)."""

    count: int
    kind: Kind


@dataclass(frozen=True, kw_only=True)
class Experiment(ABC):
    """Attacks on one data set, and models retrained at several numbers of perturbations.

    Args:
        name: the beginning of :attr:`label`.
        dataset: the data set under attack.
        budgets: numbers of perturbations, or shares of the edges in percent.
        flips_per_step: flips made from one meta-gradient.
        attacks: names of attacks.
        perturbed: whether metrics leave out the perturbed pairs (False), keep them (True) or both.
    """

    name: str
    dataset: DataSet
    budgets: tuple[float, ...]
    flips_per_step: int
    attacks: tuple[str, ...]
    perturbed: tuple[bool, ...] = (False,)

    @property
    def label(self) -> str:
        """The name and eight digits that change with any setting."""
        return f"{self.name}-{digits(self)}"

    @property
    def has_fake_users(self) -> bool:
        """Whether fake users are added before the flips."""
        return False

    @abstractmethod
    def quick(self) -> Self:
        """A cheaper version of the experiment, with fewer meta-gradients."""

    @abstractmethod
    def attack_label(self, attack: str) -> str:
        """A label of the flips; experiments that make the same flips have the same label."""

    def unit(self, attack: str) -> str:
        """The name of ``attack`` in the keys of the runs of this experiment."""
        return attack

    @abstractmethod
    def flips(self, data: Any) -> dict[int, float]:
        """Number of flips -> the budget of :attr:`budgets`."""

    @abstractmethod
    def task(self, data: Any, attack: str) -> Task[Any]:
        """The task that ``attack`` attacks."""

    @abstractmethod
    def runner(self, attack: str) -> Runner:
        """The attack of that name."""

    @abstractmethod
    def victims(self, seed: int) -> dict[str, tuple[Any, Sequence[int]]]:
        """Name of a model -> the victim and the seeds of its initialisations."""

    def turns(self, attack: str, budgets: Sequence[int]) -> list[list[int]]:
        """The numbers of flips in lists; the prefixes of one list belong to one perturbation."""
        return [list(budgets)]


@dataclass(frozen=True, kw_only=True)
class RecommenderExperiment(Experiment):
    """Attacks on recommenders (Tables 4.2 to 4.18).

    Args:
        surrogate: the model that the attacker trains.
        target: the model under attack.
        users: fake users, if any.
        dropout: dropout rate of both models' embeddings in training.
        same_start: whether the target has the initial parameters that the attacker's surrogate has
            at every step (thesis, section 3.8); if not, both models have newly drawn parameters.
        shown: which models are evaluated.
    """

    surrogate: Trained
    target: Trained
    users: Users | None = None
    dropout: float = 0.0
    same_start: bool = False
    shown: tuple[str, ...] = ("surrogate", "target")

    @property
    def has_fake_users(self) -> bool:
        return self.users is not None

    def quick(self) -> Self:
        step = max(1, round(max(self.budgets) / QUICK_STEPS))
        return replace(self, flips_per_step=step)

    def attack_label(self, attack: str) -> str:
        shared = replace(
            self,
            name="",
            budgets=(max(self.budgets),),
            attacks=(attack,),
            target=self.surrogate,
            shown=(),
            perturbed=(),
        )  # settings that do not affect the flips are set to the same values
        return f"{attack}-{digits(shared)}"

    def flips(self, data: HeteroData) -> dict[int, float]:
        return {int(count): count for count in self.budgets}

    def task(self, data: HeteroData, attack: str) -> Task[Any]:
        return Recommendation(data, self._model(self.surrogate), objective="train")

    def runner(self, attack: str) -> Runner:
        return self._injected(self._attack(attack))

    def victims(self, seed: int) -> dict[str, tuple[Victim, Sequence[int]]]:
        surrogate = self._victim(self.surrogate, "surrogate")
        target = self._victim(self.target, "target")
        if self.same_start:
            target = replace(target, start=seed)
        found = {"surrogate": (surrogate, [seed + SURROGATE_SEEDS]), "target": (target, [seed])}
        return {name: found[name] for name in self.shown}

    def _victim(self, trained: Trained, name: str) -> RecommenderVictim:
        return RecommenderVictim(self._model(trained), name, trained.training)

    def _model(self, trained: Trained) -> Recommender:
        model: Any = trained.model  # its class has the field dropout
        found: Recommender = replace(model, dropout=self.dropout) if self.dropout else model
        return found

    def _attack(self, name: str) -> Attack:
        if name == "baseline":
            return RandomAttack()
        return MetaAttack(
            self.surrogate.training,
            self.flips_per_step,
            allow_removals=False,
            redraw=not self.same_start,
            hypergradient=Approximate() if name == "meta-approx" else Unrolled(),
        )

    def _injected(self, attack: Attack) -> Runner:
        if self.users is None:
            return attack
        if self.users.kind == "new":
            return NewUsers(self.users.count, attack)
        training = self.surrogate.training
        return SimilarUsers(self.users.count, self.users.kind, attack=attack, training=training)


@dataclass(frozen=True, kw_only=True)
class NodeExperiment(Experiment):
    """Table 4.1: ``meta-train`` and ``meta-self`` on a graph convolutional network.

    Args:
        surrogate, training: the model that the attacker trains, and its training.
    """

    surrogate: LinearGCN
    training: Training

    def quick(self) -> Self:
        return replace(self, flips_per_step=10)

    def attack_label(self, attack: str) -> str:
        parts = (self.dataset, self.surrogate, self.training, self.flips_per_step)
        return f"{attack}-{digits((attack, *parts, max(self.budgets)))}"

    def flips(self, data: Data) -> dict[int, float]:
        return percents(data, self.budgets)

    def task(self, data: Data, attack: str) -> Task[Any]:
        objective: Literal["train", "self"] = "train" if attack == "meta-train" else "self"
        return NodeClassification(data, self.surrogate, objective)

    def runner(self, attack: str) -> Runner:
        if attack == "baseline":
            return RandomAttack()
        return MetaAttack(self.training, self.flips_per_step)

    def victims(self, seed: int) -> dict[str, tuple[Any, Sequence[int]]]:
        return {"target": ("gcn", [seed])}


def percents(data: Data, shares: Sequence[float]) -> dict[int, float]:
    """Number of flips -> the share of the edges in percent."""
    return {part_of(Fraction(str(share)) / 100, data.num_edges // 2): share for share in shares}


def digits(settings: object) -> str:
    """Eight hexadecimal digits of a digest of the ``repr`` of ``settings``."""
    return digest(repr(settings), digits=8)
