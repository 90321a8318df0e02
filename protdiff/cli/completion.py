"""What a shell offers for an option's value; nothing heavy is imported for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from protdiff.design.samplers import GRID_NAMES, HOLDS, METHODS, SAMPLER_NAMES
from protdiff.training.preset import list_presets
from protdiff.weights import list_weights

__all__ = [
    "complete_grid",
    "complete_hold",
    "complete_method",
    "complete_preset",
    "complete_sampler",
    "complete_symmetry",
    "complete_weights",
]

_USUAL_SYMMETRIES = ("C2", "C3", "C4", "C5", "C6", "D2", "D3", "D4")


def _complete(names: Iterable[str]) -> Callable[[str], list[str]]:
    def complete(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    return complete


complete_sampler = _complete(SAMPLER_NAMES)
complete_grid = _complete(GRID_NAMES)
complete_method = _complete(METHODS)
complete_preset = _complete(list_presets())
complete_symmetry = _complete(_USUAL_SYMMETRIES)
complete_hold = _complete(HOLDS)


def complete_weights(incomplete: str) -> list[str]:
    """Offer bundled weights by name, then folders and .safetensors files."""
    names = [name for name in list_weights() if name.startswith(incomplete)]
    folder, _, start = incomplete.rpartition("/")
    prefix = incomplete[: len(incomplete) - len(start)]
    try:
        entries = sorted(Path(folder or ("/" if prefix else ".")).iterdir())
        paths = [
            prefix + entry.name + "/" * entry.is_dir()
            for entry in entries
            if entry.name.startswith(start)
            and (entry.is_dir() or entry.suffix == ".safetensors")
            and (start.startswith(".") or not entry.name.startswith("."))
        ]
    except OSError:
        paths = []
    return names + paths
