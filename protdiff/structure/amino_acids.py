"""Three-letter names and one-letter codes of the common amino acids, known without Biotite."""

from __future__ import annotations

from collections.abc import Iterable

from protdiff.errors import InputError

__all__ = ["AMINO_ACIDS", "STANDARD", "get_letters", "get_names"]

#: The common amino acids and their one-letter codes.
AMINO_ACIDS = {
    "ALA": "A", "ARG": "R", "ASN": "N", "ASP": "D", "CYS": "C", "GLN": "Q", "GLU": "E", "GLY": "G",
    "HIS": "H", "ILE": "I", "LEU": "L", "LYS": "K", "MET": "M", "PHE": "F", "PRO": "P", "SER": "S",
    "THR": "T", "TRP": "W", "TYR": "Y", "VAL": "V", "MSE": "M", "SEC": "U", "PYL": "O",
}  # fmt: skip
#: Those of ATOM records; the others, as MSE, stand in HETATM records even within a chain.
STANDARD = [*(name for name in AMINO_ACIDS if name not in ("MSE", "SEC", "PYL")), "UNK"]

_NAMES = {letter: name for name, letter in AMINO_ACIDS.items() if name != "MSE"} | {"X": "UNK"}


def get_letters(names: Iterable[str]) -> str:
    """Return the one-letter codes of residues, X for a name that is not in :data:`AMINO_ACIDS`.

    Examples
    --------
    >>> get_letters(["TRP", "MSE", "UNK"])
    'WMX'
    """
    return "".join(AMINO_ACIDS.get(name, "X") for name in names)


def get_names(letters: str) -> list[str]:
    """Return the three-letter names of one-letter codes, UNK for X.

    Raises
    ------
    InputError
        A letter is no amino acid.

    Examples
    --------
    >>> get_names("WX")
    ['TRP', 'UNK']
    """
    unknown = sorted(set(letters) - set(_NAMES))
    if unknown:
        raise InputError(
            f"no amino acid is called {', '.join(unknown)}; give one-letter codes in capitals"
        )
    return [_NAMES[letter] for letter in letters]
