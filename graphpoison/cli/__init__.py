"""The command line: parsing and printing only."""

import typer

from . import attack, datasets, demo, estimate, evaluate, reproduce
from .errors import OneLineErrors

app = typer.Typer(
    cls=OneLineErrors,
    help="Meta-gradient poisoning attacks on graphs and recommenders.",
    epilog="Start with: graphpoison demo",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("datasets", epilog=datasets.EPILOG)(datasets.datasets)
app.command("attack", epilog=attack.EPILOG)(attack.attack)
app.command("estimate", epilog=estimate.EPILOG)(estimate.estimate_command)
app.command("evaluate", epilog=evaluate.EPILOG)(evaluate.evaluate_command)
app.command("reproduce", epilog=reproduce.EPILOG)(reproduce.reproduce_command)
app.command("demo", epilog=demo.EPILOG)(demo.demo)
