"""Errors as one line on stderr.

Exit codes: 1 (the work failed), 2 (wrong usage), 130 (Ctrl-C), 143 (SIGTERM), 129 (SIGHUP).
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from .._signals import Terminated, terminable
from .processes import Processes, one_voice, processes

LONGEST = 300
"""Largest number of characters of a message. Longer messages are cut in the middle, because the end
says what to do."""
FAILED, USAGE, INTERRUPTED = 1, 2, 130
DEBUG = "graphpoison.debug"
SHARED = ("attack",)
"""Commands that can run in several processes."""
FLAGS = {
    r"\b(user|item|rating|time)=(?![\w'\"(\[])": r"--\1-column",
    r"\bheader=False": "--no-header",
    r"\bgp\.estimate (?=says)": "--dry-run ",
}
"""Name in a message of the library -> flag of the command line."""
LIBRARY_ERRORS = (ValueError, TypeError, LookupError, OSError, ArithmeticError, RuntimeError)


@contextmanager
def usage() -> Iterator[None]:
    """Raise errors of the library in this block, which does no work yet, as :class:`WrongUsage`."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except LIBRARY_ERRORS as error:
        raise WrongUsage(message(error)) from error


class WrongUsage(Exception):
    """The options or files of a command are wrong; found before any work."""


class Interrupted(Exception):
    """Ctrl-C or another signal, with a message on how to continue.

    Args:
        text: the message.
        error: the exception that the signal raised.
    """

    def __init__(self, text: str, error: KeyboardInterrupt) -> None:
        super().__init__(text)
        self.code = code_of(error)


def code_of(error: KeyboardInterrupt) -> int:
    """Return the exit code that shells give to a process ended by a signal: 128 + its number."""
    return 128 + error.number if isinstance(error, Terminated) else INTERRUPTED


class OneLineErrors(TyperGroup):
    """A group of subcommands. An error is printed as one line, also if the command runs in several
    processes; with ``--debug``, as a traceback."""

    def main(self, *args: Any, **settings: Any) -> Any:
        with one_voice():
            return super().main(*args, **settings)

    def invoke(self, ctx: Any) -> Any:
        with processes() as found:
            ctx.obj = found.ranks
            try:
                with terminable():
                    return super().invoke(ctx)
            except (typer.Exit, typer.Abort):
                raise
            except KeyboardInterrupt as error:
                raise _exit("interrupted", code_of(error), found) from error
            except Interrupted as error:
                raise _exit(str(error), error.code, found) from error
            except Exception as error:
                text = message(error)
                ended = _exit(f"error: {text}", _code(error), found, ctx.meta.get(DEBUG, False))
                if ctx.meta.get(DEBUG):
                    raise
                raise ended from error

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        if ctx.obj is not None and ctx.obj.size > 1 and name not in SHARED:
            raise typer.BadParameter(
                f"{name} runs in one process; start it without torchrun, which is for "
                f"{' and '.join(SHARED)}."
            )
        return name, command, rest


def _code(error: Exception) -> int:
    if isinstance(error, WrongUsage):
        return USAGE
    return int(getattr(error, "exit_code", FAILED))  # typer's own


def as_flags(text: str) -> str:
    """Return a message of the library with flags of the command line for names of Python."""
    for pattern, flag in FLAGS.items():
        text = re.sub(pattern, flag, text)
    return text


def message(error: Exception) -> str:
    """Return the text that is printed for ``error``."""
    if hasattr(error, "format_message"):  # typer's own
        return " ".join(str(error.format_message()).split())
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}"
    if isinstance(error, KeyError | AssertionError):
        return f"{type(error).__name__}: {error} (--debug shows where)"
    return as_flags(str(error)) or f"{type(error).__name__} (--debug shows where)"


def _exit(text: str, code: int, found: Processes, silent: bool = False) -> typer.Exit:
    """Print ``text`` unless ``silent``, and return an exit with the same code in all processes."""
    if len(text) > LONGEST:  # it may quote the content of a file
        text = f"{text[: LONGEST - 140]} [...] {text[-133:]}"
    code, text = found.end(code, text)
    if not silent:
        typer.secho(text, err=True, fg="red" if code < INTERRUPTED - 2 else None)
    found.leave()
    return typer.Exit(code)
