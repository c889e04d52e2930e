"""PRBCD and GRBCD (Geisler et al. 2021): PyG's own attacks, with a gradient through training."""

import warnings
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .._checks import in_range, positive_int
from .._random import derive_seed, generator, isolated_rng
from ..constraints import Constraint
from ..graphs import PairState
from ..graphs.codes import decode, encode
from ..hypergradient import Flips, Hypergradient, Unrolled
from ..hypergradient.base import VanishedGradientError, check_hypergradient
from ..tasks import Task
from ..training import Params, Training
from ..training.settings import check_training
from .base import Attack, Proposal, check_kinds
from .relaxation import Relaxation
from .sampler import CandidateSampler
from .surrogate import SurrogateAttack

with warnings.catch_warnings():  # about contrib being experimental
    warnings.simplefilter("ignore", UserWarning)
    from torch_geometric.contrib.nn import GRBCDAttack, PRBCDAttack

LONGEST_GRADIENT = 0.5  # as in PyG's poisoning example
LEAST_EXTENT = PRBCDAttack.coeffs["eps"]  # PyG's substitute for 0


@dataclass(frozen=True)
class _RandomisedBlock(SurrogateAttack):
    training: Training = field(default_factory=Training)
    epochs: int = 125
    draws_cost: ClassVar[float] = 0.0  # of the draws at the end, in epochs
    block_size: int = 250_000
    constraints: Sequence[Constraint] = ()
    allow_removals: bool = True
    allow_additions: bool = True
    hypergradient: Hypergradient = field(default_factory=Unrolled)

    at_end: ClassVar[str] = "no admissible pair that raises the attack loss was found"

    def __post_init__(self) -> None:
        check_training(self.training)
        check_hypergradient(self.hypergradient, self.training)
        positive_int("epochs", self.epochs)
        positive_int("block_size", self.block_size)
        check_kinds(self.constraints, self.allow_removals, self.allow_additions)

    def sample(self, task: Task[Any], limit: int) -> tuple[Attack, float]:
        few = replace(self, epochs=min(5, self.epochs))
        return few, (self.epochs + self.draws_cost) / (few.epochs + self.draws_cost)

    def propose(
        self, task: Task[Any], state: PairState, limit: int, seed: int, step: int
    ) -> Proposal:
        kinds = self.allow_removals, self.allow_additions
        pool = _Pool(CandidateSampler(state, self.constraints, *kinds))
        whole = pool.size <= self.block_size
        count = int(pool.admits(pool.pairs(torch.arange(pool.size))).sum()) if whole else pool.size
        budget = min(limit, count)
        if not whole and self.block_size <= budget:
            raise ValueError(
                f"block_size={self.block_size} must be larger than the budget of {limit} flips."
            )
        if not budget:
            return Proposal(Flips.none(state))
        size = pool.size + 1 if whole else self.block_size
        start = task.init(generator(seed))
        problem = _Problem(task, self.training, self.hypergradient, start, pool, whole)
        device = state.weight.device
        with isolated_rng(derive_seed(seed, step), device):
            search = self._search(problem, size)
            nodes = torch.empty(max(state.shape), 0, device=device)
            _, pairs = search.attack(nodes, state.edges, nodes, budget=budget)
        pairs = search.ranked(pairs)
        added = state.locate(pairs) < 0
        added[~added] = state.weight[state.locate(pairs[:, ~added])] == 0
        score = torch.full(added.shape, torch.nan, device=device)
        return Proposal(Flips(pairs, added, score), search.attack_statistics["loss"][0])

    @abstractmethod
    def _search(self, problem: "_Problem", block_size: int) -> Any:
        """PyG's attack on ``problem``, with blocks of ``block_size`` pairs."""


@dataclass(frozen=True)
class PRBCD(_RandomisedBlock):
    """Projected gradient ascent on a random block of pairs (PyG's ``PRBCDAttack``).

    Each pair of the block has an extent in [0, 1]: 0 is not flipped, 1 is flipped. An epoch moves
    the extents along the gradient of the attack loss, projects them to the budget, and replaces
    pairs of small extent by random ones. As in PyG's poisoning example, the gradient goes through
    training, and is clipped to a norm of 0.5. After the last epoch, sets of flips are drawn with
    the extents as probabilities, and the set with the largest attack loss is made. If this set
    leaves budget, or if constraints forbid some of its flips, pairs of the block with the next
    largest extents are flipped too. If budget is still left, the attack runs again. All flips of a
    run have the same value in the column ``step``, and larger extents come first.

    Args:
        training: how the surrogate is trained.
        epochs: number of gradient steps.
        block_size: number of pairs in the block, more than the budget. If the graph has no more,
            the block holds all pairs. Memory and time of an epoch grow with the block.
        constraints: conditions that hold after every flip.
        allow_removals: whether edges may be removed.
        allow_additions: whether edges may be added.
        hypergradient: how training is differentiated.
        lr: step size; PyG multiplies it by budget / nodes.
        epochs_resampling: number of first epochs that replace pairs; then the block stays fixed.

    Raises:
        TypeError, ValueError: a setting is out of range; the block is not larger than the budget.
        RuntimeError: constraints leave fewer pairs of the random blocks than the budget.
    """

    lr: float = 100.0
    epochs_resampling: int = 100
    draws_cost: ClassVar[float] = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range("lr", self.lr, 0.0, float("inf"), open_low=True)
        positive_int("epochs_resampling", self.epochs_resampling, minimum=0)

    def _search(self, problem: "_Problem", block_size: int) -> Any:
        return _Projected(
            problem,
            block_size=block_size,
            epochs=self.epochs,
            epochs_resampling=0 if problem.whole else self.epochs_resampling,
            lr=self.lr,
        )


@dataclass(frozen=True)
class GRBCD(_RandomisedBlock):
    """Flip the pairs of largest gradient in a random block, repeatedly
    (``torch_geometric.contrib.nn.GRBCDAttack``).

    Each gradient goes through training on the graph with the flips made so far. All flips of a run
    have the same value in the column ``step``; earlier flips come first.

    Args:
        training: how the surrogate is trained.
        epochs: the largest number of gradients; an equal share of the flips is made from each.
        block_size: number of pairs in a block, above the budget; all pairs of a smaller graph.
        constraints: conditions that hold after every flip.
        allow_removals: whether edges may be removed.
        allow_additions: whether edges may be added.
        hypergradient: how training is differentiated.

    Raises:
        TypeError, ValueError, RuntimeError: as :class:`PRBCD`.
    """

    def _search(self, problem: "_Problem", block_size: int) -> Any:
        return _Greedy(problem, block_size=block_size, epochs=self.epochs)


class _Pool:
    """The pairs that blocks are drawn from, numbered without a list of all N^2 pairs."""

    def __init__(self, sampler: CandidateSampler) -> None:
        self.state, self.admits = sampler.state, sampler.admits
        self.listed = None if sampler.takes_unlisted else self.state.index[:, sampler.listed]
        self.size = self.state.num_pairs if self.listed is None else self.listed.size(1)

    def pairs(self, number: Tensor) -> Tensor:
        """The pairs [2, K] with the numbers ``number`` [K]."""
        number = number.to(self.state.weight.device)
        if self.listed is not None:
            return self.listed[:, number]
        if self.state.bipartite:
            return decode(number, self.state.shape[1])
        pairs: Tensor = PRBCDAttack._linear_to_triu_idx(self.state.shape[0], number)
        return pairs


@dataclass(frozen=True, eq=False)
class _Problem:
    task: Task[Any]
    training: Training
    hypergradient: Hypergradient
    start: Params
    pool: _Pool
    whole: bool  # whether a block is all of the pool

    def loss(self, state: PairState) -> Tensor:
        """The attack loss after training on ``state``."""
        with torch.enable_grad():
            params = self.task.train(self.training, state, self.start)
        return self.task.attack_loss(params, self.task.prepare(state).detached(False))

    def relaxed(self, state: PairState, pairs: Tensor, extent: Tensor) -> tuple[Tensor, Tensor]:
        """The attack loss and its gradient [K], clipped, with ``pairs`` flipped to ``extent``."""
        block = Relaxation(state, pairs)
        extent = extent.detach().to(state.weight.device)
        moved = torch.where(extent > LEAST_EXTENT, extent, 0.0)
        moved_state = block.at(moved)
        try:
            found = self.hypergradient.at(self.task, self.training, moved_state, self.start)
        except VanishedGradientError:
            if not bool(moved.any() or state.flipped.any()):
                raise
            return self.loss(moved_state).detach().cpu(), torch.zeros_like(extent)
        scores = block.scores(found.gradient).to(extent.dtype)
        norm = scores.norm().clamp(min=LONGEST_GRADIENT)
        return torch.tensor(found.loss), scores * (LONGEST_GRADIENT / norm)


class _Poisoning:
    """The methods with which PyG's attacks evaluate a model on a graph, implemented by a task.

    For PyG the graph is directed and has each pair once, and the prediction of the model is the
    attack loss itself.
    """

    coeffs: dict[str, Any]
    current_block: Tensor
    edge_index: Tensor
    block_edge_index: Tensor
    block_edge_weight: Tensor

    def __init__(self, problem: _Problem, **settings: Any) -> None:
        super().__init__(
            nn.Identity(), is_undirected=False, log=False, loss=_prediction, **settings
        )  # type: ignore[call-arg]
        self.problem = problem

    def _forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        return self.problem.loss(self._graph(edge_index[:, edge_weight > 0.5]))

    def _forward_and_gradient(self, *_: Any) -> tuple[Tensor, Tensor]:
        state = self._graph(self.edge_index)
        return self.problem.relaxed(state, self.block_edge_index, self.block_edge_weight)

    def _graph(self, edges: Tensor) -> PairState:
        state = self.problem.pool.state
        before, now = (self._codes(pairs) for pairs in (state.edges, edges.to(state.index.device)))
        gone, come = before[~torch.isin(before, now)], now[~torch.isin(now, before)]
        return state.flip(decode(torch.cat([gone, come]), state.shape[1]))

    def _codes(self, pairs: Tensor) -> Tensor:
        return encode(pairs, self.problem.pool.state.shape[1])

    def _num_possible_edges(self, *_: Any) -> int:
        return self.problem.pool.size

    def _linear_to_full_idx(self, _: int, number: Tensor) -> Tensor:
        return self.problem.pool.pairs(number)

    def _sample_random_block(self, budget: int = 0) -> None:
        if not self.problem.whole:
            super()._sample_random_block(budget)  # type: ignore[misc]
            return
        self.current_block = torch.arange(self.problem.pool.size)
        self.block_edge_index = self.problem.pool.pairs(self.current_block)
        self.block_edge_weight = torch.full(self.current_block.shape, self.coeffs["eps"])
        self._filter_self_loops_in_block(with_weight=True)

    def _filter_self_loops_in_block(self, with_weight: bool) -> None:
        """Drop pairs that may not be flipped; PyG calls this method wherever it has drawn pairs."""
        kept = self.problem.pool.admits(self.block_edge_index)
        flipped = getattr(self, "flipped_edges", None)  # so far, by _Greedy
        if flipped is not None:
            kept &= ~torch.isin(self._codes(self.block_edge_index), self._codes(flipped))
        self.current_block = self.current_block[kept.to(self.current_block.device)]
        self.block_edge_index = self.block_edge_index[:, kept]
        if with_weight:
            self.block_edge_weight = self.block_edge_weight[kept.to(self.block_edge_weight.device)]


class _Projected(_Poisoning, PRBCDAttack):
    best_edge_index: Tensor
    best_pert_edge_weight: Tensor

    def ranked(self, pairs: Tensor) -> Tensor:
        """``pairs``, then a reserve: other moved pairs of the best block; larger extents first."""
        block = self.best_edge_index.to(pairs.device)
        extent = self.best_pert_edge_weight.to(pairs.device)
        drawn = torch.isin(self._codes(block), self._codes(pairs))
        moved = drawn | (extent > LEAST_EXTENT)
        order = (drawn + extent)[moved].argsort(descending=True, stable=True)
        return block[:, moved][:, order]


class _Greedy(_Poisoning, GRBCDAttack):
    def ranked(self, pairs: Tensor) -> Tensor:
        """``pairs`` unchanged: the order in which they were flipped."""
        return pairs


def _prediction(prediction: Tensor, *_: Any) -> Tensor:
    return prediction
