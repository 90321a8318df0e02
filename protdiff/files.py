"""Files and folders that are either whole or absent.

A result is written to a temporary file beside its place and moved there in one step, so that a
killed run leaves no half of a structure, and nothing is ever replaced unless that was asked for.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from protdiff.errors import InputError

__all__ = [
    "check_free",
    "check_new_folder",
    "check_plain_name",
    "check_writable",
    "hash_file",
    "make_folder_atomically",
    "write_atomically",
]


@contextlib.contextmanager
def write_atomically(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary path that becomes ``path`` when the block ends without an error.

    Parameters
    ----------
    path
        The file to be written; missing parent folders are made.
    overwrite
        Replace an existing file. Without it, an existing file is an error.

    Yields
    ------
    pathlib.Path
        A path in the same folder, with the same suffixes, to write to.

    Raises
    ------
    InputError
        ``path`` is a folder, or exists and ``overwrite`` is false, or its folder cannot be written.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with write_atomically(pathlib.Path(folder) / "a.txt") as temporary:
    ...         _ = temporary.write_text("whole")
    ...     (pathlib.Path(folder) / "a.txt").read_text()
    'whole'
    """
    path = Path(path)
    check_free(path, overwrite=overwrite)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name.split('.')[0]}-", suffix="".join(path.suffixes)
        )
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; a result should have the permissions of any new file.
        temporary.chmod(0o666 & ~_get_umask())
        if overwrite:
            temporary.replace(path)
        else:
            _move_without_replacing(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def make_folder_atomically(path: str | Path) -> Iterator[Path]:
    """Give a temporary folder that becomes ``path`` when the block ends without an error.

    Parameters
    ----------
    path
        The folder to be made; missing parent folders are made. An empty one may be there.

    Yields
    ------
    pathlib.Path
        A folder beside it to write to.

    Raises
    ------
    InputError
        ``path`` holds something, or cannot be made.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with make_folder_atomically(pathlib.Path(folder) / "run") as temporary:
    ...         _ = (temporary / "a.txt").write_text("whole")
    ...     sorted(path.name for path in (pathlib.Path(folder) / "run").iterdir())
    ['a.txt']
    """
    path = Path(path)
    check_new_folder(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    try:
        yield temporary
        temporary.chmod(0o777 & ~_get_umask())
        try:
            temporary.rename(path)  # onto an empty folder too, but onto nothing else
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_new_folder(path: str | Path) -> None:
    """Refuse a folder that holds something, before work is done for it.

    Raises
    ------
    InputError
        Something is there, other than an empty folder.
    """
    path = Path(path)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise InputError(f"{path} exists already; choose another folder")


def check_free(path: str | Path, *, overwrite: bool = False) -> None:
    """Refuse a file that could not be written without losing something, before work is done for it.

    Raises
    ------
    InputError
        It is a folder, or is there and may not be replaced.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file")
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already; choose another name or allow --overwrite")


def _get_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _move_without_replacing(temporary: Path, path: Path) -> None:
    """Move by a hard link, which fails if another process has made ``path`` meanwhile."""
    try:
        os.link(temporary, path)
    except FileExistsError as error:
        raise InputError(f"{path} exists already; choose another name") from error
    except OSError:  # a file system without hard links
        temporary.replace(path)


def check_writable(folder: str | Path) -> None:
    """Check that a folder can be made, if it is not there, and written to, without touching it.

    Raises
    ------
    InputError
        It cannot.
    """
    folder = Path(folder)
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir():
        raise InputError(f"cannot write to {folder}: {there} is a file; choose another folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"cannot write to {folder}: no permission; choose another folder")


def check_plain_name(name: str, what: str) -> None:
    """Refuse a name that, as a part of a path, would lead elsewhere.

    Parameters
    ----------
    name
        The name.
    what
        What it is, for the message.

    Examples
    --------
    >>> check_plain_name("1abc_A", "the id")
    >>> check_plain_name("../x", "the id")
    Traceback (most recent call last):
    protdiff.errors.InputError: the id is '../x'; expected a name without ...

    Raises
    ------
    InputError
        It has a separator of paths or a character that cannot be printed, is empty or endless, or
        names a folder.
    """
    if (
        not 0 < len(name) <= 200
        or name in (".", "..")
        or not name.isprintable()
        or set(name) & set("/\\")
    ):
        raise InputError(
            f"{what} is {name[:60]!r}; expected a name without / and \\, of up to 200 characters "
            "that can be printed"
        )


def hash_file(path: str | Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
