"""The workload of node classifiers."""

from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

from .._checks import choice, in_range, positive_int
from ..graphs.features import SPARSE_BELOW
from .workload import FLOAT, Counts, Workload, check_sizes

HIDDEN = 16


@dataclass(frozen=True)
class NodeWorkload(Workload):
    """A meta-attack on a linear node classifier, with all pairs of nodes as candidates.

    Args:
        nodes: number of nodes.
        edges: undirected edges.
        features, classes: number of features and of classes.
        labels: labelled nodes; None for a tenth of the nodes.
        surrogate: ``"linear-gcn"`` or ``"sgc"``.
        hidden: width of the hidden layer of ``"linear-gcn"``.
        hops: propagations of ``"sgc"``; ``"linear-gcn"`` has 2.
        density: the share of non-zeros among the features.
        steps: training steps T, of gradient descent with momentum.
        gradients: number of gradients: flips over flips per step, rounded up.

    Raises:
        TypeError, ValueError: a size is out of range, the surrogate is unknown, a setting belongs
            to the other surrogate, or there are more edges or labels than the nodes allow.
    """

    nodes: int
    edges: int
    features: int
    classes: int
    labels: int | None = None
    surrogate: Literal["linear-gcn", "sgc"] = "linear-gcn"
    hidden: int = HIDDEN
    hops: int = 2
    density: float = 0.02
    steps: int = 100
    gradients: int = 1

    def __post_init__(self) -> None:
        names = ("nodes", "edges", "features", "classes", "hidden", "hops", "steps", "gradients")
        check_sizes(self, *names)
        choice("surrogate", self.surrogate, ["linear-gcn", "sgc"])
        in_range("density", self.density, 0.0, 1.0, open_low=True)
        positive_int("classes", self.classes, 2)
        if self.edges > self.nodes * (self.nodes - 1) // 2:
            raise ValueError(f"edges={self.edges:,} are more than {self.nodes:,} nodes can have.")
        if self.labels is not None:
            positive_int("labels", self.labels, 1, self.nodes - 1)
        if self.surrogate == "linear-gcn" and self.hops != 2:
            raise ValueError(f"surrogate='linear-gcn' has hops=2, found {self.hops}; use 'sgc'.")
        if self.surrogate == "sgc" and self.hidden != HIDDEN:
            raise ValueError("hidden is for surrogate='linear-gcn'; 'sgc' has no hidden layer.")

    @property
    def num_gradients(self) -> int:
        return self.gradients

    def with_flips(self, flips: int, flips_per_step: int = 1) -> "NodeWorkload":
        return replace(self, gradients=ceil(flips / flips_per_step))

    @property
    def num_edges(self) -> int:
        return self.edges

    @property
    def num_labels(self) -> int:
        """Labelled nodes."""
        return max(1, self.nodes // 10) if self.labels is None else self.labels

    def operations(self, on_cpu: bool = True) -> Counts:
        labels, features, steps = self.num_labels, self.features, self.steps
        entries, rank = self.nodes * features, min(labels, features)
        products = entries * (self.density if self.density < SPARSE_BELOW else 1.0)
        if labels < features:  # trained in Gram coordinates
            width = self.classes if self.surrogate == "sgc" else self.hidden
            training = {f"{self.surrogate}: steps x labels^2 x width": steps * labels**2 * width}
            rows = {"labels^2 x features": labels**2 * features}
        else:
            size = labels * features
            name = f"{self.surrogate}: steps x labels x features x classes"
            training = {name: steps * size * self.classes}
            rows = {"labels x features^2": size * features}
        whole = {
            "nodes: gradients": 1.0,
            f"{self.surrogate}: steps": steps,
            **training,
            **rows,
            "edges x rank x hops": self.edges * rank * self.hops,
            "features x rank": products * rank,
            "nodes x rank": self.nodes * rank,
        }
        once = {"nodes: attacks": 1.0, "nodes x features": entries, "edges": self.edges}
        return Counts(once, {}, {name: float(size) for name, size in whole.items()})

    def bytes(self, on_cpu: bool = True) -> Counts:
        labels, features = self.num_labels, self.features
        rank, gram = min(labels, features), labels < features
        coordinates = "labels" if gram else "features"
        outputs = self.classes if self.surrogate == "sgc" or not gram else self.hidden
        whole = {
            "nodes: attacks": 1.0,
            "nodes x features": FLOAT * self.nodes * features,
            f"nodes x rank, in {coordinates}": FLOAT * self.nodes * rank,
            f"labels x features, in {coordinates}": FLOAT * labels * features,
            f"steps x labels x outputs, in {coordinates}": FLOAT * self.steps * labels * outputs,
            "edges": FLOAT * self.edges,
        }
        return Counts(whole={name: float(size) for name, size in whole.items()})
