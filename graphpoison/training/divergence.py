"""Where a run stopped being finite: looked for only once its end is known not to be.

Looking at every step would make a GPU wait at every step. So the end alone is checked, and a run
that turns out to have diverged is made again, step by step, to name the step.
"""

from collections.abc import Callable, Iterable

import torch

from .._ranks import ALONE, Ranks
from .field import Cotangents
from .iterates import Iterate
from .optimizers import global_norm
from .prepared import Params

ADVICE = "use a smaller lr, clip the gradient's norm, fewer steps or momentum closer to 0."


def finite(*groups: Cotangents) -> bool:
    """Whether all entries of all tensors are."""
    tensors = [tensor for group in groups for tensor in group if tensor is not None]
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)


def training_diverged(
    step: Callable[[Iterate], Iterate],
    field: Callable[[Iterate], Params],
    start: Iterate,
    count: int,
) -> FloatingPointError:
    """The error that names the first of ``count`` steps from ``start`` to leave the finite.

    Args:
        step: maps an iterate to the next.
        field: the gradient that a step follows.
        start: the first iterate.
        count: number of steps.
    """
    before, current = start, start
    for number in range(1, count + 1):
        after = step(current)
        if not finite(*after):
            norm, earlier = (float(global_norm(field(point))) for point in (current, before))
            return FloatingPointError(
                f"training diverged at step {number} of {count} (gradient norm {norm:.3g}, a step "
                f"earlier {earlier:.3g}); {ADVICE}"
            )
        before, current = current, after
    return FloatingPointError(f"training diverged, at a step that cannot be repeated; {ADVICE}")


def adjoint_diverged(
    loss: float,
    walk: Iterable[tuple[int, Params, Cotangents]],
    count: int,
    ranks: Ranks = ALONE,
) -> FloatingPointError:
    """The error that names the first step, walking backwards, with a cotangent that is not finite.

    Args:
        loss: the attack loss after training.
        walk: number of a step, cotangents of its coordinates and of what depends on the weights.
        count: number of steps.
        ranks: the processes that walk, each with cotangents of its own.
    """
    for number, on_coordinates, on_tensors in walk:
        if ranks.any(not finite(on_coordinates, on_tensors), on_coordinates[0].device):
            return FloatingPointError(
                f"the meta-gradient diverged on its way back through step {number} of {count} "
                f"(attack loss {loss:.3g}, training itself stayed finite); {ADVICE}"
            )
    return FloatingPointError(f"the meta-gradient is not finite (attack loss {loss:.3g}); {ADVICE}")
