"""What a structure file holds, before it is parsed: its bytes, its format, whether it is whole."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path

from protdiff.errors import InputError

__all__ = ["FORMAT_NAMES", "check_whole", "detect_format", "read_bytes"]

FORMAT_NAMES = {"pdb": "PDB", "cif": "mmCIF", "bcif": "BinaryCIF"}
_GZIP = b"\x1f\x8b"
# The largest entries of the Protein Data Bank have some 300 MiB and 3 million lines.
_LARGEST_FILE = 1 << 30
_MOST_LINES = 20_000_000


def read_bytes(path: Path) -> bytes:
    """Read a file, unpacked if it is gzipped.

    Raises
    ------
    InputError
        It is not there, empty, damaged, or larger than any structure.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a structure file")
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}; check the path") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    if data.startswith(_GZIP):
        try:
            with gzip.open(io.BytesIO(data)) as file:
                data = file.read(_LARGEST_FILE + 1)
        except (EOFError, OSError, zlib.error) as error:
            raise InputError(
                f"{path} is a damaged or cut-off gzip file; get the file again"
            ) from error
    elif path.suffix.lower() == ".gz" and data:
        raise InputError(f"{path} is not a gzip file, though its name says so; get the file again")
    if len(data) > _LARGEST_FILE or data.count(b"\n") > _MOST_LINES:
        raise InputError(
            f"{path} has over {_LARGEST_FILE >> 20} MiB or {_MOST_LINES} lines, more than any "
            "structure; give the file of one structure"
        )
    if not data.strip():
        raise InputError(f"{path} is empty; give a structure file with a protein")
    return data


def detect_format(path: Path, data: bytes) -> str:
    """Tell the format from the content, and from the name where the content is damaged.

    Returns
    -------
    str
        A key of :data:`FORMAT_NAMES`.

    Raises
    ------
    InputError
        It is none of them.
    """
    if b"dataBlocks" in data and data[:1] >= b"\x80":
        return "bcif"
    suffix = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    named = {"pdb": "pdb", "ent": "pdb", "cif": "cif", "mmcif": "cif", "bcif": "bcif"}.get(suffix)
    if b"\0" not in data:
        for line in data.splitlines():
            if line.startswith((b"ATOM  ", b"HETATM")) and not line.startswith(b"ATOM   ."):
                return "cif" if named == "cif" and len(line.split()) > 14 else "pdb"
            if line.startswith((b"data_", b"loop_", b"_atom_site.")):
                return "cif"
    if named is None:
        raise InputError(
            f"{path} is no structure file that protdiff can read; expected PDB, mmCIF or BinaryCIF"
        )
    if named != "bcif":
        what = "is binary" if b"\0" in data else "has no atom records"
        raise InputError(
            f"{path} {what}, so it is not a {FORMAT_NAMES[named]} file with a structure; "
            "get the file again"
        )
    return named


def check_whole(path: Path, format: str, text: str) -> None:
    """Refuse a text that is cut off or damaged in a way that its parser would not see.

    Raises
    ------
    InputError
        It is; the message says where.
    """
    if format == "pdb":
        _check_pdb(path, text)
    elif format == "cif":
        _check_cif(path, text)


def _check_pdb(path: Path, text: str) -> None:
    """Find what a fixed-column file hides from its parser: lines cut short, odd numbers, no end."""
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.startswith(("ATOM  ", "HETATM")):
            continue
        try:
            for start in (30, 38, 46):
                float(line[start : start + 8])
        except ValueError as error:
            cut = " is cut short" if len(line.rstrip()) < 54 else " has no number as a coordinate"
            raise InputError(
                f"line {number} of {path}{cut}: {line.rstrip()[:60]!r}; get the file again"
            ) from error
    last = lines[-1]
    is_atom = last.startswith(("ATOM  ", "HETATM"))
    if is_atom and len(lines) > 1 and not text.endswith("\n"):
        before = lines[-2]
        if before.startswith(("ATOM  ", "HETATM")) and len(last) < len(before.rstrip()):
            raise InputError(f"{path} is cut off in its last line; get the file again")
    is_deposition = text.startswith("HEADER") and "\nSEQRES" in text
    if is_deposition and not any(line.startswith("END") for line in lines[-3:]):
        raise InputError(
            f"{path} is cut off: it begins as a PDB deposition does, and has no END record; "
            "get the file again, or add a line END if it is whole"
        )


def _check_cif(path: Path, text: str) -> None:
    """Find a cut: a file of the Protein Data Bank ends each category with a line of one #."""
    if "\n_audit_conform.dict_name" not in text:
        return
    tail = text.rstrip().rpartition("\n")[2].strip()
    if tail != "#":
        raise InputError(
            f"{path} is cut off: it begins as an mmCIF deposition does and does not end as one; "
            "get the file again"
        )
