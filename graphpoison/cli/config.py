"""Options read from a YAML file, and written to one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
import yaml

from .._checks import nearest
from .._io import atomic_write, refuse_special
from .errors import DEBUG, WrongUsage

OF_ONE_RUN = ("config", "save_to", "debug", "help", "resume", "overwrite")
"""Options that are neither read from a file nor written to one: each concerns a single call."""
NOTHING = ("", "null", "~")
YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


class _PlainLoader(yaml.BaseLoader):
    """Returns scalars as text, which the options then parse as on the command line.

    YAML 1.1 would read 010 as 8, 1:30 as 90 and no as false. Repeated keys are refused, of which
    YAML would keep the last value. Aliases are refused, because a short file with aliases can
    expand to a very large one.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not allowed: write the value.")
        return super().compose_node(parent, index)

    def construct_scalar(self, node: yaml.ScalarNode) -> Any:
        plain = node.style is None
        return None if plain and node.value in NOTHING else super().construct_scalar(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise yaml.YAMLError(f"{key.value!r} is given twice.")
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def load_config(ctx: typer.Context, path: Path | None) -> Path | None:
    """Make the options in ``path`` the defaults of the command, and return ``path``.

    Raises:
        WrongUsage: the file cannot be read, or an option is unknown.
    """
    if path is None:
        return None
    found = read_yaml(path)
    if not isinstance(found, dict):
        raise WrongUsage(f"{path} must be lines of 'option: value'.")
    defaults = defaults_of(ctx.command, found, str(path))
    ctx.default_map = {**(ctx.default_map or {}), **defaults}
    return path


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file as mappings, lists and texts.

    Raises:
        WrongUsage: the file cannot be read, or is not valid YAML.
    """
    refuse_special(path)
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _PlainLoader)
    except OSError as error:
        raise WrongUsage(f"cannot read {path}: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise WrongUsage(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error


def defaults_of(command: Any, found: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return the options of a file by the names of the parameters of ``command``.

    Args:
        command: the command that has the options.
        found: the options in the file, by name.
        place: the file, and the place in it, for errors.

    Raises:
        WrongUsage: an option is unknown or given twice.
    """
    known = _keys(command)
    defaults: dict[str, Any] = {}
    for key, value in found.items():
        flag = str(key).replace("_", "-")
        if flag not in known:
            raise WrongUsage(f"{place}: unknown option {key!r}.{nearest(flag, known)}")
        parameter, positive = known[flag]
        if parameter.name in defaults:
            raise WrongUsage(f"{place}: {key!r} is given twice, in two spellings.")
        defaults[parameter.name] = _value(f"{place}: {key}", parameter, positive, value)
    return defaults


def save_config(ctx: typer.Context, path: Path | None) -> None:
    """Write the options of this run to a file that :func:`load_config` reads."""
    if path is None:
        return
    names: dict[str, str] = {}
    for flag, (parameter, positive) in _keys(ctx.command).items():
        if positive:
            names.setdefault(parameter.name, flag)
    chosen = {
        flag: _plain(ctx.params[name])
        for name, flag in names.items()
        if ctx.params[name] not in (None, [], ())
    }
    with atomic_write(path) as file:
        file.write(yaml.safe_dump(chosen, sort_keys=False, allow_unicode=True).encode())


def set_debug(ctx: typer.Context, value: bool) -> bool:
    ctx.meta[DEBUG] = value
    return value


def _keys(command: Any) -> dict[str, tuple[Any, bool]]:
    """Name of an option or argument -> its parameter, and False if the name switches it off."""
    found: dict[str, tuple[Any, bool]] = {}
    for parameter in command.params:
        if parameter.name not in OF_ONE_RUN:
            for option in (*parameter.opts, parameter.name or ""):
                found.setdefault(option.lstrip("-").replace("_", "-"), (parameter, True))
            for option in parameter.secondary_opts:
                found[option.lstrip("-")] = (parameter, False)
    return found


def _value(place: str, parameter: Any, positive: bool, value: Any) -> Any:
    """Return ``value`` as the command line gives it: a list if the option may be repeated."""
    if value is None:
        return None
    if not positive:
        if str(value).lower() not in YES + NO:
            raise WrongUsage(f"{place} must be true or false, found {value!r}.")
        return str(value).lower() in NO
    several = getattr(parameter, "multiple", False) or parameter.nargs == -1
    if isinstance(value, list):
        return value if several else ",".join(map(str, value))
    return [value] if several and value is not None else value


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value
