r"""How alike two folds are: the TM-score, by one of two aligners.

.. math::  \mathrm{TM} = \max \frac{1}{L} \sum_i \frac{1}{1 + (d_i / d_0(L))^2},
           \qquad d_0(L) = 1.24 \sqrt[3]{L - 15} - 1.8

over alignments and superpositions, d_i the distance of the i-th pair of aligned CA. L is the length
by which it is normalised, and it matters: a small fold that is part of a large one scores 1 by the
small one's length. So an aligner gives both, and who uses it says which is meant. Above .5 two
chains have the same fold; unrelated ones are near .3 (Xu and Zhang 2010).

TM-align (the package tmtools, an optional extra, for it is GPL) is the measure that the field
reports. Without it Biotite's alignment by the structural alphabet 3Di serves. It searches less, and
never finds a better alignment for it, so it makes designs look more diverse and newer than they
are: :data:`BIOTITE_BIAS`.

References
----------
Y. Zhang, J. Skolnick, Scoring function for automated assessment of protein structure template
quality, 2004. J. Xu, Y. Zhang, How significant is a protein structure similarity with TM-score =
0.5?, 2010.
"""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from protdiff.errors import DependencyError, InputError

__all__ = [
    "ALIGNER_NAMES",
    "BIOTITE_BIAS",
    "SHORTEST",
    "Aligner",
    "BiotiteAligner",
    "TMScore",
    "can_align",
    "get_aligner",
]

Coordinates = NDArray[np.floating]

SHORTEST = 5
"""Residues that an alignment needs."""

ALIGNER_NAMES = ("auto", "tm-align", "biotite")

BIOTITE_BIAS = (
    "TM-scores by Biotite's alignment, not TM-align's: on natural chains they are lower by .002 on "
    "average (at most .04) where TM-align finds .7 or more, and by .10 to .15 (at most .30) where "
    "it finds under .5, so that designs look more diverse and newer than they are"
)
"""Measured by ``scripts/compare_aligners.py`` on 80 related and 80 unrelated pairs of 60-150
residues."""


class TMScore(NamedTuple):
    """The TM-score of a pair, normalised by either length."""

    by_first: float
    by_second: float

    @property
    def by_shorter(self) -> float:
        """Normalised by the shorter chain: the larger of the two."""
        return max(self)

    @property
    def by_longer(self) -> float:
        """Normalised by the longer chain: the smaller of the two."""
        return min(self)


class Aligner(ABC):
    """Scores pairs of folds.

    Attributes
    ----------
    name
        What it is called.
    note
        What its users must know, for outputs; empty if there is nothing.
    """

    name: str
    note: str = ""

    @abstractmethod
    def score(self, first: Coordinates, second: Coordinates) -> TMScore:
        """Return the TM-score of two backbones, (residue, 3 or 4, xyz) in Å, finite."""


class BiotiteAligner(Aligner):
    """Alignment by Biotite's ``superimpose_structural_homologs``; see :data:`BIOTITE_BIAS`."""

    name = "biotite"
    note = BIOTITE_BIAS

    def score(self, first: Coordinates, second: Coordinates) -> TMScore:
        """Return the TM-score of two backbones."""
        from protdiff.structure.alignment import align_by_alphabet

        return TMScore(*align_by_alphabet(first, second))


def get_aligner(name: str = "auto") -> Aligner:
    """Return an aligner.

    Parameters
    ----------
    name
        ``"tm-align"``, ``"biotite"``, or ``"auto"``: TM-align where tmtools is installed.

    Raises
    ------
    DependencyError
        TM-align was asked for and tmtools is not installed.
    InputError
        There is no such aligner.
    """
    if name not in ALIGNER_NAMES:
        raise InputError(f"there is no aligner {name!r}; choose from {', '.join(ALIGNER_NAMES)}")
    installed = importlib.util.find_spec("tmtools") is not None
    if name == "biotite" or (name == "auto" and not installed):
        return BiotiteAligner()
    if not installed:
        raise DependencyError(
            "TM-align needs the package tmtools, which is not installed; run "
            "`pip install 'protdiff[evaluate]'` or take the aligner biotite"
        )
    from protdiff.evaluation.tm_align import TMAlign

    return TMAlign()


def can_align(coordinates: Coordinates) -> bool:
    """Whether a backbone is long enough and finite, so that it has a TM-score at all."""
    return len(coordinates) >= SHORTEST and bool(np.isfinite(coordinates).all())
