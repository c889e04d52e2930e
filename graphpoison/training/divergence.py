"""Errors that name the step at which training or a meta-gradient diverged.

A check of every step would make a GPU wait at every step. So only the result of a run is checked.
If it is not finite, the run is repeated, with a check of every step, to find the step.
"""

from collections.abc import Callable, Iterable

import torch

from .._ranks import ALONE, Ranks
from .field import Cotangents
from .iterates import Iterate
from .optimizers import global_norm
from .prepared import Params

ADVICE = "use a smaller lr, clip the gradient's norm, use fewer steps or momentum closer to 0."


def finite(*groups: Cotangents) -> bool:
    """Whether all entries of all tensors are finite."""
    tensors = [tensor for group in groups for tensor in group if tensor is not None]
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)


def training_diverged(
    step: Callable[[Iterate], Iterate],
    field: Callable[[Iterate], Params],
    start: Iterate,
    count: int,
    ranks: Ranks = ALONE,
) -> FloatingPointError:
    """The error that names the first of ``count`` steps with a result that is not finite.

    Args:
        step: maps an iterate to the next.
        field: the gradient that a step follows.
        start: the first iterate.
        count: number of steps.
        ranks: the processes that hold different coordinates.
    """
    before, current = start, start
    for number in range(1, count + 1):
        after = step(current)
        if ranks.any(not finite(*after), after[0][0].device):
            norm, earlier = (float(global_norm(field(point))) for point in (current, before))
            return FloatingPointError(
                f"training diverged at step {number} of {count} (gradient norm {norm:.3g}, a step "
                f"earlier {earlier:.3g}); {ADVICE}"
            )
        before, current = current, after
    return FloatingPointError(f"training diverged, but did not when it was repeated; {ADVICE}")


def adjoint_diverged(
    loss: float,
    walk: Iterable[tuple[int, Params, Cotangents]],
    count: int,
    ranks: Ranks = ALONE,
) -> FloatingPointError:
    """The error that names the first step of the reverse pass with a non-finite cotangent.

    Args:
        loss: the attack loss after training.
        walk: for each step of the reverse pass its number, the cotangents of its coordinates, and
            the cotangents of the tensors that depend on the edge weights.
        count: number of steps.
        ranks: the processes that share the reverse pass; each has its own part of the cotangents.
    """
    for number, on_coordinates, on_tensors in walk:
        if ranks.any(not finite(on_coordinates, on_tensors), on_coordinates[0].device):
            return FloatingPointError(
                f"the meta-gradient diverged in the reverse pass, at step {number} of {count} "
                f"(attack loss {loss:.3g}, training itself stayed finite); {ADVICE}"
            )
    return FloatingPointError(f"the meta-gradient is not finite (attack loss {loss:.3g}); {ADVICE}")
