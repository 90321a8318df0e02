"""The folder of a run, held by one process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from protdiff.errors import InputError

try:
    import fcntl
except ImportError:  # Windows: no advisory locks, and no guard against two processes
    fcntl = None  # type: ignore[assignment]

__all__ = ["hold_folder"]


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Hold a run's folder for this process; the hold ends with the process, however that ends.

    Raises
    ------
    InputError
        Another process holds it, or it cannot be written.
    """
    new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror or error}") from error
    with lock:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise InputError(
                    f"another process is training in {folder}; wait for it or give another folder"
                ) from error
        try:
            yield
        finally:
            # A run that could not begin leaves nothing behind.
            if new and [path.name for path in folder.iterdir()] == [".lock"]:
                (folder / ".lock").unlink()
                folder.rmdir()
