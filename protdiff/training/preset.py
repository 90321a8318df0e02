"""Configurations that come with the package, by name: ``protdiff train --preset NAME``."""

from __future__ import annotations

import difflib
from pathlib import Path

from protdiff.errors import InputError

__all__ = ["find_preset", "list_presets"]

_FOLDER = Path(__file__).parent / "presets"


def list_presets() -> dict[str, Path]:
    """Return the files of the presets by name."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.toml"))}


def find_preset(name: str) -> Path:
    """Return the file of a preset.

    Raises
    ------
    InputError
        There is none of this name; the nearest one is named.
    """
    presets = list_presets()
    if name in presets:
        return presets[name]
    near = difflib.get_close_matches(name, presets, n=1)
    hint = f", did you mean {near[0]!r}?" if near else "."
    raise InputError(f"there is no preset {name!r}{hint} There are {', '.join(presets)}")
