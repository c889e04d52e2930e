"""Checks that a module is a function of its arguments, as a meta-gradient requires."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .._random import isolated_rng

RELATIVE = 1e-3  # outputs are equal if they differ by less, as a share of the largest

Arguments = Sequence[Tensor]


def check_module(
    name: str,
    call: Callable[..., Tensor],
    arguments: Arguments,
    without: Arguments | None,
    shape: tuple[int, ...],
) -> None:
    """Raise an error if the meta-gradient through the training of a module would be wrong.

    Args:
        name: the name of the module in error messages.
        call: the module with its parameters.
        arguments: the arguments of a call; the first call gets copies.
        without: the same arguments without the pairs of weight 0; None if edges are no candidates.
        shape: the shape of the output; its second size may be larger.

    Raises:
        TypeError: the module does not take the arguments, or returns no Tensor of floats.
        ValueError: the output has another shape; the module changes its arguments, draws random
            numbers, gives another output when it is called again, counts pairs of weight 0, or
            has a derivative with respect to the weights that is not finite.
    """
    copies = [argument.clone() for argument in arguments]
    with isolated_rng(0, arguments[0].device):
        before = _generators(arguments[0])
        first = _output(name, call, copies, shape)
        after = _generators(arguments[0])
        drew = any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
        changed = [
            number
            for number, (copy, argument) in enumerate(zip(copies, arguments, strict=True))
            if not torch.equal(copy, argument)
        ]
        again = [_output(name, call, list(arguments), shape) for _ in range(2 * (not changed))]
    if changed:
        raise ValueError(
            f"surrogate {name} changes its argument {changed[0]} in place, so that later steps "
            "of training would see another graph; let it work on a copy (x = x.clone())."
        )
    if drew:
        raise ValueError(
            f"surrogate {name} draws random numbers in evaluation mode, and a meta-gradient needs "
            "deterministic training; use torch.nn.Dropout, or pass training=self.training to "
            "torch.nn.functional.dropout."
        )
    if not all(_same(first, other) for other in again):
        raise ValueError(
            f"surrogate {name} gives another output when it is called again with the same "
            "arguments; remove any state that it keeps between calls."
        )
    if without is not None and not _same(first, _output(name, call, list(without), shape)):
        raise ValueError(
            f"surrogate {name} gives another output without the pairs of weight 0, which are no "
            "edges: it ignores edge_weight, as GAT and GraphSAGE do, or counts pairs; multiply "
            "messages by edge_weight, and sum weights instead of counting pairs."
        )
    if without is not None and not _differentiable(call, list(arguments)):
        raise ValueError(
            f"the derivative of surrogate {name} with respect to edge_weight is not finite. The "
            "usual cause is a node whose edges all have weight 0: its degree to the power -0.5 is "
            "infinite, as in LGConv; add self-loops, or normalise by deg.clamp(min=1e-9).pow(-0.5)."
        )


def _differentiable(call: Callable[..., Tensor], arguments: list[Tensor]) -> bool:
    """Whether the derivative of the outputs' sum w.r.t. the last argument is finite, or none."""
    weight = arguments[-1].detach().clone().requires_grad_()
    with torch.enable_grad():
        found = call(*arguments[:-1], weight)
    if not found.requires_grad or not bool(found.isfinite().all()):
        return True  # training states both errors
    (slope,) = torch.autograd.grad(found.sum(), weight, allow_unused=True)
    return slope is None or bool(slope.isfinite().all())


def _output(
    name: str, call: Callable[..., Tensor], arguments: Arguments, shape: tuple[int, ...]
) -> Tensor:
    try:
        with torch.no_grad():
            found = call(*arguments)
    except TypeError as error:
        raise TypeError(f"surrogate {name} does not take its arguments: {error}") from error
    if not isinstance(found, Tensor) or not found.is_floating_point():
        raise TypeError(f"surrogate {name} must return a Tensor of floats, found {found!r}.")
    fits = found.dim() == len(shape) and found.size(0) == shape[0]
    if not fits or any(a < b for a, b in zip(found.shape[1:], shape[1:], strict=True)):
        raise ValueError(
            f"surrogate {name} must return a Tensor of shape {list(shape)}"
            f"{', or with more columns' if len(shape) > 1 else ''}; found {list(found.shape)}."
        )
    return found


def _same(a: Tensor, b: Tensor) -> bool:
    """Whether outputs agree up to rounding. Training checks whether they are finite."""
    scale = float(a.abs().max()) if a.numel() else 0.0
    return torch.allclose(a, b, rtol=0.0, atol=RELATIVE * scale, equal_nan=True)


def _generators(like: Tensor) -> list[Tensor]:
    """The states of the global generators."""
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(like.device)] if like.is_cuda else states
