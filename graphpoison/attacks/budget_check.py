"""The number of flips that an attack can make."""

from typing import Any

from .._text import counted
from ..budget import Budget
from ..constraints import admissible
from ..graphs import FakeUsers, PairState
from ..tasks import Recommendation, Task
from .base import Attack
from .injection import Injection, NewUsers, SimilarUsers
from .random import kinds_of


def check_budget(budget: Budget, task: Task[Any], attack: Attack | Injection, seed: int = 0) -> str:
    """Returns the number of flips of ``budget`` as text: ``"5% of 5,069 edges = 253 flips"``.

    Constraints are ignored. For an injection, the graph includes the fake users drawn from
    ``seed``: their initial interactions count as edges, and only their pairs may be flipped.

    Raises:
        ValueError: the budget is 0, or larger than the number of flips that ``attack`` can make.
    """
    state, flipping = task.state, attack
    if isinstance(attack, Injection):
        state, flipping = _joining(attack, task, seed).extend(state), attack.attack
    assert isinstance(flipping, Attack)
    kinds = kinds_of(flipping)
    free = sum(_free(part, *kinds) for part in (state, state.features) if part is not None)
    edges = task.clean_edges.size(1) + state.num_edges - task.state.num_edges
    count = budget.count(state, edges)
    said = counted(count, "flip")
    part = f"{100 * budget.share:.4g}% of {edges:,} edges" if budget.share else ""
    if not 0 < count <= free:
        share = f" ({part})" if part else ""
        what = "pairs" if state.features is None else "pairs and features"
        how = "flipped" if all(kinds) else "removed" if kinds[0] else "added"
        raise ValueError(
            f"a budget of {said}{share} is impossible: {free:,} {what} may be {how}; "
            f"give a number from 1 to {free:,}."
        )
    return f"{part} = {said}" if part else said


def _joining(attack: Injection, task: Task[Any], seed: int) -> FakeUsers:
    """The fake users that join, without their embeddings."""
    assert isinstance(task, Recommendation)
    if isinstance(attack, SimilarUsers) and attack.method == "kmeans":
        attack = NewUsers(attack.num_users)  # also without interactions; trains nothing
    return attack.fake_users(task, seed)


def _free(state: PairState, removals: bool, additions: bool) -> int:
    """The number of pairs that may be flipped."""
    unlisted = state.num_pairs - state.num_listed if state.implicit_candidates and additions else 0
    return unlisted + int(admissible(state, (), removals, additions).sum())
