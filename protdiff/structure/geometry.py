"""Geometry of protein backbones, in plain NumPy and in Å and degrees.

A backbone is an array of N, CA, C (and O) positions, ``(..., residue, atom, xyz)``. Its shape is
held by few numbers: three bond lengths and three bond angles that hardly vary, an almost planar
peptide link (omega near 180°), and the two torsions phi and psi that fold the chain. The carbonyl
oxygen and the beta carbon carry no freedom of their own: the first lies in the plane of the
peptide link, the second at the fourth corner of the tetrahedron about CA. So a generator needs to
make N, CA and C only, and the other two follow here.

Two residues are linked when C and the next N are within :data:`MAX_PEPTIDE_BOND` and the two CA
within :data:`MAX_CA_DISTANCE`; everything else is a chain break.

References
----------
R. A. Engh and R. Huber, "Accurate bond and angle parameters for X-ray protein structure
refinement", 1991. J. Parsons et al., "Practical conversion from torsion space to Cartesian space
for in silico protein synthesis", 2005.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from protdiff.handedness import Handedness, get_sign

__all__ = [
    "MAX_CA_DISTANCE",
    "MAX_PEPTIDE_BOND",
    "backbone_dihedrals",
    "bond_angles",
    "bond_lengths",
    "build_backbone",
    "count_contacts",
    "find_links",
    "measure_angle",
    "measure_dihedral",
    "place_atom",
    "place_cbeta",
    "place_oxygen",
    "radius_of_gyration",
]

FloatArray = NDArray[np.floating]

#: Longest C–N distance (Å) of a peptide link; a bond is 1.33 Å, models in print reach 1.8 Å.
MAX_PEPTIDE_BOND = 2.0
#: Longest CA–CA distance (Å) of linked residues; a trans link measures 3.80 Å, a cis link 2.95 Å.
MAX_CA_DISTANCE = 4.5
#: What a link spans at most (Å), and what the ends of a given piece may be further apart.
LINK_SPAN, LINK_TOLERANCE = 3.8, 0.2

N_CA, CA_C, C_N, C_O, CA_CB = 1.459, 1.525, 1.331, 1.231, 1.530
N_CA_C, CA_C_N, C_N_CA, CA_C_O = 110.9, 116.7, 121.8, 120.4
N_CA_CB, C_CA_CB = 110.5, 110.1
# The psi given to the last oxygen of a lone residue, which no neighbour tells.
_EXTENDED_PSI = 135.0


def _norm(x: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt((x * x).sum(-1)))


def _unit(x: FloatArray) -> FloatArray:
    # Coincident atoms (a noisy frame) give a zero vector, not a division by zero.
    length = _norm(x)[..., None]
    return np.asarray(x / np.where(length > 0, length, 1.0))


def measure_angle(a: ArrayLike, b: ArrayLike, c: ArrayLike) -> FloatArray:
    """Return the angle at ``b`` between ``a`` and ``c``, in degrees.

    Parameters
    ----------
    a, b, c
        (..., xyz), positions that broadcast together.

    Examples
    --------
    >>> float(measure_angle([1, 0, 0], [0, 0, 0], [0, 2, 0]))
    90.0
    """
    a, b, c = (np.asarray(x, dtype=float) for x in (a, b, c))
    u, v = a - b, c - b
    return np.asarray(np.degrees(np.arctan2(_norm(np.cross(u, v)), (u * v).sum(-1))))


def measure_dihedral(a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike) -> FloatArray:
    """Return the torsion about ``b``–``c`` in degrees, in (−180, 180], positive clockwise (IUPAC).

    Parameters
    ----------
    a, b, c, d
        (..., xyz), positions that broadcast together.
    """
    a, b, c, d = (np.asarray(x, dtype=float) for x in (a, b, c, d))
    axis = c - b
    left, right = np.cross(b - a, axis), np.cross(axis, d - c)
    sine = (np.cross(left, right) * _unit(axis)).sum(-1)
    return np.asarray(np.degrees(np.arctan2(sine, (left * right).sum(-1))))


def place_atom(
    a: ArrayLike, b: ArrayLike, c: ArrayLike, bond: ArrayLike, angle: ArrayLike, torsion: ArrayLike
) -> FloatArray:
    """Place atom d from three others: ``|cd|`` = bond, angle bcd, torsion abcd (degrees).

    Parameters
    ----------
    a, b, c
        (..., xyz), positions in Å.
    bond, angle, torsion
        Å, degrees and degrees; they broadcast with the positions' leading axes.

    Returns
    -------
    numpy.ndarray
        (..., xyz), the position of d in Å.
    """
    a, b, c = (np.asarray(x, dtype=float) for x in (a, b, c))
    bond = np.asarray(bond, dtype=float)[..., None]
    angle = np.radians(np.asarray(angle, dtype=float))[..., None]
    torsion = np.radians(np.asarray(torsion, dtype=float))[..., None]
    along = _unit(c - b)
    normal = _unit(np.cross(b - a, along))
    across = np.cross(normal, along)
    return np.asarray(
        c
        + bond
        * (
            -np.cos(angle) * along
            + np.sin(angle) * (np.cos(torsion) * across + np.sin(torsion) * normal)
        )
    )


def build_backbone(phi: ArrayLike, psi: ArrayLike, omega: ArrayLike = 180.0) -> FloatArray:
    """Build an ideal backbone from its torsions.

    Bond lengths and angles are the median ones of the Protein Data Bank; the first N is at the
    origin.

    Parameters
    ----------
    phi, psi, omega
        (residue,) or scalars that broadcast, degrees. ``omega[i]`` is the link from residue i − 1
        to i, as in :func:`backbone_dihedrals`; the first phi and omega have no effect.

    Returns
    -------
    numpy.ndarray
        (residue, 4, 3), N, CA, C and O in Å.

    Examples
    --------
    >>> helix = build_backbone(np.full(12, -62.0), -42.0)
    >>> helix.shape
    (12, 4, 3)
    >>> phi, psi, omega = backbone_dihedrals(helix)
    >>> round(float(psi[3]), 3)
    -42.0
    """
    phi, psi, omega = np.broadcast_arrays(np.atleast_1d(np.asarray(phi, dtype=float)), psi, omega)
    length = len(phi)
    atoms = np.zeros((length, 3, 3))
    bend = np.radians(180.0 - N_CA_C)
    atoms[0, 1] = (N_CA, 0.0, 0.0)
    atoms[0, 2] = atoms[0, 1] + CA_C * np.array([np.cos(bend), np.sin(bend), 0.0])
    for i in range(1, length):
        n, ca, c = atoms[i - 1]
        atoms[i, 0] = place_atom(n, ca, c, C_N, CA_C_N, psi[i - 1])
        atoms[i, 1] = place_atom(ca, c, atoms[i, 0], N_CA, C_N_CA, omega[i])
        atoms[i, 2] = place_atom(c, atoms[i, 0], atoms[i, 1], CA_C, N_CA_C, phi[i])
    oxygen = place_oxygen(atoms)
    oxygen[-1] = place_atom(atoms[-1, 0], atoms[-1, 1], atoms[-1, 2], C_O, CA_C_O, psi[-1] + 180.0)
    return np.concatenate([atoms, oxygen[:, None]], axis=1)


def find_links(coordinates: ArrayLike) -> NDArray[np.bool_]:
    """Tell which residues are linked to the next one, by geometry.

    Parameters
    ----------
    coordinates
        (..., residue, atom, xyz) with at least N, CA, C; Å.

    Returns
    -------
    numpy.ndarray
        (..., residue − 1) bool, True where C–N and CA–CA are as short as a peptide link needs.
        A position that is not finite links nothing.
    """
    x = np.asarray(coordinates, dtype=float)
    peptide = _norm(x[..., 1:, 0, :] - x[..., :-1, 2, :])
    alpha = _norm(x[..., 1:, 1, :] - x[..., :-1, 1, :])
    return np.asarray((peptide <= MAX_PEPTIDE_BOND) & (alpha <= MAX_CA_DISTANCE))


def _linked(x: FloatArray, residue_index: ArrayLike | None) -> NDArray[np.bool_]:
    """(..., residue − 1) bool, from the residue index where there is one, else by geometry."""
    if residue_index is None:
        return find_links(x)
    linked = _consecutive(x.shape[-3], residue_index)
    return np.broadcast_to(linked, (*x.shape[:-3], len(linked)))


def place_oxygen(coordinates: ArrayLike, residue_index: ArrayLike | None = None) -> FloatArray:
    """Place the carbonyl oxygens in the planes of the peptide links.

    Within a chain O lies in the plane of CA, C and the next N, trans to that N's CA. At the end of
    a chain that plane is free; O then takes the psi of the residue before, so that a helix ends as
    a helix.

    Parameters
    ----------
    coordinates
        (..., residue, 3 or more, xyz), N, CA, C first; Å.
    residue_index
        (residue,), +1 where two residues are linked. Without it, links are found by geometry.

    Returns
    -------
    numpy.ndarray
        (..., residue, xyz), Å.
    """
    x = np.asarray(coordinates, dtype=float)
    n, ca, c = x[..., 0, :], x[..., 1, :], x[..., 2, :]
    length = x.shape[-3]
    torsion = np.full(x.shape[:-2], _EXTENDED_PSI + 180.0)
    linked = np.zeros(x.shape[:-2], dtype=bool)
    if length > 1:
        linked[..., :-1] = _linked(x, residue_index)
        psi = measure_dihedral(n[..., :-1, :], ca[..., :-1, :], c[..., :-1, :], n[..., 1:, :])
        own = linked[..., :-1]
        torsion[..., :-1] = np.where(own, psi + 180.0, torsion[..., :-1])
        ends = ~linked[..., 1:] & own
        torsion[..., 1:] = np.where(ends, psi + 180.0, torsion[..., 1:])
    return place_atom(n, ca, c, C_O, CA_C_O, torsion)


def place_cbeta(coordinates: ArrayLike, *, handedness: Handedness = "L") -> FloatArray:
    """Place idealised beta carbons.

    CB stands 1.53 Å from CA, 110.5° from N and 110.1° from C, on the side that makes the residue
    an L- or a D-amino acid.

    Parameters
    ----------
    coordinates
        (..., residue, 3 or more, xyz), N, CA, C first; Å.
    handedness
        ``"L"`` for natural, ``"D"`` for mirror-image proteins.

    Returns
    -------
    numpy.ndarray
        (..., residue, xyz), Å.

    Raises
    ------
    InputError
        The handedness is neither L nor D.
    """
    x = np.asarray(coordinates, dtype=float)
    ca = x[..., 1, :]
    n, c = _unit(x[..., 0, :] - ca), _unit(x[..., 2, :] - ca)
    cosine = np.clip((n * c).sum(-1, keepdims=True), -0.99, 0.99)
    to_n, to_c = np.cos(np.radians(N_CA_CB)), np.cos(np.radians(C_CA_CB))
    # Along n and c, solve the two cosines; what is left of the unit length points out of the plane.
    along_n = (to_n - to_c * cosine) / (1.0 - cosine**2)
    along_c = (to_c - to_n * cosine) / (1.0 - cosine**2)
    in_plane = along_n * n + along_c * c
    rest = 1.0 - (in_plane**2).sum(-1, keepdims=True)
    out = get_sign(handedness) * np.sqrt(np.clip(rest, 0.0, None))
    return np.asarray(ca + CA_CB * _unit(in_plane + out * _unit(np.cross(n, c))))


def bond_lengths(
    coordinates: ArrayLike, residue_index: ArrayLike | None = None
) -> dict[str, FloatArray]:
    """Measure the backbone's bonds.

    Parameters
    ----------
    coordinates
        (residue, 3 or more, xyz), N, CA, C first; Å.
    residue_index
        (residue,); C–N is measured where it rises by one. Without it every neighbour counts.

    Returns
    -------
    dict
        ``"N-CA"`` and ``"CA-C"`` (residue,), ``"C-N"`` (links,), all in Å.
    """
    x = np.asarray(coordinates, dtype=float)
    links = _consecutive(len(x), residue_index)
    return {
        "N-CA": _norm(x[:, 1] - x[:, 0]),
        "CA-C": _norm(x[:, 2] - x[:, 1]),
        "C-N": _norm(x[1:, 0] - x[:-1, 2])[links],
    }


def bond_angles(
    coordinates: ArrayLike, residue_index: ArrayLike | None = None
) -> dict[str, FloatArray]:
    """Measure the backbone's bond angles, in degrees.

    Parameters
    ----------
    coordinates
        (residue, 3 or more, xyz), N, CA, C first; Å.
    residue_index
        (residue,); links are where it rises by one. Without it every neighbour counts.

    Returns
    -------
    dict
        ``"N-CA-C"`` (residue,), ``"CA-C-N"`` and ``"C-N-CA"`` (links,), in degrees.
    """
    x = np.asarray(coordinates, dtype=float)
    links = _consecutive(len(x), residue_index)
    before, after = x[:-1][links], x[1:][links]
    return {
        "N-CA-C": measure_angle(x[:, 0], x[:, 1], x[:, 2]),
        "CA-C-N": measure_angle(before[:, 1], before[:, 2], after[:, 0]),
        "C-N-CA": measure_angle(before[:, 2], after[:, 0], after[:, 1]),
    }


def _consecutive(length: int, residue_index: ArrayLike | None) -> NDArray[np.bool_]:
    if residue_index is None:
        return np.ones(max(length - 1, 0), dtype=bool)
    return np.asarray(np.diff(np.asarray(residue_index)) == 1)


def backbone_dihedrals(
    coordinates: ArrayLike, residue_index: ArrayLike | None = None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Measure phi, psi and omega.

    phi = C(i−1) N CA C, psi = N CA C N(i+1), omega = CA(i−1) C(i−1) N CA.

    Parameters
    ----------
    coordinates
        (..., residue, 3 or more, xyz), N, CA, C first; Å.
    residue_index
        (residue,), +1 where two residues are linked. Without it every neighbour counts.

    Returns
    -------
    tuple of numpy.ndarray
        phi, psi, omega, each (..., residue) in degrees; NaN where a chain begins or ends.
    """
    x = np.asarray(coordinates, dtype=float)
    shape = x.shape[:-2]
    phi, psi, omega = (np.full(shape, np.nan) for _ in range(3))
    before, after = x[..., :-1, :, :], x[..., 1:, :, :]
    n, ca, c = (before[..., i, :] for i in range(3))
    next_n, next_ca, next_c = (after[..., i, :] for i in range(3))
    links = _consecutive(shape[-1], residue_index)
    phi[..., 1:] = np.where(links, measure_dihedral(c, next_n, next_ca, next_c), np.nan)
    psi[..., :-1] = np.where(links, measure_dihedral(n, ca, c, next_n), np.nan)
    omega[..., 1:] = np.where(links, measure_dihedral(ca, c, next_n, next_ca), np.nan)
    return phi, psi, omega


def radius_of_gyration(points: ArrayLike) -> FloatArray:
    """Return sqrt(mean ‖x − mean(x)‖²) in Å over the second to last axis.

    Parameters
    ----------
    points
        (..., residue, xyz), usually the CA positions; Å.
    """
    x = np.asarray(points, dtype=float)
    return np.asarray(np.sqrt(((x - x.mean(-2, keepdims=True)) ** 2).sum(-1).mean(-1)))


def count_contacts(
    alpha: ArrayLike, *, cutoff: float = 8.0, separation: int = 6
) -> NDArray[np.int64]:
    """Count each residue's CA contacts: nearer than ``cutoff`` Å, ``separation`` or more apart.

    Parameters
    ----------
    alpha
        (residue, xyz), CA positions in Å.

    Returns
    -------
    numpy.ndarray
        (residue,) int64. Its mean counts every pair from both sides, as reference tables do.
    """
    x = np.asarray(alpha, dtype=float)
    near = _norm(x[:, None] - x[None]) < cutoff
    place = np.arange(len(x))
    near &= np.abs(place[:, None] - place[None]) >= separation
    return np.asarray(near.sum(1), dtype=np.int64)
