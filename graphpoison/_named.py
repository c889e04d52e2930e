"""Objects from texts: names or import paths, with arguments as Python literals."""

import ast
import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from ._checks import choice


@dataclass(frozen=True)
class Call:
    """The parts of a text such as ``"gmf(dim=64)"``.

    Args:
        name: a name or an import path.
        args, options: positional and named arguments.
    """

    name: str
    args: tuple[Any, ...]
    options: Mapping[str, Any]

    @classmethod
    def of(cls, argument: str, text: str) -> "Call":
        """Split ``text``. ``"tanh-margin=0.5"`` is short for ``"tanh-margin(0.5)"``.

        Raises:
            ValueError: the text has another form, or an argument is not a literal.
        """
        found = re.fullmatch(r"([\w.:@-]+)(?:\((.*)\)|=(.*))?", text.strip(), re.DOTALL)
        if found is None:
            raise _wrong_form(argument, text)
        name, inside, value = found.groups()
        if value is not None:
            return cls(name, (_literal(value),), {})
        try:
            call = ast.parse(f"f({inside or ''})", mode="eval").body
            assert isinstance(call, ast.Call)
            pairs = [(each.arg, ast.literal_eval(each.value)) for each in call.keywords]
            options = {key: value for key, value in pairs if key is not None}
            if len(options) < len(pairs):
                raise ValueError("arguments cannot be unpacked")
            return cls(name, tuple(map(ast.literal_eval, call.args)), options)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise _wrong_form(argument, text) from error

    @property
    def is_path(self) -> bool:
        """Whether the name is an import path."""
        return "." in self.name


def named(argument: str, text: str, known: Mapping[str, Any], kind: Any = object) -> Any:
    """Return the object that a text names.

    ``"gmf"`` is a name in ``known``; ``"my_models.Wide"`` is the import path of a class, a function
    or an object. Arguments in the text, as in ``"gmf(dim=64, layers=(16, 8))"``, are passed to the
    class; if the text names an object, they replace its fields.

    Args:
        argument: the name of the argument, for errors.
        text: a name or an import path, with or without arguments.
        known: classes, functions that make objects, and objects, by name.
        kind: the class, or classes, that the object must have.

    Raises:
        TypeError: the object has another class.
        ValueError: the name is unknown, the module cannot be imported, or an argument is wrong.
    """
    call = Call.of(argument, text)
    found = found_by(argument, call, known)
    makes = isinstance(found, type) or (not call.is_path and not isinstance(found, kind))
    if isinstance(found, type) and kind is not object and not issubclass(found, kind):
        raise TypeError(f"{argument}={text!r} must be {_words(kind)}, found {found.__name__}.")
    try:
        if makes:
            made = found(*call.args, **call.options)
        else:
            made = _with_fields(found, call) if call.args or call.options else found
    except (TypeError, ValueError) as error:
        raise ValueError(f"{argument}={text!r}: {error}") from error
    if not isinstance(made, kind):
        raise TypeError(f"{argument}={text!r} must be {_words(kind)}, found {made!r}.")
    return made


def found_by(argument: str, call: Call, known: Mapping[str, Any]) -> Any:
    """Return the entry of ``known``, or the imported object, that ``call`` names.

    Raises:
        ValueError: the name is unknown, or the module cannot be imported.
    """
    if not call.is_path:
        return known[choice(argument, call.name, known)]
    module, _, name = call.name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{argument}={call.name!r} cannot be imported: {error}. The module must be installed, "
            "or be in the current directory."
        ) from error


def _with_fields(found: Any, call: Call) -> Any:
    if not is_dataclass(found):
        raise ValueError(f"{call.name} takes no arguments.")
    names = [field.name for field in fields(found)]
    if len(call.args) > len(names):
        raise ValueError(f"{call.name} takes {len(names)} arguments, found {len(call.args)}.")
    return replace(found, **dict(zip(names, call.args, strict=False)), **call.options)  # type: ignore[type-var]


def _literal(text: str) -> Any:
    """Return the value of ``text`` as a literal, or ``text`` itself if it is not a literal."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text


def _words(kind: Any) -> str:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return "a " + " or ".join(each.__name__ for each in kinds)


def _wrong_form(argument: str, text: str) -> ValueError:
    return ValueError(
        f"{argument}={text!r} must be a name or an import path, with or without arguments: name, "
        "name=value, or package.module.Name(option=value)."
    )
