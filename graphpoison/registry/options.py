"""Options of a class or function: parameters with their types, defaults and descriptions.

Each parameter is declared once, in the signature and in the section ``Args:`` of the docstring.
"""

import inspect
import re
import types
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Union, get_args, get_origin

from ..hypergradient import Approximate, Hypergradient, Implicit, Unrolled

HYPERGRADIENTS = {"unrolled": Unrolled, "approximate": Approximate, "implicit": Implicit}
CLASSES: dict[type, dict[str, Any]] = {Hypergradient: HYPERGRADIENTS}
"""Class of a parameter -> its objects by name, see :func:`graphpoison._named.named`."""
PLAIN = (bool, int, float, str)


@dataclass(frozen=True)
class Option:
    """A parameter whose value can be given as text.

    Args:
        name: name of the option.
        parameter: name of the parameter.
        kind: ``bool``, ``int``, ``float``, ``str``, a ``Literal``, ``tuple`` (of numbers), or a
            class of ``CLASSES``.
        default: default of the parameter; ``inspect.Parameter.empty`` if there is none.
        text: description of the parameter.
    """

    name: str
    parameter: str
    kind: Any
    default: Any
    text: str


def options_of(make: Callable[..., Any]) -> dict[str, Option]:
    """Return the options of a class or function by the names of their parameters.

    Parameters whose value cannot be given as text, such as a Tensor, are left out.
    """
    found, texts = {}, descriptions(make)
    for name, parameter in inspect.signature(make, eval_str=True).parameters.items():
        kind = kind_of(parameter.annotation)
        if kind is not None:
            found[name] = Option(name, name, kind, parameter.default, texts.get(name, ""))
    return found


def kind_of(annotation: Any) -> Any:
    """Return ``Option.kind`` of a parameter; None if its value cannot be given as text."""
    if annotation in PLAIN or annotation in CLASSES:
        return annotation
    origin = get_origin(annotation)
    if origin is Literal:
        return annotation
    if origin is tuple and get_args(annotation)[:1] in ((int,), (float,)):
        return tuple
    if origin in (Union, types.UnionType):
        kinds = [kind_of(each) for each in get_args(annotation)]
        return next((kind for kind in kinds if kind is not None), None)
    return None


def descriptions(make: Callable[..., Any]) -> dict[str, str]:
    """Return the description of each parameter in the docstring, as plain text.

    A description "as in :class:`X`" is replaced by the description in the class that the function
    returns.
    """
    from docstring_parser import parse

    while isinstance(make, partial):
        make = make.func
    returned = inspect.signature(make, eval_str=True).return_annotation
    is_function = not inspect.isclass(make) and inspect.isclass(returned)
    there = descriptions(returned) if is_function else {}
    found = {}
    for each in parse(_docstring(make)).params:
        text = plain(each.description or "")
        for name in each.arg_name.replace("*", "").split(","):
            own = not text.startswith("as in ")
            found[name.strip()] = text if own else there.get(name.strip(), text)
    return {**there, **found}


def _docstring(make: Any) -> str:
    """Return the docstring of a function; of a class, the ``Args:`` of its bases and its own."""
    if not inspect.isclass(make):
        return inspect.getdoc(make) or ""
    known = [each.__doc__ or "" for each in reversed(make.__mro__) if each is not object]
    sections = [inspect.cleandoc(text).partition("\nArgs:\n")[2] for text in known]
    lines = [line for section in sections for line in _first_section(section)]
    return "\n".join(["Summary.", "", "Args:", *lines])


def _first_section(text: str) -> list[str]:
    """Return the lines of ``text`` before the first line that is not indented."""
    found = []
    for line in text.splitlines():
        if line and not line.startswith(" "):
            break
        found.append(line)
    return found


def plain(text: str) -> str:
    """Return ``text`` on one line, without the markup of reStructuredText."""
    text = re.sub(r":[\w:]+:`~?\.?(?:[\w.]+\.)?([^`<]+?)(?:\s*<[^>]*>)?`", r"\1", text)
    return " ".join(text.replace("``", "").replace("`", "").split())
