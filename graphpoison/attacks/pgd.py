"""Projected gradient on relaxed weights (Xu et al. 2019), as poisoning."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from .._checks import in_range, positive_int
from .._progress import paced
from .._random import generator, numpy_generator
from ..constraints import Constraint
from ..graphs import PairState
from ..hypergradient import Flips
from ..hypergradient.base import direct_gradient, zeros_for_none
from ..tasks import Task
from ..training import Params, Training
from ..training.settings import check_training
from .base import Attack, Proposal, check_kinds
from .relaxation import Relaxation, project
from .sampler import CandidateSampler
from .surrogate import SurrogateAttack


@dataclass(frozen=True)
class PGDAttack(SurrogateAttack):
    r"""Projected gradient ascent on relaxed flips, then rounding (Xu et al. 2019).

    Each of K pairs has an extent :math:`p` in [0, 1]: 0 is not flipped, 1 is flipped. With
    :math:`w(p)` the weights after flips to these extents, :math:`\Delta` the budget and
    :math:`\Pi` the projection to the feasible extents,

    .. math::
        p_{t} = \Pi\big(p_{t-1} + \tfrac{\eta}{\sqrt t} \nabla_p
        \text{attack\_loss}(\theta, w(p_{t-1}))\big), \qquad
        p \in [0, 1]^K, \; \sum p \le \Delta

    With ``retrain=False`` the surrogate's parameters :math:`\theta` result from training on the
    graph before the attack (the paper's PGD, equation 11); with ``retrain=True`` they are retrained
    on :math:`w(p_{t-1})` before every step (min-max, its Algorithm 2). The gradient is taken
    at fixed :math:`\theta`: unlike a meta-gradient, it leaves out the derivative through training.

    For rounding, the set of the largest extents is compared with ``samples`` sets that are drawn
    with the extents as probabilities; the set with the largest attack loss is kept. A set larger
    than the budget keeps its largest extents. If the kept set leaves budget, or if constraints
    forbid some of its flips, pairs with the next largest extents are flipped too. If budget is
    still left, the attack runs again on the poisoned graph, as long as a pair raises the loss
    there. All flips of a run have the same value in the column ``step``.

    Args:
        training: how the surrogate is trained.
        steps: number of gradient steps, T.
        lr: step size, eta.
        retrain: True for min-max, False for PGD.
        samples: number of random roundings.
        block_size: K, the largest number of pairs that are relaxed. If a task with a list of
            candidates, such as a recommender, has more candidates, K of them are drawn at random.
            If a task has all pairs of nodes as candidates, N (N - 1) / 2 for N nodes, and these are
            more, the edges and random other pairs are relaxed. Memory and the time of a step grow
            with K.
        constraints: conditions that hold after every flip.
        allow_removals: whether edges may be removed.
        allow_additions: whether edges may be added.

    Raises:
        TypeError, ValueError: a setting is out of range; the attack loss depends on the graph only
            through training: its gradient at fixed parameters is 0.
    """

    training: Training = field(default_factory=Training)
    steps: int = 100
    lr: float = 200.0
    retrain: bool = False
    samples: int = 20
    block_size: int = 250_000
    constraints: Sequence[Constraint] = ()
    allow_removals: bool = True
    allow_additions: bool = True

    at_end: ClassVar[str] = "no admissible pair that raises the attack loss was found"

    def __post_init__(self) -> None:
        check_training(self.training)
        positive_int("steps", self.steps)
        in_range("lr", self.lr, 0.0, float("inf"), open_low=True)
        positive_int("samples", self.samples, minimum=0)
        positive_int("block_size", self.block_size)
        check_kinds(self.constraints, self.allow_removals, self.allow_additions)

    def sample(self, task: Task[Any], limit: int) -> tuple[Attack, float]:
        few = replace(self, steps=min(2, self.steps), samples=min(1, self.samples))
        return few, (self.steps + self.samples + 1) / (few.steps + few.samples + 1)

    def propose(
        self, task: Task[Any], state: PairState, limit: int, seed: int, step: int
    ) -> Proposal:
        rng = numpy_generator(seed, step)
        kinds = self.allow_removals, self.allow_additions
        pairs = CandidateSampler(state, self.constraints, *kinds).block(self.block_size, rng)
        block = Relaxation(state, pairs)
        start = task.init(generator(seed))
        params = task.train(self.training, state, start)
        extent = torch.zeros(len(block), dtype=start[0].dtype, device=pairs.device)
        before, scores = _direct_gradient(task, params, block, extent)
        if step == 0 and len(block) and not bool(scores.any()):
            raise ValueError(
                f"{task.describe()} has an attack loss that depends on the graph only through "
                "training, which PGDAttack leaves out; use objective='train' or MetaAttack."
            )
        for number in paced(self.steps, "gradient"):
            extent = project(extent + self.lr / (number + 1) ** 0.5 * scores, limit)
            if number + 1 == self.steps:
                break
            if self.retrain:
                params = task.train(self.training, block.at(extent), start)
            scores = _direct_gradient(task, params, block, extent)[1]
        draw = generator(seed, step)
        roundings = [_filled(extent, extent, limit)]
        for _ in range(self.samples):
            drawn = torch.rand(len(block), generator=draw, dtype=torch.float64).to(extent) < extent
            roundings.append(_filled(drawn + extent, extent, limit))
        losses = [self._loss(task, start, params, block, chosen) for chosen in roundings]
        chosen = roundings[max(range(len(losses)), key=losses.__getitem__)]
        left = extent.clone()
        left[chosen] = 0.0
        chosen = torch.cat([chosen, _filled(left, left, len(left))])
        score = torch.full(chosen.shape, torch.nan, device=pairs.device)
        return Proposal(Flips(pairs[:, chosen], ~block.present[chosen], score), before)

    def _loss(
        self, task: Task[Any], start: Params, params: Params, block: Relaxation, chosen: Tensor
    ) -> float:
        """The attack loss after the pairs at ``chosen`` are flipped."""
        extent = torch.zeros(len(block), dtype=start[0].dtype, device=chosen.device)
        extent[chosen] = 1.0
        state = block.at(extent)
        if self.retrain:
            params = task.train(self.training, state, start)
        with torch.no_grad():
            return float(task.attack_loss(params, task.prepare(state).detached(False)))


def _direct_gradient(
    task: Task[Any], params: Params, block: Relaxation, extent: Tensor
) -> tuple[float, Tensor]:
    """The attack loss at fixed parameters, and its derivative [K] w.r.t. the extents."""
    prepared = task.prepare(block.at(extent))
    loss, _, on_prepared = direct_gradient(task, params, prepared)
    gradient = task.pair_gradient(prepared, zeros_for_none(on_prepared, prepared.tensors))
    return float(loss), block.scores(gradient)


def _filled(rank: Tensor, extent: Tensor, limit: int) -> Tensor:
    """The ``limit`` places of largest ``rank`` where ``extent`` [K] is not 0, larger extents
    first."""
    chosen = rank.topk(min(limit, rank.numel())).indices
    chosen = chosen[extent[chosen] > 0]
    return chosen[extent[chosen].argsort(descending=True, stable=True)]
