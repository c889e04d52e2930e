"""Binary node features as pairs (node, feature): read from ``Data`` and flipped in a copy."""

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from .._checks import choice
from .pairs import PairState


def binary_entries(x: Tensor, candidates: Literal["all"] | Tensor) -> PairState:
    """The entries of ``x`` [N, F] as a bipartite graph of nodes and features; zeros are implicit
    candidates.

    Args:
        x: features that are 0 or 1.
        candidates: the entries that may be flipped: ``"all"``, or a BoolTensor [N, F].

    Raises:
        TypeError: ``candidates`` is neither text nor a Tensor.
        ValueError: ``x`` is not all 0 or 1; ``candidates`` is another text, or a Tensor of another
            dtype or shape.
    """
    check_binary(x)
    edges = x.nonzero().t()
    within = None
    if isinstance(candidates, str):
        choice("feature_candidates", candidates, ["all"])
    else:
        within = _mask(candidates, x)
    shape = (x.size(0), x.size(1))
    codes = None if within is None else within.flatten().nonzero().squeeze(1)
    state = PairState.build(
        edges, edges[:, :0], shape, bipartite=True, implicit_candidates=True, candidate_codes=codes
    )
    return state if within is None else replace(state, candidate_mask=within)


def check_binary(x: Tensor) -> None:
    """Raise a ValueError unless ``x`` [N, F] is all 0 or 1."""
    other = x[(x != 0) & (x != 1)]
    if other.numel():
        raise ValueError(
            f"features can be flipped where they are 0 or 1; data.x holds {other.numel()} other "
            f"numbers, such as {float(other[0]):.3g}. Attack the binary features, and normalise "
            "them afterwards."
        )


def read_binary(x: Tensor | None, entries: Tensor) -> Tensor:
    """BoolTensor [K]: which of the pairs (node, feature) ``entries`` [2, K] of ``x`` are 1.

    Raises:
        ValueError: ``x`` is missing, has no such entries, or is not all 0 or 1.
    """
    shape = (0, 0) if x is None else tuple(x.shape)
    if x is None or bool((entries >= torch.tensor(shape).unsqueeze(1)).any()):
        raise ValueError(f"the flips name features beyond data.x, which has shape {shape}.")
    dense = x.to_dense()
    check_binary(dense)
    return dense[tuple(entries.to(x.device))] != 0


def flip_binary(x: Tensor, entries: Tensor) -> Tensor:
    """A copy of ``x`` [N, F], of the same layout, with ``entries`` [2, K] flipped."""
    flipped = x.to_dense().clone()
    place = tuple(entries.to(x.device))
    flipped[place] = (flipped[place] == 0).to(x.dtype)
    return flipped if x.layout == torch.strided else flipped.to_sparse(layout=x.layout)


def _mask(candidates: Tensor, x: Tensor) -> Tensor:
    if not isinstance(candidates, Tensor):
        raise TypeError(
            "feature_candidates must be 'all', None or a BoolTensor [N, F], found "
            f"{type(candidates).__name__}."
        )
    if candidates.dtype != torch.bool or candidates.shape != x.shape:
        raise ValueError(
            f"feature_candidates must be a BoolTensor {tuple(x.shape)}, found {candidates.dtype} "
            f"of shape {tuple(candidates.shape)}."
        )
    return candidates.to(x.device)
