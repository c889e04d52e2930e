"""Implementation of ``graphpoison attack``: task, attack and budget, checked before the work."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._memory import limited
from .._ranks import ALONE, RankError, Ranks
from .._text import counted, duration, memory
from ..attacks import Attack, Injection, MetaAttack, SurrogateAttack, estimate
from ..attacks.budget_check import check_budget
from ..budget import Budget
from ..estimates import estimate_ahead
from ..graphs import Graph, Interactions
from ..parsing import parse_budget
from ..perturbation import Perturbation
from ..ranking_presets import promote
from ..registry import AttackSettings, build_attack, build_task
from ..tasks import Task
from .errors import Interrupted
from .output import show_counts, show_json

logger = logging.getLogger(__name__)

BUDGET = "5%"
PROMOTION = "promotion"
LONG, WORTH_MEASURING = 60.0, 10.0
"""Seconds from which on an attack is announced; and, as estimated from sizes, measured before."""
MANY = 50
"""Number of proposals of which two may be measured before the attack."""


@dataclass(frozen=True, eq=False)
class Plan:
    """An attack that is ready to run.

    Args:
        graph: the clean graph.
        settings: the settings, with the name of the attack.
        task, attack: the objects that the settings describe.
        budget: largest number of flips.
        spelt: the budget in words.
    """

    graph: Graph
    settings: AttackSettings
    task: Task[Any]
    attack: Attack | Injection
    budget: Budget
    spelt: str

    @classmethod
    def of(
        cls,
        graph: Graph,
        settings: AttackSettings,
        budget: str | None,
        seed: int,
        resume: bool,
        ranks: Ranks = ALONE,
    ) -> "Plan":
        """Return the plan for these options.

        Raises:
            TypeError, ValueError: a setting or the budget does not fit the graph or the attack.
        """
        task, attack = build_task(graph, settings).over(ranks), build_attack(graph, settings)
        if settings.promote is None:
            limit = parse_budget(BUDGET if budget is None else budget)
            spelt = check_budget(limit, task, attack, seed)
            return cls(graph, settings, task, attack, limit, spelt)
        if budget is not None:
            raise ValueError(
                "budget and promote exclude each other: the flips of a promotion are the profiles "
                "of its fake users; give fake_users and profile_length."
            )
        if resume:
            raise ValueError("resume is not for promote, which keeps no checkpoint: leave it out.")
        count, length = settings.new_users or 0, settings.profile_length or 0
        fewest, most = len(settings.promote), task.state.shape[1]
        if not fewest <= length <= most:
            raise ValueError(
                f"profile_length must lie between the {fewest} promoted items and the {most} items "
                f"of the data, found {length}."
            )
        flips = count * length
        said = f"{counted(count, 'fake user')} with {counted(length, 'interaction')} each"
        return cls(graph, settings, task, attack, Budget(flips), f"{said} = {flips:,} flips")

    @property
    def name(self) -> str:
        """The name of the attack, in tables."""
        return PROMOTION if self.settings.promote is not None else str(self.settings.attack)

    @property
    def shares(self) -> bool:
        """Whether several processes share the work of the attack."""
        attack = self.attack.attack if isinstance(self.attack, Injection) else self.attack
        return isinstance(attack, SurrogateAttack) and not self.task.is_closed_form

    @property
    def promoted(self) -> list[str] | None:
        """The ids of the promoted items; None if no items are promoted."""
        items = self.settings.promote
        if items is None or not isinstance(self.graph, Interactions):
            return None
        return self.graph.item_names(items)

    def announce(self, seed: int, max_memory: str | None) -> None:
        """Log the estimated time and memory of a long attack.

        An attack of many proposals is measured on two of them, which takes at most 4% of its time.

        Raises:
            TypeError, ValueError, MemoryError: as the attack raises.
        """
        if self.settings.promote is not None or self.task.ranks.size > 1:
            return
        found = estimate_ahead(self.attack, self.task, self.budget)
        if found is None or found.setup_seconds + found.seconds < WORTH_MEASURING:
            return
        source = "estimated from sizes for another machine; --dry-run measures them on this one"
        if found.proposals >= MANY:
            found = estimate(self.attack, self.task, self.budget, seed, max_memory)
            source = "measured on two proposals"
        seconds = found.setup_seconds + found.seconds
        if seconds < LONG:
            return
        needs = "" if found.bytes is None else f" and {memory(found.bytes)} of memory"
        fewer = isinstance(self.attack, MetaAttack) and found.proposals > 1
        advice = ". A larger --flips-per-step takes fewer gradients" if fewer else ""
        logger.info("about %s%s, %s%s.", duration(seconds), needs, source, advice)

    def run(
        self, seed: int, progress: bool, checkpoint: Path, max_memory: str | None
    ) -> Perturbation:
        """Run the attack, and return its flips.

        A checkpoint without flips is removed if this run has made it.

        Raises:
            Interrupted: Ctrl-C, SIGTERM or SIGHUP, if the checkpoint holds flips.
            RankError: another process has ended.
        """
        before = checkpoint.exists()
        try:
            if self.settings.promote is not None:
                with limited(max_memory, self.task.state.weight.device):
                    return self._promotion(seed, progress)
            return self.attack(self.task, self.budget, seed, progress, checkpoint, max_memory)
        except BaseException as error:
            if not self.task.ranks.first:
                raise
            kept = len(Perturbation.load(checkpoint)) if checkpoint.exists() else 0
            if not kept and not before:
                checkpoint.unlink(missing_ok=True)
            elif isinstance(error, KeyboardInterrupt):
                raise Interrupted(f"interrupted: {_held(checkpoint, kept)}", error) from error
            elif isinstance(error, RankError):
                raise RankError(f"{error} {_held(checkpoint, kept)}") from error
            raise

    def _promotion(self, seed: int, progress: bool) -> Perturbation:
        settings = self.settings
        assert isinstance(self.graph, Interactions)
        given: dict[str, Any] = {"surrogate": settings.surrogate, "k": settings.k}
        options = {name: value for name, value in given.items() if value is not None}
        return promote(
            self.graph,
            settings.promote or (),
            settings.new_users or 0,
            settings.profile_length or 0,
            seed=seed,
            progress=progress,
            **options,
        )


def _held(checkpoint: Path, flips: int) -> str:
    return f"{checkpoint} holds {counted(flips, 'flip')}; the same command with --resume continues."


def show_estimate(plan: Plan, input: str, seed: int, max_memory: str | None, as_json: bool) -> None:
    """Print the estimated time and memory of the attack.

    Raises:
        ValueError: the attack is a promotion.
    """
    if plan.settings.promote is not None:
        raise ValueError("dry_run is not for promote: leave one of them out.")
    found = estimate(plan.attack, plan.task, plan.budget, seed, max_memory)
    shown = {
        "input": input,
        "attack": plan.name,
        "budget": plan.spelt,
        "seconds": round(found.setup_seconds + found.seconds, 1),
        "peak MB": None if found.bytes is None else round(found.bytes / 2**20),
    }
    if as_json:
        show_json(shown)
    else:
        known = {name: value for name, value in shown.items() if value is not None}
        show_counts(known, f"{plan.name} on {input}, not run")
