"""Reading TOML files that strangers may have made."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from protdiff.errors import InputError

__all__ = ["read_toml"]


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    InputError
        The file is missing, or is no TOML.
    """
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        repr(values)  # which messages may show: hexadecimal numbers can be too long to be written
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    # A date such as 2026-99-99 and a number of 5,000 digits are plain ValueErrors.
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no TOML file: {error}") from error
    return values
