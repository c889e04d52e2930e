"""The work of ``graphpoison estimate``: the cost of an attack, by its sizes, on a machine."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from .._text import counted, duration, memory
from ..attacks import Estimate
from ..budget import part_of
from ..estimates import (
    Coefficients,
    NodeWorkload,
    RankingWorkload,
    Ranks,
    RecommenderWorkload,
    Workload,
    calibrate,
    estimate_by_size,
)
from ..estimates.by_name import workload_of
from ..parsing import parse_budget
from ..training.iterates import stride_of
from .errors import WrongUsage
from .output import show_counts, show_json
from .plan import BUDGET

RENAMED = {"epochs": "steps"}
"""Option of ranking -> its name in a workload."""


@dataclass(frozen=True)
class BySize:
    """An attack by its sizes.

    Args:
        surrogate: its name.
        workload: its sizes.
        flips: the budget.
        spelt: the budget in words.
    """

    surrogate: str
    workload: Workload
    flips: int
    spelt: str


@dataclass(frozen=True)
class Machine:
    """Where an attack is planned to run.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        known: what was measured on it.
        ranks: how many processes, and how they are connected.
        scale: its time over the time of the measured machine.
    """

    device: str
    known: Coefficients
    ranks: Ranks
    scale: float = 1.0

    def cost(self, plan: BySize) -> Estimate:
        return estimate_by_size(
            plan.workload,
            ranks=self.ranks,
            device=self.device,
            scale=self.scale,
            coefficients=self.known,
        )

    def calibrated(self, plan: BySize) -> "Machine":
        """The machine with the scale that small attacks show."""
        return replace(self, scale=calibrate(plan.workload, self.device, self.known))


def by_size(
    surrogate: str, sizes: Mapping[str, Any], budget: str | None, flips_per_step: int
) -> BySize:
    """The attack of the options that were given.

    Raises:
        WrongUsage: steps of ranking, or epochs of training.
        TypeError, ValueError: as :func:`.workload_of` and :func:`.parse_budget` raise; a budget of
            no flip.
    """
    known = dict(sizes)
    if "layers" in known:
        known["layers"] = _widths(known["layers"])
    ranking = surrogate == "ease"
    if ranking != ("epochs" in known) and ("epochs" in known or "steps" in known):
        wrong, right = ("steps", "epochs") if ranking else ("epochs", "steps")
        raise WrongUsage(f"--{wrong} is not for --surrogate {surrogate}; use --{right}.")
    known = {RENAMED.get(name, name): value for name, value in known.items()}
    workload = workload_of(surrogate, known)
    limit = parse_budget(BUDGET if budget is None else budget)
    flips = limit.flips or part_of(limit.share or 0.0, workload.num_edges)
    if not flips:
        raise ValueError(f"budget={budget!r} of {workload.num_edges:,} edges is no flip at all.")
    spelt = counted(flips, "flip")
    if limit.share is not None:
        spelt = f"{budget or BUDGET} of {workload.num_edges:,} edges = {spelt}"
    return BySize(surrogate, workload.with_flips(flips, flips_per_step), flips, spelt)


def _widths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"layers={text!r} must be numbers between commas, as 16,8.") from error


def show_cost(plan: BySize, machine: Machine, as_json: bool) -> None:
    """Print what the attack will cost."""
    cost, known, ranks = machine.cost(plan), machine.known, machine.ranks
    gradient = cost.seconds / cost.proposals
    if as_json:
        show_json(
            {
                "surrogate": plan.surrogate,
                **asdict(plan.workload),
                "flips": plan.flips,
                "gradients": plan.workload.num_gradients,
                "setup seconds": cost.setup_seconds,
                "seconds a gradient": gradient,
                "seconds": cost.setup_seconds + cost.seconds,
                "bytes": cost.bytes,
                "ranks": asdict(ranks),
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
        "setup": duration(cost.setup_seconds),
        "a gradient": duration(gradient),
        "in all": duration(cost.setup_seconds + cost.seconds),
        "memory": memory(cost.bytes or 0) + (" a rank" if ranks.count > 1 else ""),
    }
    if isinstance(plan.workload, RecommenderWorkload):
        shown["iterates"] = _iterates(plan.workload, machine.device == "cpu")
    if ranks.count > 1:
        shown["ranks"] = (
            f"{ranks.count}, at {ranks.gigabits:g} Gbit/s and an assumed efficiency of "
            f"{ranks.efficiency:g}"
        )
    shown["measured on"] = f"{known.processor}, {counted(known.threads, 'thread')}"
    shown["scale"] = f"{machine.scale:.2f}"
    show_counts(shown, f"{plan.surrogate}, by its sizes")


def _graph(workload: Workload) -> str:
    if isinstance(workload, NodeWorkload):
        sizes = counted(workload.nodes, "node"), counted(workload.edges, "edge")
        return ", ".join([*sizes, counted(workload.features, "feature")])
    assert isinstance(workload, RecommenderWorkload | RankingWorkload)
    sizes = counted(workload.users, "user"), counted(workload.items, "item")
    return ", ".join([*sizes, counted(workload.pairs, "training interaction")])


def _iterates(workload: RecommenderWorkload, on_cpu: bool) -> str:
    """Where the iterates of training are kept."""
    where = workload.place(on_cpu)
    if where == "file":
        size = memory(workload.steps * workload.iterate_bytes)
        return f"in a temporary file of {size}"
    if where == "checkpoints":
        return f"one in {stride_of(workload.steps)} in memory; training is run once more"
    return "in memory"
