"""How commands fail: one line on stderr and an exit code, no traceback unless asked.

0: done. 1: failed. 2: the input cannot be used. 3: a --fail-on condition is met. 130: interrupted.
"""

from __future__ import annotations

import functools
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import typer

from protdiff.cli.config_file import name_config
from protdiff.errors import ProtdiffError

__all__ = ["CONDITION_MET", "INTERRUPTED", "explain_failures", "explain_usage", "is_usage_error"]

CONDITION_MET = 3
INTERRUPTED = 130


def explain_failures(command: Callable[..., None]) -> Callable[..., None]:
    """Wrap a command so that it fails as users want it to; it has an argument ``debug``."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        debug = bool(kwargs.get("debug")) or os.environ.get("PROTDIFF_DEBUG", "") not in ("", "0")
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            try:
                command(*args, **kwargs)
            except BaseException as error:
                explained = _explain(error)
                if explained is None:
                    raise
                message, code = explained
                if debug:
                    traceback.print_exc()
                typer.echo(message, err=True)
                raise typer.Exit(code) from None

    return wrapped


def _explain(error: BaseException) -> tuple[str, int] | None:
    """Return what to say of an error and the exit code; None for what is not a failure."""
    if isinstance(error, ProtdiffError):
        return f"protdiff: error: {_one_line(error)}", error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return f"\nprotdiff: interrupted{f'; {error}' if str(error) else ''}", INTERRUPTED
    if isinstance(error, BrokenPipeError):
        # Whoever read our output has left; without this Python complains once more at exit.
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
        return None
    if isinstance(error, OSError):
        return f"protdiff: error: {_one_line(error)}", 1
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return (
            "protdiff: error: out of memory; give a smaller --batch-size or shorter designs",
            1,
        )
    if isinstance(error, typer.Exit | typer.Abort | SystemExit) or is_usage_error(error):
        return None
    return (
        f"protdiff: internal error: {type(error).__name__}: {_one_line(error)}; run again with "
        "--debug and report what it prints",
        1,
    )


def is_usage_error(error: BaseException) -> bool:
    """Whether typer itself words this error; its base class is not public."""
    return callable(getattr(error, "format_message", None))


def explain_usage(error: Any) -> int:
    """Say in one line what is wrong with the command line; return the exit code."""
    message = _one_line(error.format_message())
    context = getattr(error, "ctx", None)
    if context is None or not message:
        error.show()  # the help page, for a bare `protdiff`
        return int(error.exit_code)
    origin = name_config(context, str(getattr(getattr(error, "param", None), "name", "")))
    if origin is not None:
        message = f"{message.rstrip('.')} (from {origin})"
    if message[-1] not in ".?!":
        message += "."
    typer.echo(f"protdiff: error: {message} See {context.command_path} --help", err=True)
    return int(error.exit_code)


def _one_line(error: object) -> str:
    """Put a message on one line; what a hostile file put into it does not command the terminal."""
    text = " ".join(str(error).split())
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    typer.echo(f"protdiff: warning: {_one_line(message)}", err=True)
