"""Implementation of ``graphpoison estimate``: the cost of an attack from the sizes of a graph."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from .._text import counted, duration, memory
from ..attacks import Estimate
from ..budget import part_of
from ..estimates import (
    Cluster,
    Coefficients,
    NodeWorkload,
    RankingWorkload,
    RecommenderWorkload,
    Workload,
    calibrate,
    estimate_by_size,
)
from ..estimates.by_name import workload_of
from ..parsing import parse_budget, parse_numbers
from ..training.iterates import stride_of
from .errors import WrongUsage
from .output import show_counts, show_json, show_rows
from .plan import BUDGET

RENAMED = {"epochs": "steps"}
"""Option of ranking -> its name in a workload."""


@dataclass(frozen=True)
class BySize:
    """An attack on a graph of given sizes.

    Args:
        surrogate: name of the surrogate.
        workload: sizes of the graph, and settings of the attack.
        flips: the budget.
        spelt: the budget in words.
    """

    surrogate: str
    workload: Workload
    flips: int
    spelt: str


@dataclass(frozen=True)
class Machine:
    """The machine for which the cost of an attack is estimated.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        known: coefficients of time and memory, measured on one machine.
        clusters: numbers of processes, with the network between them; one estimate for each.
        scale: time on this machine divided by the time on the measured machine.
    """

    device: str
    known: Coefficients
    clusters: tuple[Cluster, ...]
    scale: float = 1.0

    def cost(self, plan: BySize, cluster: Cluster) -> Estimate:
        """Return the estimated cost on one cluster."""
        return estimate_by_size(
            plan.workload,
            cluster=cluster,
            device=self.device,
            scale=self.scale,
            coefficients=self.known,
        )

    def calibrated(self, plan: BySize) -> "Machine":
        """Return this machine with ``scale`` measured by small attacks."""
        return replace(self, scale=calibrate(plan.workload, self.device, self.known))


def by_size(
    surrogate: str, sizes: Mapping[str, Any], budget: str | None, flips_per_step: int
) -> BySize:
    """Return the attack that the options describe.

    Args:
        surrogate: name of the surrogate; ``"ease"`` is attacked by ``ranking``, others by ``meta``.
        sizes: the options that were given, by name.
        budget: number of flips or share of the edges, as text; None for :data:`.BUDGET`.
        flips_per_step: number of flips per meta-gradient.

    Raises:
        WrongUsage: ``steps`` is given for ``ranking``, or ``epochs`` for ``meta``.
        TypeError, ValueError: as :func:`.workload_of` and :func:`.parse_budget` raise; the budget
            is less than one flip.
    """
    known = dict(sizes)
    if "layers" in known:
        known["layers"] = parse_numbers("layers", known["layers"])
    ranking = surrogate == "ease"
    if ranking != ("epochs" in known) and ("epochs" in known or "steps" in known):
        wrong, right = ("steps", "epochs") if ranking else ("epochs", "steps")
        raise WrongUsage(f"--{wrong} is not for --surrogate {surrogate}; use --{right}.")
    known = {RENAMED.get(name, name): value for name, value in known.items()}
    workload = workload_of(surrogate, known)
    limit = parse_budget(BUDGET if budget is None else budget)
    flips = limit.flips or part_of(limit.share or 0.0, workload.num_edges)
    if not flips:
        raise ValueError(
            f"budget={budget!r} of {workload.num_edges:,} edges is less than one flip."
        )
    spelt = counted(flips, "flip")
    if limit.share is not None:
        spelt = f"{budget or BUDGET} of {workload.num_edges:,} edges = {spelt}"
    return BySize(surrogate, workload.with_flips(flips, flips_per_step), flips, spelt)


def show_cost(plan: BySize, machine: Machine, as_json: bool) -> None:
    """Print the estimated time and memory of the attack, for each number of ranks."""
    costs = [_cost(plan, machine, cluster) for cluster in machine.clusters]
    if as_json:
        known = machine.known
        show_json(
            {
                "surrogate": plan.surrogate,
                "workload": asdict(plan.workload),
                "flips": plan.flips,
                "gradients": plan.workload.num_gradients,
                "costs": costs,
                "device": machine.device,
                "scale": machine.scale,
                "processor": known.processor,
                "threads": known.threads,
            }
        )
        return
    shown: dict[str, object] = {
        "graph": _graph(plan.workload),
        "budget": plan.spelt,
        "gradients": plan.workload.num_gradients,
    }
    if isinstance(plan.workload, RecommenderWorkload):
        shown["iterates"] = _iterates(plan.workload, machine.device == "cpu")
    lines = [
        {
            "ranks": str(cost["ranks"]),
            "setup": duration(cost["setup seconds"]),
            "a gradient": duration(cost["seconds a gradient"]),
            "in all": duration(cost["seconds"]),
            "memory of each": memory(cost["bytes"]),
        }
        for cost in costs
    ]
    if len(lines) == 1:
        shown |= lines[0]
    largest = machine.clusters[-1]
    if largest.ranks > 1:
        shown["assumed"] = f"efficiency {largest.efficiency:g}, {largest.gigabits:g} Gbit/s"
    shown["measured on"] = f"{machine.known.processor}, {counted(machine.known.threads, 'thread')}"
    shown["scale"] = f"{machine.scale:.2f}"
    show_counts(shown, f"attack through {plan.surrogate}, estimated from sizes")
    if len(lines) > 1:
        show_rows(lines)


def _cost(plan: BySize, machine: Machine, cluster: Cluster) -> dict[str, float]:
    cost = machine.cost(plan, cluster)
    return {
        "ranks": cluster.ranks,
        "efficiency": cluster.efficiency,
        "gigabits": cluster.gigabits,
        "setup seconds": cost.setup_seconds,
        "seconds a gradient": cost.seconds / cost.proposals,
        "seconds": cost.setup_seconds + cost.seconds,
        "bytes": cost.bytes or 0,
    }


def _graph(workload: Workload) -> str:
    if isinstance(workload, NodeWorkload):
        sizes = counted(workload.nodes, "node"), counted(workload.edges, "edge")
        return ", ".join([*sizes, counted(workload.features, "feature")])
    assert isinstance(workload, RecommenderWorkload | RankingWorkload)
    sizes = counted(workload.users, "user"), counted(workload.items, "item")
    return ", ".join([*sizes, counted(workload.pairs, "training interaction")])


def _iterates(workload: RecommenderWorkload, on_cpu: bool) -> str:
    """Return, in words, where the iterates of training are kept."""
    where = workload.place(on_cpu)
    if where == "file":
        size = memory(workload.steps * workload.iterate_bytes)
        return f"in a temporary file of {size}"
    if where == "checkpoints":
        return f"one in {stride_of(workload.steps)} in memory; training is run once more"
    return "in memory"
