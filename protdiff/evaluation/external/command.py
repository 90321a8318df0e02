"""Finding and running a program, so that it can neither hang nor fail in silence."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from protdiff.errors import InputError, ProtdiffError

__all__ = ["TIMEOUT", "ExternalError", "find_on_path", "run_program", "split_command"]

TIMEOUT = 3600.0
"""Seconds that a program may take for one call."""

OWN_FOLDER = str(Path(sys.executable).parent)
"""Where programs are that were installed beside this package; PATH need not have it."""

_SHOWN = 200
_POLL = 0.5  # seconds between two looks at how far a program is


class ExternalError(ProtdiffError):
    """A program of others failed, took too long or gave what cannot be read.

    Parameters
    ----------
    message
        What went wrong, in a line.
    output
        All that the program printed.
    """

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output


def find_on_path(names: Sequence[str]) -> str | None:
    """Return the path of the first of some programs that is on PATH, or else beside Python."""
    folders = os.pathsep.join([os.environ.get("PATH", os.defpath), OWN_FOLDER])
    return next((found for name in names if (found := shutil.which(name, path=folders))), None)


def split_command(text: str, option: str) -> list[str]:
    """Split a command as a shell would, and see that its program exists.

    Parameters
    ----------
    text
        Such as ``"python ~/ProteinMPNN/protein_mpnn_run.py"``.
    option
        Where it came from, for the error.

    Raises
    ------
    InputError
        Its quotes do not match, or there is no such program.
    """
    try:
        words = [os.path.expanduser(word) for word in shlex.split(text)]  # noqa: PTH111
    except ValueError as error:
        raise InputError(f"{option} {text!r} cannot be split into words: {error}") from error
    if not words:
        raise InputError(f"{option} is empty; give a command")
    program = find_on_path(words[:1])
    if program is None:
        raise InputError(f"{option}: there is no program {words[0]!r}; check its path")
    words[0] = program
    # Some programs run elsewhere than here, so a path that leads somewhere from here is made whole.
    return [
        str(Path(word).absolute()) if _looks_like_path(word) and Path(word).exists() else word
        for word in words
    ]


def _looks_like_path(word: str) -> bool:
    return os.sep in word or word.endswith(".py")


def run_program(
    command: Sequence[str],
    *,
    name: str,
    folder: Path,
    timeout: float = TIMEOUT,
    watch: Callable[[], object] | None = None,
) -> str:
    """Run a program to its end and return what it printed.

    It has no input to wait for, and what it started ends with it when time is up.

    Parameters
    ----------
    command
        The program and its arguments; no shell sees them.
    name
        What to call it in errors.
    folder
        Where it runs.
    timeout
        Seconds.
    watch
        Is called now and then while the program runs, and at its end.

    Raises
    ------
    ExternalError
        It cannot be started, ends with another code than 0, or takes too long.
    """
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                list(command),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise ExternalError(
                f"{name} cannot be started ({command[0]}: {error.strerror or error})"
            ) from error
        try:
            code = _wait(process, timeout, watch)
        except subprocess.TimeoutExpired as error:
            raise ExternalError(
                f"{name} took more than {timeout:g} s and was stopped; allow more with --timeout"
            ) from error
        finally:
            _stop(process)
        output.seek(0)
        text = output.read().decode("utf-8", errors="replace")
    if code != 0:
        said = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
        raise ExternalError(
            f"{name} failed with exit code {code}"
            + (f": {said[:_SHOWN]}" if said else " and said nothing"),
            text,
        )
    return text


def _wait(
    process: subprocess.Popen[bytes], timeout: float, watch: Callable[[], object] | None
) -> int:
    """Wait for the end of a program; raise ``TimeoutExpired`` if it does not come."""
    if watch is None:
        return process.wait(timeout)
    end = time.monotonic() + timeout
    while True:
        left = end - time.monotonic()
        code: int | None = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = process.wait(max(0.0, min(_POLL, left)))
        watch()
        if code is not None:
            return code
        if left <= _POLL:
            raise subprocess.TimeoutExpired(process.args, timeout)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a program that still runs, and whatever it has started."""
    if process.poll() is not None:
        return
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except ProcessLookupError:
        pass
    process.wait()
