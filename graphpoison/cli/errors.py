"""Errors as one line on stderr; exit codes 1 (the work failed), 2 (wrong usage), 130 (Ctrl-C), 143
(SIGTERM), 129 (SIGHUP)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from .._signals import Terminated, terminable
from .processes import Processes, one_voice, processes

LONGEST = 300
"""Characters of an error that are shown; its end says what to do."""
FAILED, USAGE, INTERRUPTED = 1, 2, 130
DEBUG = "graphpoison.debug"
SHARED = ("attack",)
"""Commands whose work several processes share."""
LIBRARY_ERRORS = (ValueError, TypeError, LookupError, OSError, ArithmeticError, RuntimeError)


@contextmanager
def usage() -> Iterator[None]:
    """Turn errors of the library in this block, before any work, into :class:`WrongUsage`."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except LIBRARY_ERRORS as error:
        raise WrongUsage(message(error)) from error


class WrongUsage(Exception):
    """The command cannot be carried out as it was given."""


class Interrupted(Exception):
    """Ctrl-C or another signal, with a message on how to go on.

    Args:
        text: the message.
        error: the exception that the signal raised.
    """

    def __init__(self, text: str, error: KeyboardInterrupt) -> None:
        super().__init__(text)
        self.code = code_of(error)


def code_of(error: KeyboardInterrupt) -> int:
    """The exit code of a process that a signal has ended, as shells have it."""
    return 128 + error.number if isinstance(error, Terminated) else INTERRUPTED


class OneLineErrors(TyperGroup):
    """Subcommands whose errors are one line each, without a traceback unless ``--debug``. Several
    processes print one line together."""

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
                f"{name} is the work of one process; start it without torchrun, which is for "
                f"{' and '.join(SHARED)}."
            )
        return name, command, rest


def _code(error: Exception) -> int:
    if isinstance(error, WrongUsage):
        return USAGE
    return int(getattr(error, "exit_code", FAILED))  # typer's own


def message(error: Exception) -> str:
    if hasattr(error, "format_message"):  # typer's own
        return " ".join(str(error.format_message()).split())
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}"
    if isinstance(error, KeyError | AssertionError):
        return f"{type(error).__name__}: {error} (--debug shows where)"
    return str(error) or f"{type(error).__name__} (--debug shows where)"


def _exit(text: str, code: int, found: Processes, silent: bool = False) -> typer.Exit:
    """Print ``text`` unless ``silent``, and have all processes end with the same code."""
    if len(text) > LONGEST:  # it may hold what a file holds
        text = f"{text[: LONGEST - 140]} [...] {text[-133:]}"
    code, text = found.end(code, text)
    if not silent:
        typer.secho(text, err=True, fg="red" if code < INTERRUPTED - 2 else None)
    found.leave()
    return typer.Exit(code)
