"""Locks, so that no two processes write to one folder."""

from __future__ import annotations

from protdiff.errors import FolderInUseError

__all__ = ["lock"]


def lock(descriptor: int, refusal: str) -> bool:
    """Lock an open file or folder for this process; the lock ends as it is closed, or dies with it.

    Parameters
    ----------
    descriptor
        Of the file or folder.
    refusal
        What to say where another process has it.

    Returns
    -------
    bool
        Whether it is locked: not on Windows, nor on file systems without locks, where two runs in
        one folder are the user's own care.

    Raises
    ------
    FolderInUseError
        Another process has it.
    """
    try:
        import fcntl
    except ImportError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise FolderInUseError(refusal) from error
    except OSError:
        return False
    return True
