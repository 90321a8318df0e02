"""Where checkpoints are found: bundled ones by name or by length, others by path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from protdiff.errors import CheckpointError
from protdiff.names import suggest_name

__all__ = [
    "DEFAULT_WEIGHTS",
    "choose_weights",
    "find_weights",
    "is_for_single_chains",
    "list_weights",
]

DEFAULT_WEIGHTS = "protdiff-base"
_FOLDER = Path(__file__).parent
_SUFFIX = ".safetensors"


def list_weights() -> dict[str, Path]:
    """Return the checkpoints that come with the package, by name."""
    return {path.stem: path for path in sorted(_FOLDER.glob(f"*{_SUFFIX}"))}


def find_weights(name_or_path: str | Path) -> Path:
    """Return the file of a checkpoint.

    Parameters
    ----------
    name_or_path
        The name of a checkpoint that comes with the package, or the path of a file.

    Raises
    ------
    CheckpointError
        There is neither.
    """
    bundled = list_weights()
    name, path = str(name_or_path), Path(name_or_path)
    if name in bundled:
        return bundled[name]
    if path.is_file():
        return path
    hint = suggest_name(name, bundled)
    end = f", {hint}" if hint else "."
    raise CheckpointError(
        f"there are no weights {name!r}{end} Give the path of a {_SUFFIX} file or a bundled name "
        f"({', '.join(bundled) or 'none'})"
    )


def choose_weights(longest: int, *, chains: int = 1) -> str:
    """Choose among the weights that come with the package those for designs of a length.

    Parameters
    ----------
    longest
        Residues of the longest design; of a symmetric one, of one of its chains.
    chains
        How many chains the network sees. For several, those weights are chosen among that were
        trained on several.

    Returns
    -------
    str
        The default's name if it was trained on designs as long; else the name of those that were
        and go the least beyond; else of those that go the furthest.
    """
    cards = {name: _read_card(path) for name, path in list_weights().items()}
    fitting = {name: card for name, card in cards.items() if _knows_chains(card) == (chains > 1)}
    reach = {name: int(card["lengths"][1]) for name, card in (fitting or cards).items()}
    if longest <= reach.get(DEFAULT_WEIGHTS, 0):
        return DEFAULT_WEIGHTS
    enough = [name for name in reach if longest <= reach[name]]
    return min(enough, key=reach.__getitem__) if enough else max(reach, key=reach.__getitem__)


def is_for_single_chains(name: str) -> bool:
    """Whether weights come with the package and were trained on single chains only."""
    bundled = list_weights()
    return name in bundled and not _knows_chains(_read_card(bundled[name]))


def _read_card(path: Path) -> dict[str, Any]:
    """Return what weights say of their training."""
    from protdiff.checkpoint import read_header  # it imports torch, and names are asked for without

    card: dict[str, Any] = read_header(path)["metadata"]
    return card


def _knows_chains(card: dict[str, Any]) -> bool:
    """Whether weights were trained on several chains side by side."""
    return bool(card.get("cut"))
