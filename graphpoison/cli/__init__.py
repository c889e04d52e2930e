"""The command line: parsing and printing only."""

from typing import Annotated

import typer

from .._version import __version__
from .commands import COMMANDS, STYLE, Commands

app = typer.Typer(
    cls=Commands, epilog="Start with: graphpoison demo", no_args_is_help=True, **STYLE
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"graphpoison {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_version, help="Show the version."),
    ] = False,
) -> None:
    """Meta-gradient poisoning attacks on graphs and recommenders."""


def _later() -> None:
    """Placeholder of a command, whose module is imported when the command is called."""


for _name, _text in COMMANDS.items():
    app.command(_name, help=_text)(_later)
