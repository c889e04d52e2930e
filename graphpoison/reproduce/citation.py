"""Attacks on node classifiers of citation graphs: Metattack, its variants and other attacks."""

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

EARLY_STEPS = 10  # training steps of a surrogate that is stopped early
APPROXIMATE_STEP = 5  # times flips_per_step for A-Meta, whose gradients take several times as long

Maker = Callable[["CitationExperiment"], Attack]
"""Makes an attack with the settings and constraints of an experiment."""


@dataclass(frozen=True)
class Method:
    """An attack and its task: one row of the tables.

    Args:
        attack: makes the attack.
        task: further arguments of :class:`graphpoison.NodeClassification`.
        whole: whether a prefix of the perturbation is not an attack with a smaller budget. Each
            budget then needs a separate attack.
    """

    attack: Maker
    task: tuple[tuple[str, Any], ...] = ()
    whole: bool = False


@dataclass(frozen=True, kw_only=True)
class CitationExperiment(Experiment):
    """Several attacks under the same constraints, and victims retrained after each attack.

    Args:
        training: training of the surrogate.
        constraints: conditions that hold after every flip.
        models: names of victims.
        starts: number of initialisations of each victim for one seed.
        steps: number of gradients of the attacks that do not make one flip after another; None
            keeps the default of each attack. :meth:`attack_label` depends on this number,
            :attr:`label` does not.
    """

    training: Training
    constraints: tuple[Constraint, ...]
    models: tuple[str, ...] = ("gcn",)
    starts: int = 5
    steps: int | None = field(default=None, repr=False)

    def quick(self) -> Self:
        return replace(self, flips_per_step=400, starts=2, steps=QUICK_STEPS)

    def unit(self, attack: str) -> str:
        return self.attack_label(attack)  # the experiment's label does not depend on METHODS

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
"""The attacks by name. ``meta-train-early`` trains the surrogate for 10 steps. ``meta-self-once``
draws the surrogate's initial parameters once, not for every flip. The last four maximise the tanh
margin, the loss with which PRBCD and GRBCD were published."""
