"""Estimates of an attack on a given graph without a measurement, so in no time."""

from typing import Any, TypeGuard

import torch

from ..attacks import Attack, Estimate, Injection, MetaAttack, RankingAttack, SwapSearch
from ..budget import Budget
from ..hypergradient import Unrolled
from ..models import CF, EASE, GMF, SGC, LightGCN, LinearGCN
from ..tasks import NodeClassification, Recommendation, Task
from .model import estimate_by_size
from .nodes import NodeWorkload
from .recommenders import RankingWorkload, RecommenderWorkload
from .workload import Workload

RETRAINED = 1 / 3
"""Time of a training without its derivative, over the time of a meta-gradient."""


def estimate_ahead(attack: Attack | Injection, task: Task[Any], budget: Budget) -> Estimate | None:
    """Estimate time and memory from the sizes of the graph of ``task``.

    Returns:
        The estimate, by the installed coefficients; None if they do not cover the attack, the
        surrogate, the sizes or the device.
    """
    try:
        workload = _workload(attack, task)
        if workload is None or isinstance(attack, Injection):
            return None
        known = estimate_by_size(workload, device=task.state.weight.device.type)
    except ValueError:
        return None
    limit = budget.resolve(task.state, task.clean_edges.size(1))
    _, proposals = attack.sample(task, limit)
    greedy = attack.attack if isinstance(attack, SwapSearch) else attack
    tried = getattr(greedy, "lookahead", 1)
    retrained = 1 + RETRAINED * tried if tried > 1 else 1.0
    seconds = known.seconds / workload.num_gradients * proposals * retrained
    return Estimate(seconds, known.setup_seconds, proposals, known.bytes)


def _workload(attack: object, task: Task[Any]) -> Workload | None:
    """Return the workload of one gradient, or of a whole ranking attack; None if there is none."""
    attack = attack.attack if isinstance(attack, SwapSearch) else attack
    if isinstance(task, Recommendation):
        return _of_recommender(attack, task)
    if not isinstance(task, NodeClassification) or not _exact(attack):
        return None
    model, graph = task.surrogate, task.graph
    if not isinstance(model, LinearGCN | SGC):
        return None
    dense = graph.x.layout == torch.strided
    own: dict[str, Any] = {"surrogate": "sgc", "hops": model.hops} if isinstance(model, SGC) else {}
    return NodeWorkload(
        graph.num_nodes,
        graph.pairs.size(1),
        graph.x.size(1),
        graph.num_classes,
        graph.num_nodes - task.unlabelled.numel(),
        steps=attack.training.steps,
        density=max(int(graph.x.count_nonzero()), 1) / graph.x.numel() if dense else 0.02,
        **(own or {"hidden": model.hidden}),  # type: ignore[union-attr]
    )


def _of_recommender(attack: object, task: Recommendation) -> Workload | None:
    model, (users, items) = task.surrogate, task.state.shape
    pairs = task.clean_edges.size(1)
    if isinstance(attack, RankingAttack) and isinstance(model, EASE):
        return RankingWorkload(users, items, pairs, attack.steps, 2 if attack.allow_removals else 1)
    kinds = {CF: "cf", GMF: "gmf", LightGCN: "lightgcn"}
    if not _exact(attack) or type(model) not in kinds:
        return None
    own: dict[str, Any] = {"layers": model.layers} if isinstance(model, GMF) else {}
    own |= {"hops": model.layers} if isinstance(model, LightGCN) else {}
    return RecommenderWorkload(
        users,
        items,
        pairs,
        kinds[type(model)],  # type: ignore[arg-type]
        task.loss,  # type: ignore[arg-type]
        model.dim,  # type: ignore[attr-defined]
        steps=attack.training.steps,
        optimizer=attack.training.optimizer,
        **own,
    )


def _exact(attack: object) -> TypeGuard[MetaAttack]:
    return isinstance(attack, MetaAttack) and isinstance(attack.hypergradient, Unrolled)
