"""Where checkpoints are found: bundled ones by name or by length, others by path."""

from __future__ import annotations

from pathlib import Path

from protdiff.errors import CheckpointError
from protdiff.names import suggest_name

__all__ = ["DEFAULT_WEIGHTS", "choose_weights", "find_weights", "list_weights"]

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


def choose_weights(longest: int) -> str:
    """Choose among the weights that come with the package those for designs of a length.

    Parameters
    ----------
    longest
        Residues of the longest design; of a symmetric one, of one of its chains.

    Returns
    -------
    str
        The default's name if it was trained on designs as long; else the name of those that were
        and go the least beyond; else of those that go the furthest.
    """
    reach = {name: _get_reach(path) for name, path in list_weights().items()}
    if longest <= reach[DEFAULT_WEIGHTS]:
        return DEFAULT_WEIGHTS
    enough = [name for name in reach if longest <= reach[name]]
    return min(enough, key=reach.__getitem__) if enough else max(reach, key=reach.__getitem__)


def _get_reach(path: Path) -> int:
    """Return the length of the longest chains that weights were trained on."""
    from protdiff.checkpoint import read_header  # it imports torch, and names are asked for without

    return int(read_header(path)["metadata"]["lengths"][1])
