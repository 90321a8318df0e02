"""Designs as other programs know proteins: of the twenty amino acids, and L."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from protdiff.handedness import Handedness, get_sign
from protdiff.structure.amino_acids import AMINO_ACIDS
from protdiff.structure.backbone import Backbone
from protdiff.structure.foreign import import_biotite

__all__ = ["find_letter", "find_letters", "mirror_to_l", "standardise"]

_LETTERS = frozenset("ACDEFGHIKLMNPQRSTVWY")
# Two with letters of their own, and what force fields call the charges and bonds of others: by the
# dictionary of components, HSE is homoserine and HIE no amino acid.
_PARENTS = {
    **{"SEC": "C", "PYL": "K", "ASH": "D", "CYM": "C", "CYX": "C", "GLH": "E", "LYN": "K"},
    **dict.fromkeys(("HID", "HIE", "HIP", "HSD", "HSE", "HSP"), "H"),
}


@functools.cache
def find_letter(name: str) -> str:
    """Return the letter of the standard amino acid that a residue is, or was made of; X without.

    Parameters
    ----------
    name
        Three-letter name of the residue; that of a modified one is looked up in the dictionary of
        chemical components.

    Examples
    --------
    >>> [find_letter(name) for name in ("TRP", "MSE", "SEP", "M3L", "SEC", "UNK")]
    ['W', 'M', 'S', 'K', 'C', 'X']
    """
    letter = _PARENTS.get(name) or AMINO_ACIDS.get(name)
    if letter is None:
        info = import_biotite("structure.info")
        # A nucleotide has a letter too.
        letter = info.one_letter_code(name) if "PEPTIDE" in (info.link_type(name) or "") else None
    return letter if letter in _LETTERS else "X"


def find_letters(backbone: Backbone) -> NDArray[np.str_]:
    """Return the letter of each residue, as :func:`find_letter` has it, (residue,)."""
    return np.array([find_letter(name) for name in backbone.residue_name.tolist()])


def standardise(backbone: Backbone) -> Backbone:
    """Name each residue as the standard amino acid that it is or was made of, else GLY."""
    return backbone.with_sequence("".join(find_letters(backbone).tolist()).replace("X", "G"))


def mirror_to_l(backbone: Backbone, handedness: Handedness) -> Backbone:
    """Return an L-protein as it is, and of a D-protein the mirror image, which is one.

    Raises
    ------
    InputError
        The handedness is neither.
    """
    if get_sign(handedness) > 0:
        return backbone
    return backbone.with_coordinates(backbone.coordinates * np.array([-1, 1, 1], np.float32))
