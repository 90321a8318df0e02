"""Fetching structures from the Protein Data Bank, by id."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from protdiff.errors import InputError, ProtdiffError
from protdiff.files import write_atomically
from protdiff.structure.foreign import import_biotite
from protdiff.structure.read import count_models

__all__ = ["fetch_structures", "list_files", "parse_entry_id"]

_FORMATS = {"pdb": "pdb", "cif": "cif", "mmcif": "cif", "bcif": "bcif"}
_ENTRY = re.compile(r"[1-9][a-z0-9]{3}|pdb_[a-z0-9]{8}")


def parse_entry_id(text: str) -> str:
    """Return a PDB id in small letters.

    Examples
    --------
    >>> parse_entry_id("1AKI"), parse_entry_id("pdb_00001aki")
    ('1aki', 'pdb_00001aki')

    Raises
    ------
    InputError
        It is no id, old (``1aki``) or new (``pdb_00001aki``).
    """
    entry = text.strip().lower()
    # The id becomes a part of an address and of a file's name, so nothing else may pass.
    if not _ENTRY.fullmatch(entry):
        raise InputError(
            f"{text!r} is no PDB id; expected four characters such as 1aki, or pdb_ and eight"
        )
    return entry


def fetch_structures(
    ids: str | Iterable[str],
    folder: str | Path,
    *,
    format: str = "bcif",
    overwrite: bool = False,
    progress: Callable[[str], None] | None = None,
) -> list[Path]:
    """Download entries of the Protein Data Bank, each into ``folder/id.format``.

    An entry whose file is there already is not fetched again.

    Parameters
    ----------
    ids
        PDB ids; a string may hold several, separated by commas or blanks.
    folder
        Where the files go; it is made if missing.
    format
        ``"bcif"``, ``"cif"`` or ``"pdb"``.
    overwrite
        Fetch anew what is there.
    progress
        Called with each id when its file is in place.

    Returns
    -------
    list of pathlib.Path
        One file for each id.

    Raises
    ------
    InputError
        An id or the format is not valid, or the data bank has no such entry in that format.
    ProtdiffError
        The data bank cannot be reached, or what came is damaged.
    """
    files = []
    for entry, path in list_files(ids, folder, format=format).items():
        if overwrite or not path.exists():
            kind = path.suffix.removeprefix(".")
            data = _download(entry, kind)
            with write_atomically(path, overwrite=overwrite) as temporary:
                temporary.write_bytes(data)
                _check_download(entry, temporary)
        files.append(path)
        if progress is not None:
            progress(entry)
    return files


def list_files(
    ids: str | Iterable[str], folder: str | Path, *, format: str = "bcif"
) -> dict[str, Path]:
    """Return the file of each entry that :func:`fetch_structures` would fetch, there or not."""
    if format.lower() not in _FORMATS:
        raise InputError(f"cannot fetch the format {format!r}; expected bcif, cif or pdb")
    kind = _FORMATS[format.lower()]
    names = re.split(r"[\s,]+", ids.strip()) if isinstance(ids, str) else list(ids)
    return {entry: Path(folder) / f"{entry}.{kind}" for entry in map(parse_entry_id, names)}


def _download(entry: str, kind: str) -> bytes:
    rcsb = import_biotite("database.rcsb")
    request_error = import_biotite("database").RequestError
    try:
        content = rcsb.fetch(entry, kind).getvalue()
    except request_error as error:
        hint = "; large entries exist as cif and bcif only" if kind == "pdb" else ""
        raise InputError(
            f"the Protein Data Bank has no entry {entry} as {kind}{hint}; check the id"
        ) from error
    except OSError as error:  # all that requests raises for a network that fails
        raise ProtdiffError(
            f"cannot reach the Protein Data Bank to fetch {entry} ({type(error).__name__}); "
            "check the network, or give a structure file"
        ) from error
    return content.encode() if isinstance(content, str) else bytes(content)


def _check_download(entry: str, path: Path) -> None:
    try:
        count_models(path)
    except InputError as error:
        raise ProtdiffError(
            f"what the Protein Data Bank sent for {entry} is damaged; fetch it again"
        ) from error
