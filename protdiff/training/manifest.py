"""The manifest of a folder of structures: a table of what is in its files."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from protdiff.errors import InputError
from protdiff.files import check_plain_name

__all__ = ["find_manifest", "read_manifest"]

_MANIFEST = "manifest.tsv"


def find_manifest(paths: Sequence[Path], manifest: str | Path | None) -> Path | None:
    """Return the manifest that is named, or else the one of the source folders, if one has any.

    Raises
    ------
    InputError
        Several of the folders have one.
    """
    if manifest is not None:
        return Path(manifest)
    found = [path / _MANIFEST for path in paths if (path / _MANIFEST).is_file()]
    if len(found) > 1:
        raise InputError(
            f"{len(found)} source folders have a {_MANIFEST}, and their clusters are not one "
            "numbering; join them into one table and name it as the manifest"
        )
    return found[0] if found else None


def read_manifest(table: Path, columns: Sequence[str]) -> dict[Path, dict[str, str]]:
    """Return the manifest's rows by the full path of their file.

    Parameters
    ----------
    table
        Tab-separated, with a line of names of columns.
    columns
        Those that it needs beside ``id`` and ``file``, which is relative to the table's folder.

    Raises
    ------
    InputError
        It cannot be read, lacks a column, or a line of it is incomplete.
    """
    try:
        with table.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, delimiter="\t")
            lacking = [
                name for name in ("id", "file", *columns) if name not in (reader.fieldnames or [])
            ]
            if lacking:
                raise InputError(
                    f"the manifest {table} has no column {', '.join(lacking)}; expected a "
                    f"tab-separated table with {', '.join(('id', 'file', *columns))}"
                )
            rows = {}
            for number, row in enumerate(reader, start=2):
                if any(not row[name] for name in ("id", "file", *columns)):
                    raise InputError(f"line {number} of the manifest {table} is incomplete")
                check_plain_name(row["id"], f"the id in line {number} of the manifest {table}")
                rows[(table.parent / row["file"]).resolve()] = row
    except InputError:
        raise
    # A name with a null byte or thousands of letters is a ValueError or an OSError.
    except (OSError, ValueError, RuntimeError, csv.Error) as error:
        raise InputError(f"cannot read the manifest {table}: {error}") from error
    return rows
