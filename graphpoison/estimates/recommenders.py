"""Workloads of recommenders."""

from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil
from typing import ClassVar, Literal

from .._checks import choice, positive_int
from ..sparse.shares import parts_on_cpu
from ..training.iterates import Place, place, stride_of
from .workload import FLOAT, Counts, Workload, check_sizes

COPIES = {"sgd": 1, "adam": 4}
"""Tables in an iterate: the parameters; with Adam also two moments and the gradient."""
HOPS = 2
FRESH_BYTES = 32 * 2**20
"""Larger tensors are in memory that the system maps anew, and fills with zeros, for each tensor."""


@dataclass(frozen=True)
class RecommenderWorkload(Workload):
    """A meta-attack on a recommender that is trained in steps.

    Args:
        users, items: numbers of nodes.
        pairs: number of interactions. Training adds the same number of negatives, and the negatives
            are the candidates.
        surrogate: ``"cf"``, ``"gmf"`` or ``"lightgcn"``.
        loss: ``"log"``, or ``"bpr"`` with ``"cf"``.
        dim: embedding width D.
        layers: widths of the hidden layers of ``"gmf"``; none by default.
        hops: propagations K of ``"lightgcn"``.
        steps: training steps T.
        optimizer: ``"adam"``, or ``"sgd"`` without momentum.
        gradients: number of gradients: flips over flips per step, rounded up.

    Raises:
        TypeError, ValueError: a size is out of range, a name is unknown, the interactions are more
            than half of all pairs, or a setting belongs to another surrogate.
    """

    users: int
    items: int
    pairs: int
    surrogate: Literal["cf", "gmf", "lightgcn"] = "cf"
    loss: Literal["log", "bpr"] = "log"
    dim: int = 32
    layers: tuple[int, ...] = ()
    hops: int = HOPS
    steps: int = 50
    optimizer: Literal["adam", "sgd"] = "adam"
    gradients: int = 1

    divisible: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_sizes(self, "users", "items", "pairs", "dim", "hops", "steps", "gradients")
        _check_interactions(self.users, self.items, self.pairs, share=2)
        choice("surrogate", self.surrogate, ["cf", "gmf", "lightgcn"])
        choice("loss", self.loss, ["log", "bpr"])
        choice("optimizer", self.optimizer, list(COPIES))
        for width in self.layers:
            positive_int("layers", width)
        if self.loss == "bpr" and self.surrogate != "cf":
            raise ValueError(f"loss='bpr' is for surrogate='cf', found {self.surrogate!r}.")
        if self.layers and self.surrogate != "gmf":
            raise ValueError(f"layers are for surrogate='gmf', found {self.surrogate!r}.")
        if self.hops != HOPS and self.surrogate != "lightgcn":
            raise ValueError(f"hops are for surrogate='lightgcn', found {self.surrogate!r}.")

    @property
    def num_gradients(self) -> int:
        return self.gradients

    def with_flips(self, flips: int, flips_per_step: int = 1) -> "RecommenderWorkload":
        return replace(self, gradients=ceil(flips / flips_per_step))

    @property
    def num_edges(self) -> int:
        return self.pairs

    @property
    def num_pairs(self) -> int:
        """Number of training pairs, interactions and negatives."""
        return 2 * self.pairs

    @property
    def table_size(self) -> int:
        """Numbers in the tables of users and items."""
        return sum(self._table_sizes)

    @property
    def _table_sizes(self) -> tuple[int, int]:
        return self.users * self.dim, self.items * self.dim

    @property
    def iterate_bytes(self) -> int:
        """Bytes of one iterate of training."""
        return FLOAT * self.table_size * COPIES[self.optimizer]

    def place(self, on_cpu: bool = True) -> Place:
        """Where the iterates of training are kept: ``"memory"``, ``"file"`` or
        ``"checkpoints"``."""
        return place(self.steps * self.iterate_bytes, on_cpu)

    def operations(self, on_cpu: bool = True) -> Counts:
        kind, steps, tables = self._kind, self.steps, self.table_size
        pairs, products = steps * self.num_pairs, steps * self.num_pairs * self._width
        shared = {
            "pairs searched": self.num_pairs,
            f"{kind}: steps x pairs": pairs,
            f"{kind}: steps x pairs x width": products,
        }
        whole = {"gradients": 1.0, f"{kind}: steps": steps}
        rows = shared if self._divides_tables else whole
        rows[f"{self.optimizer}: steps x tables"] = steps * tables
        fresh = sum(size for size in self._table_sizes if FLOAT * size > FRESH_BYTES)
        if fresh:
            rows[f"{self.optimizer}: steps x tables in fresh memory"] = steps * fresh
        if kind == "gmf":
            shared["gmf: steps x pairs x dim"] = pairs * self.dim
        if kind == "lightgcn":
            shared["lightgcn: steps x pairs x dim"] = pairs * self.dim
            whole["lightgcn: steps x tables x hops"] = steps * tables * self.hops
        if kind in ("cf", "lightgcn"):
            shared["steps x parts x items x dim"] = steps * self._parts * self.items * self.dim
        where = self.place(on_cpu)
        if where == "file":
            rows["bytes of iterates in a file"] = steps * self.iterate_bytes
        if where == "checkpoints":
            shared[f"{kind}: steps x pairs x width, again"] = products
            rows["steps x tables, again"] = steps * tables
        once = {"attacks": 1.0, "pairs read": self.num_pairs}
        return Counts(once, shared, whole)

    def bytes(self, on_cpu: bool = True) -> Counts:
        tables = FLOAT * self.table_size
        shared, whole = {f"{self._kind}: pairs": float(self.num_pairs)}, {"attacks": 1.0}
        rows = shared if self._divides_tables else whole
        rows[f"{self.optimizer}: tables"] = tables
        where = self.place(on_cpu)
        if where == "memory":
            rows["iterates"] = self.steps * self.iterate_bytes
        if where == "checkpoints":
            stride = stride_of(self.steps)
            rows["iterates"] = (ceil(self.steps / stride) + stride) * self.iterate_bytes
        if self._kind == "lightgcn":
            whole["lightgcn: tables x hops"] = tables * self.hops
        return Counts(shared=shared, whole=whole)

    def share(self, ranks: int) -> float:
        return ceil(self._parts / ranks) / self._parts

    def exchanged_bytes(self, ranks: int) -> float:
        """Bytes that each of ``ranks`` sends to the others in one gradient.

        In each step it sends its rows of items and its sums over the items of other ranks, in each
        adjoint also cotangents of its rows. LightGCN sends rows of users too, and the rows of each
        propagation. GMF without layers sends the gradient of its users' rows and its sums over all
        items. At the end the gradient of the labels is sent.
        """
        others, (users, items) = (ranks - 1) / ranks, self._table_sizes
        numbers = self.steps * others * 5 * items
        if not self._divides_tables:
            numbers = 2 * self.steps * (others * users + (ranks - 1) * items)
        if self._kind == "lightgcn":
            numbers += self.steps * others * (5 * users + 6 * self.hops * self.table_size)
        return FLOAT * (numbers + others * self.num_pairs)

    @property
    def _divides_tables(self) -> bool:
        """Whether ranks divide the rows of the tables, their optimiser state and the iterates."""
        return self.surrogate != "gmf" or bool(self.layers)

    @property
    def _parts(self) -> int:
        return parts_on_cpu(self.num_pairs, self.items)

    @property
    def _kind(self) -> str:
        if self.loss == "bpr":
            return "bpr"
        return "cf" if self.surrogate == "gmf" and not self.layers else self.surrogate

    @property
    def _width(self) -> int:
        """Number of multiplications for one pair, up to a constant factor."""
        if self._kind == "gmf":
            return sum(a * b for a, b in pairwise((self.dim, *self.layers, 1)))
        return self.dim * self.hops if self._kind == "lightgcn" else self.dim


@dataclass(frozen=True)
class RankingWorkload(Workload):
    """``ranking_attack()`` through EASE: gradients w.r.t. the whole interaction matrix.

    Args:
        users, items: numbers of nodes.
        pairs: number of interactions; every pair of a user and an item is a candidate.
        steps: Frank-Wolfe steps of each half.
        halves: 2, or 1 for additions only.

    Raises:
        TypeError, ValueError: a size is out of range, or there are more interactions than pairs.
    """

    users: int
    items: int
    pairs: int
    steps: int = 40
    halves: int = 2

    def __post_init__(self) -> None:
        check_sizes(self, "users", "items", "pairs", "steps", "halves")
        _check_interactions(self.users, self.items, self.pairs)
        if self.halves > 2:
            raise ValueError(f"halves must be 1 or 2, found {self.halves}.")

    @property
    def num_gradients(self) -> int:
        return self.steps * self.halves

    def with_flips(self, flips: int, flips_per_step: int = 1) -> "RankingWorkload":
        return self  # the number of gradients does not depend on the budget

    @property
    def num_edges(self) -> int:
        return self.pairs

    def operations(self, on_cpu: bool = True) -> Counts:
        matrix = float(self.users * self.items)
        once = {
            "ease: attacks": 1.0,
            "ease: matrices read": matrix,
            "ease: halves x matrix": self.halves * matrix,
        }
        whole = {
            "ease: gradients": 1.0,
            "ease: matrix": matrix,
            "ease: users x items^2": matrix * self.items,
            "ease: items^3": float(self.items**3),
        }
        return Counts(once, {}, whole)

    def bytes(self, on_cpu: bool = True) -> Counts:
        matrix, weights = FLOAT * self.users * self.items, FLOAT * self.items**2
        return Counts(
            whole={"ease: attacks": 1.0, "ease: matrix": matrix, "ease: item weights": weights}
        )


def _check_interactions(users: int, items: int, pairs: int, share: int = 1) -> None:
    """Raise a ValueError if ``share`` times ``pairs`` is more than ``users`` times ``items``."""
    if share * pairs > users * items:
        also = " and as many negatives" if share == 2 else ""
        raise ValueError(
            f"pairs={pairs:,}{also} are more than the {users * items:,} pairs of {users:,} users "
            f"and {items:,} items."
        )
