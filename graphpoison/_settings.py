"""Settings as JSON values, and texts that list the differences between two of them."""

import hashlib
import inspect
import math
import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

PACKAGE = __name__.partition(".")[0]
LONG = 40  # longer tuples of integers are recorded by their digest
_PLAIN = (bool, int, float, str, type(None))


def describe(value: Any) -> Any:
    """``value`` as dicts, lists, strings and numbers, equal in every process (a repr may not be).

    A dataclass becomes a dict of its fields. A function or class from outside this package becomes
    its name and a digest of its source text; for a function, the digest includes the plain values
    of its closure, its globals and its defaults.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, np.generic):
        return describe(value.item())
    if isinstance(value, Mapping):
        return {str(key): describe(part) for key, part in value.items()}
    if isinstance(value, tuple) and len(value) > LONG and all(type(v) is int for v in value):
        return f"{len(value)} integers {digest(torch.tensor(value))}"
    if isinstance(value, Sequence):
        return [describe(part) for part in value]
    if isinstance(value, Tensor):
        return f"{value.dtype} {list(value.shape)} {digest(value)}"
    if isinstance(value, nn.Module):
        return f"{describe(type(value))} {' '.join(str(value).split())}"
    if isinstance(value, partial):
        return {"type": "partial", **_parts(value, ("func", "args", "keywords"))}
    if isinstance(value, type | types.FunctionType):
        return _code(value)
    if isinstance(value, types.BuiltinFunctionType):
        return value.__qualname__
    if isinstance(value, types.MethodType):
        return {"type": _code(value.__func__), "of": describe(value.__self__)}
    if is_dataclass(value):
        names = [field.name for field in fields(value)]
        return {"type": _code(type(value)), **_parts(value, names)}
    if repr(value) == object.__repr__(value):  # the default repr: an address, not the value
        return {"type": _code(type(value)), **describe(getattr(value, "__dict__", {}))}
    return repr(value)


def known_fields(kind: type[Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of ``record`` that are fields of ``kind``; other versions may have others."""
    return {field.name: record[field.name] for field in fields(kind) if field.name in record}


def differences(there: Any, here: Any, path: str = "") -> list[str]:
    """A text for each place where two values of :func:`describe` differ: path and both values."""
    if isinstance(there, dict) and isinstance(here, dict):
        if there.get("type") != here.get("type"):
            return differences(there.get("type"), here.get("type"), path or "type")
        found = []
        for key in dict.fromkeys([*there, *here]):
            where = f"{path}.{key}" if path else key
            found += differences(there.get(key, _ABSENT), here.get(key, _ABSENT), where)
        return found
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        pairs = enumerate(zip(there, here, strict=True))
        return [text for number, two in pairs for text in differences(*two, f"{path}[{number}]")]
    return [] if there == here else [f"{path} is {_words(there)} there and {_words(here)} here"]


def digest(*parts: Tensor | str, digits: int = 16) -> str:
    """The first ``digits`` hexadecimal digits of a SHA-256 of tensors and texts, on any device."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            found.update(part.encode())
            continue
        found.update(f"{part.dtype} {tuple(part.shape)}".encode())
        dense = part.detach().cpu()
        dense = dense if dense.layout == torch.strided else dense.to_dense()
        found.update(dense.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()[:digits]


_ABSENT = object()


def _words(value: Any) -> str:
    if value is _ABSENT:
        return "not known"
    if isinstance(value, dict) and "type" in value:
        return str(value["type"])
    if isinstance(value, list):
        return f"[{', '.join(map(_words, value))}]"
    return repr(value) if not isinstance(value, str) or not value else value


def _parts(value: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: describe(getattr(value, name)) for name in names}


def of_package(value: Any) -> bool:
    """Whether a class or function is defined in this package."""
    return str(value.__module__).partition(".")[0] == PACKAGE


def _code(value: Any) -> str:
    """The name of a function or class; from outside this package, also a digest of its source."""
    if of_package(value):
        return str(value.__qualname__)
    try:
        text = inspect.getsource(value)
    except (OSError, TypeError):  # defined at a prompt, or not written in Python
        text = ""
    if isinstance(value, types.FunctionType):
        around = inspect.getclosurevars(value)
        known = {**around.globals, **around.nonlocals}
        plain = {name: known[name] for name in sorted(known) if isinstance(known[name], _PLAIN)}
        text += repr((plain, value.__defaults__ or (), value.__kwdefaults__ or {}))
    return f"{value.__qualname__} ({digest(text, digits=8)})"
