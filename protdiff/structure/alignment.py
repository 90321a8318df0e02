"""Structural alignment by Biotite: which residues of two folds correspond, and how well they fit.

References
----------
Y. Zhang, J. Skolnick, TM-align: a protein structure alignment algorithm based on the TM-score,
2005. M. van Kempen et al., Fast and accurate protein structure search with Foldseek, 2023 (the
structural alphabet 3Di).
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from protdiff.structure.backbone import Backbone
from protdiff.structure.foreign import import_biotite

__all__ = ["align_by_alphabet"]


def align_by_alphabet(first: ArrayLike, second: ArrayLike) -> tuple[float, float]:
    """Align two folds by Biotite's structural alphabet and return their TM-scores.

    Parameters
    ----------
    first, second
        (residue, 3 or 4, xyz), N, CA, C(, O) in Å. Finite; each is taken for one chain.

    Returns
    -------
    tuple of float
        The TM-score normalised by the length of the first, and by the length of the second. 0
        where the alphabet finds no residues that correspond.
    """
    structure = import_biotite("structure")
    fixed, mobile = _to_atoms(first), _to_atoms(second)
    lengths = (len(np.asarray(first)), len(np.asarray(second)))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            fitted, _, i, j = structure.superimpose_structural_homologs(fixed, mobile)
        except ValueError:  # no anchors at all: nothing in common
            return 0.0, 0.0
        scores = [
            float(structure.tm_score(fixed, fitted, i, j, reference_length=length))
            for length in lengths
        ]
    return scores[0], scores[1]


def _to_atoms(coordinates: ArrayLike) -> Any:
    x: NDArray[np.float32] = np.asarray(coordinates, dtype=np.float32)
    return Backbone.from_coordinates(x - x[:, 1].mean(axis=0)).to_atom_array()
