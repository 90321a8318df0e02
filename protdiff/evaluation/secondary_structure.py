"""Secondary structure by hydrogen bonds, and the handedness of helices by the CA trace.

DSSP (here the simplified, three-state form of pydssp) reads hydrogen bonds, and a mirror image has
the same hydrogen bonds as its original: a left-handed helix is called "helix" too. The hand of a
helix shows in the dihedral of four successive alpha carbons, +50° in a right-handed alpha helix
and −50° in its mirror image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["assign_secondary_structure", "find_helices", "get_runs"]

HELIX_CA_DIHEDRAL = 50.0
HELIX_CA_DIHEDRAL_WIDTH = 25.0
"""Centre and half width, in degrees, of the CA dihedral of an alpha helix (3-10 and pi: inside)."""

HELIX_CA_RISE = (4.2, 6.4)
"""CA(i) to CA(i+3), in Å, within a helix; alpha: 5.0."""

HELIX_WINDOWS = 2
"""So many successive windows of four residues make a helix; one alone is a turn."""

SHORTEST_FOR_DSSP = 6


def assign_secondary_structure(coordinates: NDArray[np.floating]) -> NDArray[np.str_]:
    """Assign ``"H"`` (helix), ``"E"`` (strand) or ``"-"`` to each residue by hydrogen bonds.

    Parameters
    ----------
    coordinates
        (residue, 4, 3), Å, atoms in the order N, CA, C, O. Finite.

    Returns
    -------
    numpy.ndarray
        (residue,) of one-letter strings.

    References
    ----------
    W. Kabsch, C. Sander, Dictionary of protein secondary structure, 1983.
    S. Minami, PyDSSP: a simplified implementation of DSSP, 2023.
    """
    xyz = np.asarray(coordinates, np.float64)
    if len(xyz) < SHORTEST_FOR_DSSP:
        return np.full(len(xyz), "-")
    from pydssp.pydssp_numpy import assign

    # Atoms on top of each other divide by zero there; what becomes of it is no hydrogen bond.
    with np.errstate(all="ignore"):
        _, helix, strand = np.moveaxis(assign(xyz), -1, 0)
    return np.where(helix, "H", np.where(strand, "E", "-"))


def find_helices(
    ca_dihedral: NDArray[np.floating], ca_rise: NDArray[np.floating], *, handedness: int = 1
) -> NDArray[np.bool_]:
    """Find the residues in helices of one hand by the CA trace.

    Parameters
    ----------
    ca_dihedral
        (residue − 3,) dihedral of CA i to i+3, degrees; NaN where the chain is broken.
    ca_rise
        (residue − 3,) distance from CA i to CA i+3, Å.
    handedness
        +1 for right-handed helices, −1 for left-handed ones.

    Returns
    -------
    numpy.ndarray
        (residue,) bool, True in a helix of this hand.
    """
    inside = np.abs(handedness * ca_dihedral - HELIX_CA_DIHEDRAL) <= HELIX_CA_DIHEDRAL_WIDTH
    inside &= (ca_rise >= HELIX_CA_RISE[0]) & (ca_rise <= HELIX_CA_RISE[1])
    found = np.zeros(len(ca_dihedral) + 3, dtype=bool)
    for start, stop in get_runs(inside):
        if stop - start >= HELIX_WINDOWS:
            found[start : stop + 3] = True
    return found


def get_runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the (start, stop) of each run of True.

    Examples
    --------
    >>> get_runs(np.array([True, True, False, True]))
    [(0, 2), (3, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
