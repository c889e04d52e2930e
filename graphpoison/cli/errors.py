"""Errors as one line on stderr; exit codes 1 (the work failed), 2 (wrong usage), 130 (Ctrl-C)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

FAILED, USAGE, INTERRUPTED = 1, 2, 130
DEBUG = "graphpoison.debug"
LIBRARY_ERRORS = (ValueError, TypeError, LookupError, OSError, ArithmeticError, RuntimeError)


@contextmanager
def usage() -> Iterator[None]:
    """What the library refuses in here, before any work is done, is wrong usage."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except LIBRARY_ERRORS as error:
        raise WrongUsage(message(error)) from error


class WrongUsage(Exception):
    """The command cannot be carried out as it was given."""


class Interrupted(Exception):
    """Ctrl-C, with what there is to say about going on."""


class OneLineErrors(TyperGroup):
    """Subcommands whose errors are one line each, without a traceback unless ``--debug``."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort):
            raise
        except KeyboardInterrupt as error:
            raise _exit("interrupted", INTERRUPTED) from error
        except Interrupted as error:
            raise _exit(str(error), INTERRUPTED) from error
        except Exception as error:
            if ctx.meta.get(DEBUG):
                raise
            raise _exit(f"error: {message(error)}", _code(error)) from error


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


def _exit(text: str, code: int) -> typer.Exit:
    typer.secho(text, err=True, fg="red" if code != INTERRUPTED else None)
    return typer.Exit(code)
