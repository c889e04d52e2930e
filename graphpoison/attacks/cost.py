"""Estimates of the time and memory of an attack."""

import time
from dataclasses import dataclass
from typing import Any

import torch

from .._checks import seed_number
from .._memory import limited, peak_bytes
from ..budget import Budget, budget_of
from ..hypergradient.base import VanishedGradientError
from ..tasks import Task
from .base import Attack, accept_in_turn
from .injection import Injection

ENOUGH_SECONDS = 10.0
"""If the first proposal takes longer, no second one is measured."""


@dataclass(frozen=True)
class Estimate:
    """The cost of an attack.

    Args:
        seconds: from the first flip to the last.
        setup_seconds: before the first flip (pseudo-labels, fake users).
        proposals: the work of the attack in units of the measured proposal; may be a fraction.
        bytes: peak memory of the process, or of a CUDA device; None if the system does not report
            it.
    """

    seconds: float
    setup_seconds: float
    proposals: float
    bytes: int | None


def estimate(
    attack: Attack | Injection,
    task: Task[Any],
    budget: Budget | int | float,
    seed: int = 0,
    max_memory: int | str | None = None,
) -> Estimate:
    """Returns time and memory of ``attack(task, budget, seed)``, measured on two proposals.

    The estimate is close for greedy attacks, which compute one proposal a step. A
    :class:`~graphpoison.SwapSearch` may end early; its estimate assumes that every round succeeds.

    Args:
        attack: the attack.
        task: the task to attack; neither the task nor its graph is changed.
        budget: the largest number of flips, a share of the clean edges if a float, or a
            :class:`Budget`.
        seed: as in the call of the attack.
        max_memory: as in the call of the attack.

    Raises:
        TypeError, ValueError, MemoryError: as the attack raises.
    """
    with limited(max_memory, task.state.weight.device):
        return _measured(attack, task, budget, seed)


def _measured(
    attack: Attack | Injection, task: Task[Any], budget: Budget | int | float, seed: int
) -> Estimate:
    began = time.perf_counter()
    seed = seed_number("seed", seed)
    if isinstance(attack, Injection):
        task, attack = attack.grown(task, seed), attack.attack
    limit = budget_of(budget).resolve(task.state, task.clean_edges.size(1))
    ready = attack.setup(task, seed)
    setup_seconds = time.perf_counter() - began
    sample, proposals = attack.sample(ready, limit)
    state, seconds = ready.state, 0.0
    for step in range(2):  # the second has no first-call costs, and a new graph
        began = time.perf_counter()
        try:
            flips = sample.propose(ready, state, limit, seed, step).flips
        except VanishedGradientError:
            if not step:
                raise
            break
        flips = accept_in_turn(flips, state, attack.constraints, 1)
        if state.weight.is_cuda:
            torch.cuda.synchronize(state.weight.device)
        seconds = time.perf_counter() - began
        if seconds > ENOUGH_SECONDS or not len(flips):
            break
        state = flips.made(state)
    return Estimate(seconds * proposals, setup_seconds, proposals, peak_bytes(state.weight.device))
