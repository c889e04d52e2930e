"""The command line: parsing and printing only.

The modules of commands import typer and names alone, so that ``--help`` is fast; a command imports
what it works with when it is called.
"""

from typing import Annotated

import typer

from .._version import __version__
from . import attack, datasets, demo, estimate, evaluate, reproduce, sweep
from .errors import OneLineErrors

app = typer.Typer(
    cls=OneLineErrors,
    epilog="Start with: graphpoison demo",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
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


app.command("datasets", epilog=datasets.EPILOG)(datasets.datasets)
app.command("attack", epilog=attack.EPILOG)(attack.attack)
app.command("estimate", epilog=estimate.EPILOG)(estimate.estimate_command)
app.command("evaluate", epilog=evaluate.EPILOG)(evaluate.evaluate_command)
app.command("sweep", epilog=sweep.EPILOG)(sweep.sweep_command)
app.command("reproduce", epilog=reproduce.EPILOG)(reproduce.reproduce_command)
app.command("demo", epilog=demo.EPILOG)(demo.demo)
