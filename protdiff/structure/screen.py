r"""Screening chains: which ones are sound enough to learn from.

A chain passes if it has a wanted length, few chain breaks, sound bonds, the natural hand, and the
compactness of a folded domain,

.. math:: R_g < 1.25 · 2.2 L^{0.38} \text{ Å} \quad\text{and}\quad
          \text{CA contacts} > 2.2 \text{ per residue}.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from protdiff.errors import InputError
from protdiff.structure.backbone import Backbone
from protdiff.structure.geometry import (
    C_N,
    CA_C,
    N_CA,
    backbone_dihedrals,
    bond_lengths,
    count_contacts,
    radius_of_gyration,
)
from protdiff.structure.read import read_backbone
from protdiff.structure.residues import StructureWarning
from protdiff.structure.size import expect_radius

__all__ = ["ChainFilter", "ScreenedFile", "screen_file"]


@dataclass(frozen=True)
class ChainFilter:
    """What a chain must be like to be trained on.

    Parameters
    ----------
    min_length, max_length
        Residues, both ends included.
    max_breaks
        Chain breaks.
    compact
        Ask for the compactness of a folded domain.
    max_radius_factor
        :math:`R_g` may be this many times 2.2 L^0.38 Å.
    min_contacts
        CA contacts (under 8 Å, four or more residues apart) per residue, counted from both sides.
    max_bond_error
        How far (Å) a backbone bond may be from its ideal length.
    max_left_handed
        Share of non-glycine residues with phi > 0; natural chains stay under 0.13, mirror images
        are over 0.8.
    """

    min_length: int = 40
    max_length: int = 256
    max_breaks: int = 0
    compact: bool = True
    max_radius_factor: float = 1.25
    min_contacts: float = 2.2
    max_bond_error: float = 0.3
    max_left_handed: float = 0.3

    def __post_init__(self) -> None:
        if not 1 <= self.min_length <= self.max_length:
            raise InputError(
                f"lengths from {self.min_length} to {self.max_length} hold no chain; "
                "give 1 or more, the shorter first"
            )

    def find_fault(self, backbone: Backbone) -> str | None:
        """Return why a chain is left out; None if it is kept."""
        length = len(backbone)
        if length < self.min_length:
            return "too short"
        if length > self.max_length:
            return "too long"
        if len(backbone.segment_starts) - 1 > self.max_breaks:
            return "chain breaks"
        x, index = backbone.coordinates, backbone.residue_index
        bonds = bond_lengths(x, index)
        for name, ideal in (("N-CA", N_CA), ("CA-C", CA_C), ("C-N", C_N)):
            if len(bonds[name]) and np.abs(bonds[name] - ideal).max() > self.max_bond_error:
                return "distorted bonds"
        phi = backbone_dihedrals(x, index)[0]
        phi = phi[(backbone.residue_name != "GLY") & np.isfinite(phi)]
        if len(phi) and float((phi > 0).mean()) > self.max_left_handed:
            return "left-handed torsions"
        if self.compact:
            alpha = x[:, 1]
            if radius_of_gyration(alpha) >= self.max_radius_factor * expect_radius(length):
                return "not compact: radius of gyration"
            if count_contacts(alpha, separation=4).mean() <= self.min_contacts:
                return "not compact: few contacts"
        return None


@dataclass
class ScreenedFile:
    """What came of one file.

    Attributes
    ----------
    found
        How many protein chains it holds.
    kept
        The chains that passed.
    dropped
        (reason, chain id) of those that did not; the id is empty if the file has one chain or
        none.
    """

    found: int = 0
    kept: list[Backbone] = field(default_factory=list)
    dropped: list[tuple[str, str]] = field(default_factory=list)


def screen_file(path: Path, gate: ChainFilter) -> ScreenedFile:
    """Read a structure file and put each of its chains through the gate."""
    screened = ScreenedFile()
    try:
        with warnings.catch_warnings():
            # A dropped residue makes a chain break, and breaks are counted.
            warnings.simplefilter("ignore", StructureWarning)
            whole = read_backbone(path)
    except InputError as error:
        reason = "holds no protein" if "no protein" in str(error) else "unreadable file"
        screened.dropped.append((reason, ""))
        return screened
    screened.found = len(whole.chains)
    for name in whole.chains:
        chain = whole.select_chain(name)
        fault = gate.find_fault(chain)
        if fault is None:
            screened.kept.append(chain)
        else:
            screened.dropped.append((fault, name if screened.found > 1 else ""))
    return screened
