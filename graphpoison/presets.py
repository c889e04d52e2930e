"""The attacks of the papers under their own names, as settings or, for Algorithm 4, as a result."""

from collections.abc import Sequence
from typing import Any, Literal

from torch_geometric.data import HeteroData

from .attacks import MetaAttack, NewUsers, RandomAttack, SimilarUsers, random_like
from .constraints import NoSingletons
from .evaluation import evaluate
from .graphs import Interactions, read_interactions
from .hypergradient import Approximate, Hypergradient, Unrolled
from .report import Report
from .tasks import Recommendation
from .training import INTERACTIONS, NODES, Training
from .victims import surrogate_victim


def metattack(
    training: Training = NODES,
    *,
    constraints: Sequence[Any] = (NoSingletons(),),
    hypergradient: Hypergradient | None = None,
) -> MetaAttack:
    """Metattack (Zügner and Günnemann 2019): T = 100, learning rate 0.1, momentum 0.9, parameters
    drawn anew for every flip.

    Meta-Train, Meta-Self or Meta-Both by the objective of the task; A-Meta with
    :class:`Approximate` as ``hypergradient``. Of the paper's constraints, the singleton filter.
    """
    return MetaAttack(
        training,
        constraints=tuple(constraints),
        redraw=True,
        hypergradient=hypergradient or Unrolled(),
    )


def meta_attack(
    training: Training = INTERACTIONS,
    *,
    flips_per_step: int = 1,
    hypergradient: Hypergradient | None = None,
) -> MetaAttack:
    """Meta-Attack (thesis, Algorithm 1): additions only, parameters drawn anew for every step.

    The thesis leaves training open; by default the surrogate is trained as victims are.
    """
    return MetaAttack(
        training,
        flips_per_step,
        allow_removals=False,
        redraw=True,
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
    surrogate: Any = "cf",
    target: Any = "cf",
    budgets: Sequence[int] = (1000,),
    *,
    attack: MetaAttack | None = None,
    seed: int = 0,
    seeds: Sequence[int] = range(5),
    progress: bool = False,
    **options: Any,
) -> Report:
    """Surrogate Meta-Attack (thesis, section 3.10 and Algorithm 4) beside the baseline, which is
    :func:`random_like` the attack.

    Args:
        data: the clean graph.
        surrogate, target: models of any kind, size and initialisation; ``target`` also as
            :func:`evaluate` takes victims.
        budgets: numbers of flips after which surrogate and target are trained and scored.
        attack: :func:`meta_attack` if left out.
        seed: of the attacks.
        seeds: of the target's initialisations.
        progress: show progress bars.
        **options: more arguments of :class:`Recommendation`.

    Returns:
        P^S (victim ``"surrogate"``) and P^M for the attacks ``"meta"`` and ``"random"``.
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
