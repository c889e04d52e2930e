"""The commands, each in a module that is imported when the command is called."""

from importlib import import_module
from typing import Any

import typer
from typer.main import get_command

from .errors import OneLineErrors

COMMANDS = {
    "datasets": "List the data sets, or count the nodes and edges of one of them.",
    "attack": "Find the flips that harm a model most within a budget, and write them to a file.",
    "estimate": "Estimate the time and memory of an attack from the sizes of a graph.",
    "evaluate": "Retrain victims on the clean and on the poisoned data, and compare their metrics.",
    "audit": "Count the fake accounts that promote an item, and how many of them a filter catches.",
    "sweep": "Attack and evaluate for all tasks, attacks, victims, seeds and budgets of a study.",
    "reproduce": "Repeat the measurement of a table or figure of the thesis.",
    "demo": "Attack a small built-in graph, and compare with random flips. No download.",
}
"""Name of a command -> the first line of its help."""
STYLE: dict[str, Any] = {
    "rich_markup_mode": "rich",
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}


class Commands(OneLineErrors):
    """The group of all commands. ``--help`` of the group imports no command."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, _, rest = super().resolve_command(ctx, args)
        return name, loaded(str(name)), rest


def loaded(name: str) -> Any:
    """Return the command ``name``: the function ``command`` of its module ``graphpoison.cli.NAME``,
    with the module's ``EPILOG``."""
    module = import_module(f".{name}", __package__)
    app = typer.Typer(add_completion=False, **STYLE)
    app.command(name, help=_help(name, module.command), epilog=module.EPILOG)(module.command)
    return get_command(app)


def _help(name: str, function: Any) -> str:
    """Return the line of :data:`COMMANDS` and the docstring without its first paragraph."""
    _, _, more = (function.__doc__ or "").partition("\n\n")
    return f"{COMMANDS[name]}\n\n{more}" if more else COMMANDS[name]
