"""A folder of designs that a killed run leaves usable and a second run continues.

``run.json`` says with which settings the folder was made; ``manifest.jsonl`` has one line a
finished design. A design is finished when its structure file is in place and then its line is on
the disk, in this order: whatever happens in between, the next run sees a design without a line
and makes it again, the same, for its random numbers depend on its index only. A folder that has no
design yet binds nobody to its settings: the next run may be the corrected command.

A line that cannot be read, such as the torn last line of a killed process, counts as not written.
What a killed process had half written lies under a temporary name, and the next run removes it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from protdiff.errors import FolderInUseError, InputError
from protdiff.files import check_writable, write_atomically
from protdiff.lock import lock

__all__ = [
    "MANIFEST",
    "SETTINGS",
    "TRAJECTORIES",
    "Manifest",
    "RunFolder",
    "check_folder",
    "clear_run",
    "explain_write_error",
    "is_unused",
    "name_design",
    "read_finished",
    "read_manifest",
    "read_settings",
    "to_line",
]

MANIFEST = "manifest.jsonl"
SETTINGS = "run.json"
TRAJECTORIES = "trajectories"

# What every run.json of ours names; one without them may be somebody else's.
_OWN_SETTINGS = frozenset({"sampler", "seed", "weights_sha256"})
_DESIGN_FILE = re.compile(r"design_\d{4,}\.(pdb|cif)")
_TRAJECTORY_FILE = re.compile(r"design_\d{4,}_(noisy|denoised)\.(pdb|cif)")
_TEMPORARY_FILE = re.compile(
    r"\.(design_\d{4,}(_(noisy|denoised))?|manifest|run)-[a-z0-9_]+\.(pdb|cif|jsonl?)"
)


def name_design(index: int, suffix: str) -> str:
    """Return the file name of a design.

    Examples
    --------
    >>> name_design(7, "pdb")
    'design_0007.pdb'
    """
    return f"design_{index:04d}.{suffix}"


@dataclass(frozen=True)
class Manifest:
    """What could be read of a manifest."""

    records: dict[int, dict[str, Any]]
    """By index; of two lines with one index the later counts."""
    damaged: int
    """How many lines could not be read."""


def read_manifest(path: str | Path) -> Manifest:
    """Read a manifest, passing over lines that are damaged.

    Parameters
    ----------
    path
        The ``manifest.jsonl``; a missing one has no records.

    Raises
    ------
    InputError
        It is there and cannot be read.
    """
    path = Path(path)
    records: dict[int, dict[str, Any]] = {}
    damaged = 0
    try:
        data = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    for line in data.decode("utf-8", errors="replace").split("\n"):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            index, file = record["index"], record["file"]
            # A line that could not be written again, such as one with a NaN, was not ours.
            to_line(record).encode()
        except (ValueError, TypeError, KeyError, RecursionError):
            damaged += 1
            continue
        # The files of a manifest get read: only names of our own making. A design that is not
        # finite has no file.
        named = file is None or (isinstance(file, str) and _DESIGN_FILE.fullmatch(file))
        if type(index) is int and index >= 0 and named:
            records[index] = record
        else:
            damaged += 1
    return Manifest(records, damaged)


def read_finished(path: str | Path) -> Manifest:
    """Read which designs of a folder are finished: their line and their file are there.

    Parameters
    ----------
    path
        The folder of a run; nothing is finished in one that does not exist. It is only read, so
        another process may be writing to it.
    """
    path = Path(path)
    manifest = read_manifest(path / MANIFEST)
    kept = {k: record for k, record in manifest.records.items() if _has_file(path, record)}
    return replace(manifest, records=kept)


def read_settings(path: str | Path) -> dict[str, Any] | None:
    """Read what the designs of a run depend on; None where it is not there or damaged.

    Parameters
    ----------
    path
        The file, :data:`SETTINGS` of a folder.
    """
    try:
        settings = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return settings if isinstance(settings, dict) else None


def is_unused(path: str | Path) -> bool:
    """Whether a folder holds no design of a run, and no process is making one."""
    path = Path(path)
    try:
        with _lock(path):
            return _holds_nothing(path)
    except FolderInUseError:
        return False


def clear_run(path: str | Path) -> None:
    """Remove a run's own files from a folder, and the folder if nothing else is in it.

    Raises
    ------
    InputError
        The folder is in use, or a file cannot be removed.
    """
    path = Path(path)
    with _lock(path) as locked:
        _clear(path)
        if locked:
            _remove_temporaries(path)
        for folder in (path / TRAJECTORIES, path):
            with suppress(OSError):  # somebody else's files are in it, or it is not there
                folder.rmdir()


class RunFolder:
    """The folder of one run; make it with :meth:`open`.

    Attributes
    ----------
    path
        The folder.
    damaged
        How many lines of the manifest could not be read when the folder was opened.
    """

    def __init__(self, path: Path, records: Mapping[int, dict[str, Any]], damaged: int) -> None:
        self.path = path
        self.damaged = damaged
        self._records = dict(records)

    @classmethod
    @contextmanager
    def open(
        cls, path: str | Path, settings: Mapping[str, Any], *, overwrite: bool = False
    ) -> Iterator[RunFolder]:
        """Open a folder for writing, for this process alone.

        Parameters
        ----------
        path
            The folder; made if there is none.
        settings
            What the designs depend on, as JSON knows it. A folder that holds designs of other
            settings is refused; one that holds none takes these.
        overwrite
            Remove the designs of an earlier run, whatever its settings, and start again.

        Raises
        ------
        InputError
            The folder holds a run with other settings or cannot be written.
        FolderInUseError
            Another process has it open.
        """
        path = Path(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot write to {path}: {error.strerror or error}") from error
        with _lock(path) as locked:
            if overwrite:
                _clear(path)
            if locked:
                _remove_temporaries(path)
            yield cls._continue(path, json.loads(json.dumps(settings)))

    @classmethod
    def _continue(cls, path: Path, settings: dict[str, Any]) -> RunFolder:
        manifest = read_finished(path)
        if _check_settings(path, settings):
            _write(path / SETTINGS, f"{json.dumps(settings, indent=2)}\n".encode())
        lines = _to_lines(manifest.records.values())
        # Damaged, torn and doubled lines go, and those of designs whose file has gone.
        if (path / MANIFEST).exists() and (path / MANIFEST).read_bytes() != lines:
            _write(path / MANIFEST, lines)
        return cls(path, manifest.records, manifest.damaged)

    @property
    def records(self) -> list[dict[str, Any]]:
        """The finished designs, by index."""
        return [self._records[index] for index in sorted(self._records)]

    def find_missing(self, wanted: Iterable[int]) -> list[int]:
        """Return which of the designs that are wanted, by index, are not finished."""
        return [index for index in wanted if index not in self._records]

    def add(self, *records: Mapping[str, Any]) -> None:
        """Append the lines of designs whose structure files are in place, and see them to the disk.

        The lines of a batch go out together, which costs one wait for the disk and not one each.

        Raises
        ------
        InputError
            The disk is full or the folder has gone.
        """
        try:
            with (self.path / MANIFEST).open("ab") as file:
                file.write(_to_lines(records))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise explain_write_error(self.path / MANIFEST, error) from error
        self._records.update((record["index"], dict(record)) for record in records)


def check_folder(
    path: str | Path, settings: Mapping[str, Any], *, overwrite: bool = False
) -> dict[int, dict[str, Any]]:
    """Check that a run can begin or go on in a folder, without touching it.

    Parameters are those of :meth:`RunFolder.open`.

    Returns
    -------
    dict
        The records of the designs that are finished, by index.

    Raises
    ------
    InputError
        The folder holds a run with other settings, or cannot be written.
    """
    path = Path(path)
    check_writable(path)
    if overwrite or not path.exists():
        return {}
    _check_settings(path, json.loads(json.dumps(settings)))
    return read_finished(path).records


def _check_settings(path: Path, settings: Mapping[str, Any]) -> bool:
    """Refuse a folder whose designs were made with other settings, or nobody knows with which.

    Returns whether the settings are still to be written there.
    """
    if not (path / SETTINGS).exists():
        if any(_find_files(path)):
            raise InputError(
                f"{path} holds designs but no {SETTINGS} that says how they were made; "
                "choose another folder or start again with --overwrite"
            )
        return True
    existing = read_settings(path / SETTINGS)
    if existing is None:
        raise InputError(
            f"{path / SETTINGS} is damaged; choose another folder or start again with --overwrite"
        )
    differing = _find_differences(existing, settings)
    if differing and not (existing.keys() >= _OWN_SETTINGS and _holds_nothing(path)):
        raise InputError(
            f"{path} holds a run with other settings ({'; '.join(differing)}); "
            "choose another folder or start again with --overwrite"
        )
    return bool(differing)


def to_line(record: Mapping[str, Any]) -> str:
    """Return a record as a line of a manifest."""
    return json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"


def explain_write_error(path: Path, error: OSError) -> InputError:
    """Return what to tell a user whose disk is full, or whose folder is read-only or gone."""
    return InputError(
        f"cannot write to {path}: {error.strerror or error}; the designs in the manifest are "
        "kept, and the same command makes the rest once there is room"
    )


def _to_lines(records: Iterable[Mapping[str, Any]]) -> bytes:
    return "".join(map(to_line, records)).encode()


def _has_file(folder: Path, record: Mapping[str, Any]) -> bool:
    file = record["file"]
    # An empty file is what a power cut may leave of one that was not yet on the disk.
    return file is None or ((folder / file).is_file() and (folder / file).stat().st_size > 0)


def _write(path: Path, data: bytes) -> None:
    try:
        with write_atomically(path, overwrite=True) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise explain_write_error(path, error) from error


def _find_differences(existing: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    return [
        f"{key} {json.dumps(existing.get(key))}, now {json.dumps(settings.get(key))}"
        for key in dict.fromkeys([*existing, *settings])
        if existing.get(key) != settings.get(key)
    ]


def _find_files(path: Path) -> Iterator[Path]:
    """Give the files of a run by their names; anything else in the folder is not ours."""
    if not path.is_dir():
        return
    for file in path.iterdir():
        if _DESIGN_FILE.fullmatch(file.name) or file.name in (MANIFEST, SETTINGS):
            yield file
    if (path / TRAJECTORIES).is_dir():
        for file in (path / TRAJECTORIES).iterdir():
            if _TRAJECTORY_FILE.fullmatch(file.name):
                yield file


def _holds_nothing(path: Path) -> bool:
    """Whether a run has left neither a line nor a file of a design."""
    return all(file.name == SETTINGS or not file.stat().st_size for file in _find_files(path))


def _clear(path: Path) -> None:
    # The manifest first: a kill in between then leaves designs without a line, not the reverse.
    for file in sorted(_find_files(path), key=lambda file: file.name != MANIFEST):
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(f"cannot remove {file}: {error.strerror or error}") from error


def _remove_temporaries(path: Path) -> None:
    """Remove what a killed run had begun to write; only who holds the lock may."""
    for folder in (path, path / TRAJECTORIES):
        for file in folder.iterdir() if folder.is_dir() else ():
            if _TEMPORARY_FILE.fullmatch(file.name):
                with suppress(OSError):  # they are in nobody's way
                    file.unlink()


@contextmanager
def _lock(folder: Path) -> Iterator[bool]:
    """Hold the folder for this process, however that ends; yields whether it is held."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        yield False
        return
    try:
        yield lock(
            handle, f"another protdiff is writing to {folder}; wait for it or choose another folder"
        )
    finally:
        os.close(handle)
