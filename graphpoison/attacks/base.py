"""The attack loop. ``Attack.__call__`` is final: it checks the budget and the constraints."""

import logging
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from .._checks import flag, seed_number
from .._io import locked
from .._logging import said_once
from .._memory import limited
from .._progress import progress_bar
from .._random import generator
from .._settings import describe, digest, of_package
from .._signals import terminable
from ..apply import edges_digest
from ..budget import Budget, budget_of
from ..constraints import Constraint, Predicate, check_constraints
from ..graphs import PairState
from ..hypergradient import Flips, implicit
from ..hypergradient.base import VanishedGradientError
from ..perturbation import Perturbation, fingerprint
from ..provenance import SERIES, Clock, environment
from ..tasks import Task
from ..training import Params
from . import checkpoint as checkpoints
from .flip_table import flips_of, rows_of, table_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Proposal:
    """The next flips of an attack, best first, and the attack loss before them."""

    flips: Flips
    attack_loss: float = float("nan")


class Attack(ABC):
    """Chooses flips. Hyperparameters are fields; task and budget are passed to the call."""

    constraints: Sequence[Constraint] = ()
    flips_features: ClassVar[bool] = False
    at_end: ClassVar[str] = "no admissible flip left"

    @abstractmethod
    def propose(
        self, task: Task[Any], state: PairState, limit: int, seed: int, step: int
    ) -> Proposal:
        """Admissible flips of ``state``, best first; none if no flip is left.

        The flips are made in turn until there are ``limit``. Flips that violate a constraint after
        the previous flips are skipped; proposals beyond the limit replace them.
        """

    def setup(self, task: Task[Any], seed: int) -> Task[Any]:
        """Returns ``task`` with everything the attack needs before its first step."""
        return task

    def sample(self, task: Task[Any], limit: int) -> "tuple[Attack, float]":
        """Returns a cheap version of this attack, and the number of its proposals that takes as
        long as ``limit`` flips of this attack on ``task``; see :func:`graphpoison.estimate`."""
        return self, 1.0

    @final
    def __call__(
        self,
        task: Task[Any],
        budget: Budget | int | float,
        seed: int = 0,
        progress: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
        max_memory: int | str | None = None,
    ) -> Perturbation:
        """Run the attack; neither ``task`` nor its data are changed.

        Args:
            task: the task to attack.
            budget: the largest number of flips, a share of the clean edges if a float, or a
                :class:`Budget`.
            seed: the same seed gives the same flips.
            progress: show a progress bar.
            checkpoint: file in which the flips are saved during the attack. If the file exists, the
                attack resumes after its flips and makes the flips of an uninterrupted attack; on a
                GPU, where the order of sums varies, up to rounding. Ctrl-C, SIGTERM and SIGHUP end
                the attack after its last complete step, which is saved.
            max_memory: the largest number of bytes that the process, or the GPU of the data, may
                use in total, as a number or as text such as ``"4GB"``.

        Raises:
            MemoryError: the attack needs more than ``max_memory``; flips so far are saved.
            TypeError: the budget is neither a :class:`Budget` nor a number of flips.
            ValueError: the budget exceeds the number of pairs; the checkpoint is damaged, in use by
                another process, or of another run (the message names the difference); the task has
                ``feature_candidates``, and the attack flips only edges.
            RuntimeError: the attack broke its own constraints (a bug); or, if processes share the
                work (:meth:`Task.over <graphpoison.Task.over>`), a process has ended, or the
                processes disagree.
        """
        with ExitStack() as held:
            task.ranks.share(lambda: held.enter_context(locked(checkpoint)))
            return self.run(task, budget, seed, progress, checkpoint, max_memory, by=self)

    @final
    def run(
        self,
        task: Task[Any],
        budget: Budget | int | float,
        seed: int,
        progress: bool,
        checkpoint: str | os.PathLike[str] | None,
        max_memory: int | str | None,
        by: object,
    ) -> Perturbation:
        """Runs the attack as ``__call__`` does. ``by`` is recorded as the attack: this one or an
        injection with fake users. The caller holds the lock of the checkpoint."""
        if task.state.features is not None and not self.flips_features:
            raise ValueError(
                f"{type(self).__name__} flips only edges; leave feature_candidates out of the "
                "task, or use MetaAttack or RandomAttack."
            )
        check_constraints(self.constraints)
        limit = budget_of(budget).resolve(task.state, task.clean_edges.size(1))
        seed = seed_number("seed", seed)
        device, start = task.state.weight.device, task.init(generator(seed))
        meta = _meta(task, limit, seed, by, start)
        ranks, file = task.ranks, checkpoint if task.ranks.first else None
        ranks.agree("the input and the settings", device, repr(meta))
        before = ranks.share(lambda: checkpoints.resume(checkpoint, meta))
        state = flips_of(before.flips, task.state).made(task.state)
        if before.provenance.get("finished"):
            _verify(before, task.state, state, limit, self.constraints)
            return replace(before, meta=meta, fake_users=task.fake_users)
        dtype = start[0].dtype if start else task.dtype
        clock = Clock(environment(device, dtype, ranks.size), before.provenance)
        room = partial(limited, max_memory, device)  # does not hold while flips are saved
        with room():
            bound = self.setup(task, seed) if limit else task
        parts: list[dict[str, Any]] = []
        done, saved = len(before), time.monotonic()
        step = int(before.flips["step"].max()) + 1 if done else 0

        def so_far(finished: bool) -> Perturbation:
            provenance = {**clock.read(), "flips": done, "finished": finished}
            table = table_of(before.flips, parts)
            return Perturbation(table, meta, task.fake_users, provenance)

        finished = False
        bar = progress_bar(limit, "flip", progress and ranks.first, done)
        with terminable(), bar, said_once(implicit.logger):
            try:
                while done < limit:
                    try:
                        with room():
                            proposal = self.propose(bound, state, limit - done, seed, step)
                    except VanishedGradientError as error:
                        if not done:
                            raise
                        logger.warning("the attack ends after %d of %d: %s", done, limit, error)
                        break
                    proposed = self._checked(proposal, state)
                    flips = accept_in_turn(proposed, state, self.constraints, limit - done)
                    if not len(flips):
                        logger.warning("%s after %d of %d", self.at_end, done, limit)
                        break
                    parts.append(rows_of(flips, proposal.attack_loss, step))
                    ranks.agree("the flips of a step", device, flips.pairs, flips.score)
                    state = flips.made(state)
                    done, step = done + len(flips), step + 1
                    bar.update(len(flips))
                    if file and time.monotonic() - saved >= checkpoints.SAVE_EVERY_SECONDS:
                        checkpoints.save(so_far(finished=False), file)
                        saved = time.monotonic()
                finished = True
            finally:  # an interrupted attack saves its flips
                result = so_far(finished)
                if file:
                    checkpoints.save(result, file)
        _verify(result, task.state, state, limit, self.constraints)
        return result

    def _checked(self, proposal: Proposal, state: PairState) -> Flips:
        """Returns the flips of ``proposal`` after checks of their types and of ``added``."""
        name = type(self).__name__
        flips = getattr(proposal, "flips", None)
        if not isinstance(proposal, Proposal) or not isinstance(flips, Flips):
            raise TypeError(f"{name}.propose must return a Proposal of Flips, found {proposal!r}.")
        wrong = (flips.added != flips.adds(state)).nonzero().flatten()
        if wrong.numel():
            pair = tuple(flips.pairs[:, wrong[0]].tolist())
            raise ValueError(
                f"{name} proposes to {'add' if bool(flips.added[wrong[0]]) else 'remove'} {pair}, "
                "contrary to the graph; added must be True exactly where the weight is 0."
            )
        return flips


def check_kinds(
    constraints: object, allow_removals: bool = True, allow_additions: bool = True
) -> None:
    """Raise a TypeError unless ``constraints`` are constraints, a ValueError if neither kind of
    flip is allowed."""
    check_constraints(constraints)
    flag("allow_removals", allow_removals)
    flag("allow_additions", allow_additions)
    if not (allow_removals or allow_additions):
        raise ValueError("allow_removals and allow_additions are both off: nothing to flip.")


def settings_of(by: object, task: Task[Any]) -> dict[str, Any]:
    """Returns all settings of the attack ``by`` and of ``task``, by name.

    For a task class from outside this package, these are its public attributes with plain values.
    """
    chosen = {"type": type(task).__name__, **task.settings()}
    if not of_package(type(task)):
        plain = (bool, int, float, str, tuple, list, dict, Tensor)
        known = {name: value for name, value in vars(task).items() if isinstance(value, plain)}
        chosen["own"] = {name: known[name] for name in sorted(known) if not name.startswith("_")}
        chosen["class"] = type(task)
    return {"attack": describe(by), "task": describe(chosen)}


def _meta(task: Task[Any], limit: int, seed: int, by: object, start: Params) -> dict[str, Any]:
    """Everything that determines the flips; ``start``: initial parameters drawn from ``seed``."""
    latent = task.fake_users.latent if task.fake_users else ()
    return {
        "graphpoison": SERIES,
        "settings": settings_of(by, task),
        "attack": repr(by),
        "task": task.describe(),
        "seed": seed,
        "budget": limit,
        "num_edges": task.clean_edges.size(1),
        "edges": edges_digest(task.clean_edges, task.state.shape),
        "shape": list(task.state.shape),
        "edge_type": task.edge_type,
        "fingerprint": fingerprint(task.state, *task.inputs_digested(), *latent),
        "start": digest(*start),
    }


def accept_in_turn(
    flips: Flips, state: PairState, constraints: Sequence[Constraint], limit: int
) -> Flips:
    """Returns the first ``limit`` of ``flips`` that the constraints allow after the previous
    flips."""
    first = flips.take(slice(limit))
    if not constraints or len(flips) <= 1:
        return first
    if all(constraint.monotone for constraint in constraints):
        after = first.made(state)
        if not any(constraint.violation(state, after) for constraint in constraints):
            return first
    kept: list[int] = []
    for number in range(len(flips)):
        if len(kept) == limit:
            break
        flip = flips.take(slice(number, number + 1))
        predicates = [_predicate(constraint, state, flip) for constraint in constraints]
        if all(allowed is None or bool(allowed(*flip.pairs)) for allowed in predicates):
            kept.append(number)
            state = flip.made(state)
    return flips.take(torch.tensor(kept, dtype=torch.long, device=flips.score.device))


def _predicate(constraint: Constraint, state: PairState, flip: Flips) -> Predicate | None:
    """Returns the predicate of ``constraint`` for the kind of ``flip``, a single flip."""
    if flip.of_features is not None and bool(flip.of_features):
        return constraint.feature_flips(state)
    return constraint.additions(state) if bool(flip.added) else constraint.removals(state)


def _verify(
    result: Perturbation,
    clean: PairState,
    poisoned: PairState,
    limit: int,
    constraints: Sequence[Constraint],
) -> None:
    problems = [] if len(result) <= limit else [f"{len(result)} flips exceed the budget {limit}"]
    kinds = [poisoned] if poisoned.features is None else [poisoned, poisoned.features]
    if sum(int(state.flipped.sum()) for state in kinds) != len(result):
        problems.append("the flips made are not the flips recorded")
    if any(bool((state.flipped & ~state.candidate).any()) for state in kinds):
        problems.append("a pair that is no candidate was flipped")
    problems += [found for c in constraints if (found := c.violation(clean, poisoned))]
    if problems:
        raise RuntimeError("the attack broke its own rules: " + "; ".join(problems) + ".")
