"""Argument checks whose messages name the argument, what was found, and what to do."""

import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def choice(argument: str, value: object, valid: Iterable[str]) -> str:
    """Return ``value`` if it is in ``valid``; else raise a ValueError that names the closest."""
    options = list(valid)
    if isinstance(value, str) and value in options:
        return value
    raise ValueError(
        f"{argument}={value!r} is not known; choose one of {options}.{nearest(value, options)}"
    )


def refuse_class(argument: str, value: object) -> None:
    """Raise a TypeError if ``value`` is a class where an instance is wanted."""
    if isinstance(value, type):
        name = value.__name__
        raise TypeError(f"{argument} is the class {name}; make one: {name}().")


def nearest(value: object, options: Iterable[str]) -> str:
    """The end of a message that suggests the closest of ``options``; empty if none is close."""
    near = difflib.get_close_matches(str(value), list(options), n=1, cutoff=0.4)
    return f" Did you mean {near[0]!r}?" if near else ""


MOST = 10**9
"""Largest integer setting. A larger value is taken for a mistake: the run would not end."""


def positive_int(argument: str, value: Any, minimum: int = 1, maximum: int = MOST) -> int:
    """``value`` as an int of at least ``minimum``, and of at most ``maximum``."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        share = isinstance(value, float) and 0.0 < value < 1.0
        hint = "; give a number, because a share is not taken here" if share else ""
        raise TypeError(f"{argument} must be an integer, found {value!r}{hint}.")
    number = int(value)
    if number < minimum:
        raise ValueError(f"{argument} must be at least {minimum}, found {number}.")
    if number > maximum:
        raise ValueError(f"{argument} must be at most {maximum:,}, found {number:,}.")
    return number


def seed_number(argument: str, value: Any) -> int:
    """``value`` as an int that fits 63 bits, 0 or more."""
    return positive_int(argument, value, minimum=0, maximum=2**63 - 1)


def flag(argument: str, value: Any) -> bool:
    """``value``, which must be True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{argument} must be True or False, found {value!r}.")
    return value


def in_range(
    argument: str, value: Any, low: float, high: float, *, open_low: bool = False
) -> float:
    """``value`` as a float in [low, high], or in (low, high] with ``open_low``."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{argument} must be a number, found {value!r}.")
    if isinstance(value, int) and abs(value) > MOST:
        raise ValueError(f"{argument} must be at most {MOST:,}, found {value:,}.")
    number = float(value)
    if not (low <= number <= high) or (open_low and number == low):
        left = "(" if open_low else "["
        raise ValueError(f"{argument} must lie in {left}{low}, {high}], found {number}.")
    return number


def refuse_batch(data: object) -> None:
    """Raise a TypeError if ``data`` is a batch of several graphs."""
    from torch_geometric.data import Batch

    if isinstance(data, Batch):
        raise TypeError(
            "data is a Batch of several graphs; give one graph, such as data.to_data_list()[0]."
        )


def real_numbers(argument: str, value: "Tensor") -> "Tensor":
    """``value`` in float32 or float64; integers and booleans become float32.

    Raises:
        TypeError: ``value`` has half precision, is complex or quantised, or is on the device
            ``meta``.
    """
    import torch

    if value.is_quantized:
        raise TypeError(f"{argument} is quantised; use .dequantize().")
    if value.is_complex() or value.dtype in (torch.float16, torch.bfloat16):
        raise TypeError(
            f"{argument} is of {value.dtype}; attacks compute in float32 or float64: use .float() "
            "or .double()."
        )
    if value.is_meta:
        raise TypeError(f"{argument} is on the device 'meta', which holds no values.")
    return value if value.is_floating_point() else value.float()


def pair_index(argument: str, value: Any, sizes: Sequence[int]) -> "Tensor":
    """``value`` as a LongTensor [2, E] of node pairs, each row within its number of nodes."""
    import torch
    from torch import Tensor

    if not isinstance(value, Tensor):
        raise TypeError(f"{argument} must be a LongTensor [2, E], found {type(value).__name__}.")
    if value.dim() != 2 or value.size(0) != 2 or value.dtype not in (torch.int64, torch.int32):
        raise ValueError(
            f"{argument} must be a LongTensor [2, E], found {value.dtype} of shape "
            f"{tuple(value.shape)}."
        )
    index = value.long()
    for row, size, end in zip(index, sizes, ("source", "target"), strict=True):
        if row.numel() and (int(row.min()) < 0 or int(row.max()) >= size):
            raise ValueError(
                f"{argument} has {end} nodes from {int(row.min())} to {int(row.max())}, but the "
                f"graph has {size} (0 to {size - 1}); set num_nodes or fix the index."
            )
    return index


def node_ids(argument: str, value: Any, count: int) -> "Tensor":
    """``value`` as sorted, distinct indices below ``count``: LongTensor [n].

    A BoolTensor [count] stands for the indices where it is True.
    """
    import torch

    found = torch.as_tensor(value)
    if found.dtype == torch.bool and tuple(found.shape) == (count,):
        found = found.nonzero().flatten()
    if found.numel() and (found.is_floating_point() or found.dtype == torch.bool):
        raise TypeError(
            f"{argument} must be integer indices or a BoolTensor [{count}], found {found.dtype} of "
            f"shape {tuple(found.shape)}."
        )
    if not found.numel():
        raise ValueError(f"{argument} must name one index or more, found none.")
    found = found.flatten().long()
    if int(found.min()) < 0 or int(found.max()) >= count:
        raise ValueError(
            f"{argument} has indices from {int(found.min())} to {int(found.max())}, but the graph "
            f"has {count} (0 to {count - 1})."
        )
    distinct: Tensor = found.unique()
    return distinct


class Indices(tuple[int, ...]):
    """Indices as a setting: comparable and hashable, with a short repr."""

    __slots__ = ()

    def __repr__(self) -> str:
        if len(self) <= 8:
            return tuple.__repr__(self)
        return f"({', '.join(map(str, self[:3]))}, ... {len(self)} indices)"


def indices(argument: str, value: Any) -> Indices:
    """``value`` as sorted, distinct indices from 0 on.

    Raises:
        TypeError: ``value`` does not hold integers.
        ValueError: an index is negative.
    """
    import torch

    found = torch.as_tensor(value)
    if found.numel() and (found.is_floating_point() or found.dtype == torch.bool):
        raise TypeError(
            f"{argument} must be integer indices, found {found.dtype}; for a mask, give "
            "mask.nonzero().flatten()."
        )
    if found.numel() and int(found.min()) < 0:
        raise ValueError(f"{argument} must be indices from 0 on, found {int(found.min())}.")
    return Indices(found.flatten().long().unique().tolist())
