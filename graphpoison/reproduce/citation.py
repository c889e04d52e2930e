"""Attacks on node classifiers of citation graphs: the Metattack family and its rivals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from torch_geometric.data import Data

from .._checks import choice
from ..attacks import DICE, GRBCD, PRBCD, Attack, DegreeAttack, MetaAttack, PGDAttack, RandomAttack
from ..constraints import Constraint
from ..hypergradient import Approximate
from ..models import LinearGCN, ReLUGCN
from ..tasks import NodeClassification
from ..training import Training
from .experiment import QUICK_STEPS, Experiment, digits, percents

EARLY_STEPS = 10  # of a surrogate that does not fit the labelled nodes to the end
APPROXIMATE_STEP = 5  # flips from each gradient of A-Meta, which takes several times as long

Maker = Callable[["CitationExperiment"], Attack]
"""An attack under an experiment's constraints."""


@dataclass(frozen=True)
class Method:
    """A line of the tables: an attack and its task.

    Args:
        attack: makes the attack.
        task: more arguments of :class:`graphpoison.NodeClassification`.
        whole: whether its first flips are no attack of a smaller budget, so that each budget needs
            an attack of its own.
    """

    attack: Maker
    task: tuple[tuple[str, Any], ...] = ()
    whole: bool = False


@dataclass(frozen=True, kw_only=True)
class CitationExperiment(Experiment):
    """Victims retrained after several attacks under the same constraints.

    Args:
        training: of the surrogate.
        constraints: conditions that hold after every flip.
        models: names of victims.
        starts: how many initialisations of each victim a seed stands for.
        steps: gradients of the attacks that are not made of one flip after the other, each one's
            own number if None. No part of the experiment's name, but of each attack's.
    """

    training: Training
    constraints: tuple[Constraint, ...]
    models: tuple[str, ...] = ("gcn",)
    starts: int = 5
    steps: int | None = field(default=None, repr=False)

    def quick(self) -> Self:
        return replace(self, flips_per_step=400, starts=2, steps=QUICK_STEPS)

    def unit(self, attack: str) -> str:
        return self.attack_label(attack)  # METHODS are no part of the experiment's name

    def attack_label(self, attack: str) -> str:
        runner = self.runner(attack)
        made = self.dataset, METHODS[attack].task, runner, max(self.budgets)
        return f"{attack}-{digits(made)}"

    def flips(self, data: Data) -> dict[int, float]:
        return percents(data, self.budgets)

    def turns(self, attack: str, budgets: Sequence[int]) -> list[list[int]]:
        if not METHODS[attack].whole:
            return super().turns(attack, budgets)
        small, *others = sorted(count for count in budgets if count)
        return [[0, small], *([count] for count in others)]

    def task(self, data: Data, attack: str) -> NodeClassification:
        options = {"surrogate": LinearGCN(hidden=16), **dict(METHODS[attack].task)}
        return NodeClassification(data, **options)

    def runner(self, attack: str) -> Attack:
        return METHODS[choice("attack", attack, METHODS)].attack(self)

    def victims(self, seed: int) -> dict[str, tuple[Any, Sequence[int]]]:
        starts = range(seed * self.starts, (seed + 1) * self.starts)
        return {name: (name, starts) for name in self.models}


def _meta(**options: Any) -> Maker:
    def make(experiment: CitationExperiment) -> Attack:
        settings = {
            "training": experiment.training,
            "flips_per_step": experiment.flips_per_step,
            "constraints": experiment.constraints,
            "redraw": True,
        }
        return MetaAttack(**{**settings, **options})

    return make


def _early(experiment: CitationExperiment) -> Attack:
    training = replace(experiment.training, steps=min(EARLY_STEPS, experiment.training.steps))
    return _meta(training=training)(experiment)


def _approximate(experiment: CitationExperiment) -> Attack:
    step = APPROXIMATE_STEP * experiment.flips_per_step
    return _meta(hypergradient=Approximate(), flips_per_step=step)(experiment)


def _projected(retrain: bool) -> Maker:
    def make(experiment: CitationExperiment) -> Attack:
        found = PGDAttack(experiment.training, retrain=retrain, constraints=experiment.constraints)
        return found if experiment.steps is None else replace(found, steps=experiment.steps)

    return make


def _randomised(attack: type[PRBCD] | type[GRBCD]) -> Maker:
    def make(experiment: CitationExperiment) -> Attack:
        found = attack(experiment.training, constraints=experiment.constraints)
        return found if experiment.steps is None else replace(found, epochs=experiment.steps)

    return make


SELF, TRAIN, BOTH = (("objective", "self"),), (("objective", "train"),), (("objective", "both"),)
MARGIN = (*SELF, ("attack_loss", "tanh-margin"))

METHODS = {
    "random": Method(lambda experiment: RandomAttack(experiment.constraints, allow_removals=True)),
    "degree": Method(lambda experiment: DegreeAttack(experiment.constraints)),
    "dice": Method(lambda experiment: DICE(experiment.constraints)),
    "meta-train": Method(_meta(), TRAIN),
    "meta-train-early": Method(_early, TRAIN),
    "meta-self": Method(_meta(), SELF),
    "meta-both": Method(_meta(), BOTH),
    "a-meta-train": Method(_approximate, TRAIN),
    "a-meta-self": Method(_approximate, SELF),
    "a-meta-both": Method(_approximate, BOTH),
    "meta-oracle": Method(_meta(), (*SELF, ("labels", "oracle"))),
    "meta-self-once": Method(_meta(redraw=False), SELF),
    "meta-self-margin": Method(_meta(), MARGIN),
    "meta-self-relu": Method(_meta(), (*SELF, ("surrogate", ReLUGCN(hidden=16)))),
    "pgd": Method(_projected(retrain=False), MARGIN, whole=True),
    "min-max": Method(_projected(retrain=True), MARGIN, whole=True),
    "prbcd": Method(_randomised(PRBCD), MARGIN, whole=True),
    "grbcd": Method(_randomised(GRBCD), MARGIN, whole=True),
}
"""The attacks by name. ``meta-train-early`` stops training after 10 steps; ``meta-self-once`` draws
the surrogate's parameters once and not for every flip; the last four follow the margin, with which
PRBCD and GRBCD were published."""
