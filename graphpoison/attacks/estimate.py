"""How long an attack will take, and how much memory."""

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
"""A first proposal that takes longer is not followed by a second one."""


@dataclass(frozen=True)
class Estimate:
    """The cost of an attack.

    Args:
        seconds: from the first flip to the last.
        setup_seconds: before the first flip (pseudo-labels, fake users).
        proposals: the work of the attack, in units of the measured proposal; not always whole.
        bytes: peak memory of the process, or of a CUDA device; None where the system does not say.
    """

    seconds: float
    setup_seconds: float
    proposals: float
    bytes: int | None


def estimate(
    attack: Attack | Injection,
    task: Task[Any],
    budget: Budget | int,
    seed: int = 0,
    max_memory: int | str | None = None,
) -> Estimate:
    """Time and memory of ``attack(task, budget, seed)``, from two proposals that are computed.

    Greedy attacks repeat a proposal for every step, so that the estimate is close. A
    :class:`~graphpoison.SwapSearch` may end early; its estimate supposes that every round succeeds.

    Args:
        attack: the attack.
        task: what is attacked; the estimate changes neither the task nor its graph.
        budget: the number of flips at most, or a :class:`Budget`.
        seed: as of the attack.
        max_memory: as of the attack.

    Raises:
        TypeError, ValueError, MemoryError: what the attack raises.
    """
    with limited(max_memory, task.state.weight.device):
        return _measured(attack, task, budget, seed)


def _measured(
    attack: Attack | Injection, task: Task[Any], budget: Budget | int, seed: int
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
    for step in range(2):  # the second without the costs of a first call, on another graph
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
