"""The folder of a run, held by one process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from protdiff.errors import InputError
from protdiff.lock import lock

__all__ = ["hold_folder"]


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Hold a run's folder for this process; the hold ends with the process, however that ends.

    Raises
    ------
    FolderInUseError
        Another process holds it.
    InputError
        It cannot be written.
    """
    new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A file in it, not the folder itself: NFS locks only what is open for writing.
        file = (folder / ".lock").open("w")
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror or error}") from error
    with file:
        lock(
            file.fileno(),
            f"another process is training in {folder}; wait for it or give another folder",
        )
        try:
            yield
        finally:
            # A run that could not begin leaves nothing behind.
            if new and [path.name for path in folder.iterdir()] == [".lock"]:
                (folder / ".lock").unlink()
                folder.rmdir()
