"""Features, labels and masks of a graph whose nodes are to be classified, read in one way."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor
from torch_geometric.data import Data


def labelled_nodes(data: Data, masks: Sequence[str] = ("train_mask",)) -> Data:
    """A copy of ``data`` with dense ``x`` [N, F] of floating point, ``y`` int64 [N], and ``masks``
    that are what they should be.

    Raises:
        TypeError: ``x``, ``y`` or a mask is missing.
        ValueError: a feature is not finite; labels are no integers [N], or below 0 where a mask is
            set; a mask is no BoolTensor [N] or sets no node.
    """
    for name in ("x", "y", *masks):
        if getattr(data, name, None) is None:
            raise TypeError(f"data.{name} is missing.")
    read = copy.copy(data)
    read.x, read.y = _features(data.x), _labels(data.y, data.x.size(0))
    for name in masks:
        _check_mask(f"data.{name}", data[name], read.y)
    return read


def _features(x: Tensor) -> Tensor:
    x = x.to_dense() if x.layout != torch.strided else x
    x = x if x.is_floating_point() else x.float()
    wrong = x.numel() - int(x.isfinite().sum())
    if wrong:
        raise ValueError(f"data.x has {wrong} entries that are not finite; mend or drop them.")
    return x


def _labels(y: Tensor, count: int) -> Tensor:
    y = y.squeeze(1) if y.dim() == 2 and y.size(1) == 1 else y
    if y.shape != (count,) or y.is_floating_point():
        raise ValueError(
            f"data.y must be integer labels [{count}], found {y.dtype} {tuple(y.shape)}."
        )
    return y.long()


def _check_mask(name: str, mask: Tensor, labels: Tensor) -> None:
    if mask.shape != labels.shape or mask.dtype != torch.bool:
        more = ", several splits: choose one" if mask.dim() == 2 else ""
        raise ValueError(
            f"{name} must be a BoolTensor [{labels.numel()}], found {mask.dtype} "
            f"{tuple(mask.shape)}{more}."
        )
    if not bool(mask.any()):
        raise ValueError(f"{name} sets no node; it must set one at least.")
    if int(labels[mask].min()) < 0:
        raise ValueError(
            f"data.y is {int(labels[mask].min())} of a node in {name}: labels are 0, 1, 2, ...; "
            "leave nodes without a label out of the mask."
        )


def training_masks(data: Data) -> tuple[str, ...]:
    """``train_mask``, and ``val_mask`` if ``data`` has one that sets nodes."""
    validation = getattr(data, "val_mask", None)
    found = validation is not None and bool(validation.any())
    return ("train_mask", "val_mask") if found else ("train_mask",)
