"""Configurations that come with the package, by name: ``protdiff train --preset NAME``."""

from __future__ import annotations

from pathlib import Path

from protdiff.names import check_name

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
    check_name("preset", name, presets)
    return presets[name]
