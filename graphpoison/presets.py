"""The attacks of the papers by name, as attacks with settings; Algorithm 4 as a report."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from torch import nn
from torch_geometric.data import Data, HeteroData

from .attacks import MetaAttack, NewUsers, RandomAttack, SimilarUsers, SwapSearch, random_like
from .budget import Budget
from .constraints import Constraint, DegreeDistribution, NoSingletons
from .evaluation import evaluate
from .graphs import Interactions, NodeGraph, read_interactions
from .hypergradient import Approximate, Hypergradient, Unrolled
from .models import SGC, Recommender
from .perturbation import Perturbation
from .report import Report
from .tasks import NodeClassification, Recommendation
from .tasks.attack_losses import TanhMargin
from .training import INTERACTIONS, NODES, Training
from .victims import AnyVictim, surrogate_victim


def metattack(
    training: Training = NODES,
    *,
    constraints: Sequence[Constraint] = (NoSingletons(),),
    hypergradient: Hypergradient | None = None,
) -> MetaAttack:
    """Returns a :class:`MetaAttack` with the settings of Metattack (Zügner and Günnemann 2019): 100
    training steps, learning rate 0.1, momentum 0.9, initial parameters redrawn for every flip.

    The objective of the task selects Meta-Train, Meta-Self or Meta-Both; :class:`Approximate` as
    ``hypergradient`` gives A-Meta. The default has only one constraint of the paper, the singleton
    filter.
    """
    return MetaAttack(
        training,
        constraints=tuple(constraints),
        hypergradient=hypergradient or Unrolled(),
    )


STOPS = (60, 100, 150)
"""Numbers of training steps over which :func:`strongest_metattack` averages the attack loss."""


def strongest_metattack(
    data: Data | NodeGraph,
    budget: Budget | int | float = 0.05,
    seed: int = 0,
    *,
    constraints: Sequence[Constraint] = (NoSingletons(), DegreeDistribution()),
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Perturbation:
    """The strongest poisoning attack on node classifiers among the attacks measured, see
    :doc:`/results/strongest`.

    The surrogate is :class:`SGC`. The attack loss is the mean of tanh(margin / 2) over the
    unlabelled nodes, averaged over models trained for 60, 100 and 150 steps. A greedy search by
    exact meta-gradient retrains the surrogate with the best four flips and makes the best of them.
    Then up to 12 rounds of :class:`SwapSearch` undo some flips and replace them. The call is
    ``strongest_attack(constraints)(strongest_task(data, **options), budget, seed)``.

    Args:
        data: the clean graph.
        budget: a number of flips, a share of the clean edges if a float, or a :class:`Budget`.
        seed: has no effect with SGC, which is trained from zeros; seed of the initial parameters if
            ``options`` name another surrogate.
        constraints: conditions that hold after every flip. By default no node loses its last edge,
            and the degrees pass a likelihood-ratio test.
        progress: show a progress bar. The attack is one step: the bar moves only at its end, and
            log messages say how many flips are made.
        checkpoint: a file to which the flips are saved, at the end of the attack.
        **options: other arguments of :class:`NodeClassification`, such as ``surrogate=``,
            ``attack_loss=`` or ``labels="oracle"``.

    Returns:
        The flips.

    Raises:
        TypeError, ValueError: as the task and the attack raise.
    """
    task = strongest_task(data, **options)
    return strongest_attack(constraints)(task, budget, seed, progress, checkpoint)


def strongest_task(data: Data | NodeGraph, **options: Any) -> NodeClassification:
    """The task of :func:`strongest_metattack`: SGC as the surrogate, and TanhMargin of scale 0.5 as
    the loss of the unlabelled nodes, unless ``options`` of :class:`NodeClassification` differ."""
    chosen: dict[str, Any] = {"surrogate": SGC()}
    if options.get("objective") != "train":
        chosen["attack_loss"] = TanhMargin(0.5)
    return NodeClassification(data, **{**chosen, **options})


def strongest_attack(
    constraints: Sequence[Constraint] = (NoSingletons(), DegreeDistribution()),
    rounds: int = 12,
    lookahead: int = 4,
    allow_removals: bool = True,
) -> SwapSearch:
    """The attack of :func:`strongest_metattack`, for any task on nodes.

    A greedy attack follows the exact meta-gradient of an attack loss that is averaged over three
    lengths of training. Each flip is the best of ``lookahead`` flips after retraining. Then up to
    ``rounds`` rounds of :class:`SwapSearch` follow. With ``rounds=0`` and ``lookahead=1`` the
    attack is faster, and a GCN on Cora loses 1 to 2 points of accuracy less.
    """
    greedy = MetaAttack(
        replace(NODES, steps=STOPS[-1]),
        constraints=tuple(constraints),
        allow_removals=allow_removals,
        hypergradient=Unrolled(STOPS),
        lookahead=lookahead,
    )
    return SwapSearch(greedy, rounds)


def meta_attack(
    training: Training = INTERACTIONS,
    *,
    flips_per_step: int = 1,
    hypergradient: Hypergradient | None = None,
) -> MetaAttack:
    """Returns a :class:`MetaAttack` with the settings of Meta-Attack (thesis, Algorithm 1): only
    additions, initial parameters redrawn for every step.

    The thesis does not specify training; by default the surrogate is trained as the victims are.
    """
    return MetaAttack(
        training,
        flips_per_step,
        allow_removals=False,
        hypergradient=hypergradient or Unrolled(),
    )


def baseline_attack() -> RandomAttack:
    """Baseline-Attack (thesis, Algorithm 2): interactions added at random among the negatives."""
    return RandomAttack()


def meta_approx(training: Training = INTERACTIONS, *, flips_per_step: int = 1) -> MetaAttack:
    """Meta-Approx (thesis, section 3.9 and Algorithm 3): gradients summed over the iterates."""
    return meta_attack(training, flips_per_step=flips_per_step, hypergradient=Approximate())


def surrogate_meta_attack(
    data: HeteroData | Interactions,
    surrogate: str | nn.Module | Recommender = "cf",
    target: AnyVictim = "cf",
    budgets: Sequence[int] = (1000,),
    *,
    attack: MetaAttack | None = None,
    seed: int = 0,
    seeds: Sequence[int] = range(5),
    progress: bool = False,
    **options: Any,
) -> Report:
    """Surrogate Meta-Attack (thesis, section 3.10 and Algorithm 4), compared with its baseline,
    :func:`random_like` of the attack.

    Args:
        data: the clean graph.
        surrogate, target: models of any kind, size and initialisation; ``target`` may also be any
            victim that :func:`evaluate` accepts.
        budgets: numbers of flips after which surrogate and target are trained and scored.
        attack: :func:`meta_attack` if left out.
        seed: seed of the attacks.
        seeds: seeds of the target's initialisations.
        progress: show progress bars.
        **options: more arguments of :class:`Recommendation`.

    Returns:
        A report of P^S (victim ``"surrogate"``) and P^M for the attacks ``"meta"`` and
        ``"random"``.
    """
    attack = attack or meta_attack()
    graph = read_interactions(data, options.pop("edge_type", None))
    task = Recommendation(graph, surrogate, **options)
    found = {
        "meta": attack(task, max(budgets), seed, progress),
        "random": random_like(attack)(task, max(budgets), seed, progress),
    }
    victims = [surrogate_victim(task, attack, seed), target]
    return evaluate(graph, found, victims, seeds, list(budgets), progress=progress)


def new_users_attack(num_users: int = 50, attack: MetaAttack | None = None) -> NewUsers:
    """Surrogate Meta-Attack using New Users (thesis, section 3.11 and Algorithm 5)."""
    return NewUsers(num_users, attack or meta_attack())


def similar_users_attack(
    num_users: int = 300,
    method: Literal["sample", "kmeans"] = "sample",
    fraction: float = 0.5,
    attack: MetaAttack | None = None,
) -> SimilarUsers:
    """The attack using similar users (thesis, section 3.12), by either of its methods."""
    return SimilarUsers(num_users, method, fraction, attack or meta_attack())
