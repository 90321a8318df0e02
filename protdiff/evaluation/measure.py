"""Measuring the quality of one backbone, by geometry and hydrogen bonds alone."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protdiff.errors import InputError
from protdiff.evaluation.clashes import count_clashes
from protdiff.evaluation.quality import Quality
from protdiff.evaluation.secondary_structure import (
    assign_secondary_structure,
    find_helices,
    get_runs,
)
from protdiff.handedness import Handedness, get_sign
from protdiff.structure.backbone import Backbone
from protdiff.structure.geometry import (
    backbone_dihedrals,
    bond_angles,
    bond_lengths,
    count_contacts,
    find_links,
    measure_dihedral,
    place_oxygen,
    radius_of_gyration,
)
from protdiff.structure.numbering import CHAIN_JUMP, index_steps
from protdiff.structure.size import expect_radius

__all__ = ["index_by_number", "measure_backbone", "measure_quality", "measure_recorded"]

Array = NDArray[np.floating]

C_N_LENGTH, C_N_WIDTH = 1.33, 0.06
CA_CA_LENGTH, CA_CA_WIDTH = 3.81, 0.15
"""Centre and half width, in Å, of a good peptide bond and of the step from CA to CA."""

TRANS_ABOVE = 155.0
CIS_BELOW = 30.0
"""|omega| in degrees of a planar trans and of a cis peptide bond."""

LEFT_HANDED_RUN = 4
"""So many residues in a row at left-handed helix torsions do not occur in nature."""

LARGEST_COORDINATE = 990.0
"""Å from the origin; beyond it lies a sampler that has blown up, and the PDB format ends."""

CONTACT_ORDER_CUTOFF = 8.0
CONTACT_ORDER_SEPARATION = 3
"""CA within so many Å, and so many residues apart, are a contact of the contact order."""


def measure_quality(
    coordinates: NDArray[np.floating],
    residue_index: NDArray[np.integer] | None = None,
    *,
    handedness: Handedness = "L",
) -> Quality:
    """Measure a backbone.

    Parameters
    ----------
    coordinates
        (residue, 4, 3), Å, atoms in the order N, CA, C, O; or (residue, 3, 3) without O, which is
        then placed from the peptide plane.
    residue_index
        (residue,) positions along the chain. Neighbours whose positions differ by one are linked;
        a jump is a known chain break and no fault. Default: one unbroken chain.
    handedness
        ``"D"`` judges a D-protein: its mirror image is measured, so that the same native values
        and checks apply.

    Returns
    -------
    Quality

    Raises
    ------
    InputError
        The coordinates or the index have another shape, or the handedness is neither L nor D.
    """
    xyz = np.array(coordinates, dtype=np.float64)
    if xyz.ndim != 3 or xyz.shape[1] not in (3, 4) or xyz.shape[2] != 3:
        raise InputError(f"coordinates have shape {xyz.shape}; expected (residue, 3 or 4, 3)")
    length = len(xyz)
    index = np.arange(length) if residue_index is None else np.asarray(residue_index, np.int64)
    if index.shape != (length,):
        raise InputError(f"residue_index has shape {index.shape}; expected ({length},)")
    xyz[..., 0] *= get_sign(handedness)
    if length == 0 or not (np.abs(xyz) <= LARGEST_COORDINATE).all():
        return _nothing_measured(length)
    if xyz.shape[1] == 3:
        xyz = np.concatenate([xyz, place_oxygen(xyz, index)[:, None]], axis=1)
    numbers: dict[str, Any] = {"length": length, "finite": True}
    numbers |= _measure_bonds(xyz, index) | _measure_torsions(xyz, index)
    numbers |= _measure_helices(xyz, index) | _measure_packing(xyz, index)
    return Quality(**numbers)


def measure_backbone(backbone: Backbone, *, handedness: Handedness = "L") -> Quality:
    """Measure a backbone that was read from a file.

    Its residues are linked by :func:`index_by_number`.

    Parameters
    ----------
    backbone
        The backbone.
    handedness
        As in :func:`measure_quality`.
    """
    index = index_by_number(backbone)
    return measure_quality(backbone.coordinates, index, handedness=handedness)


def measure_recorded(
    backbone: Backbone, record: Mapping[str, Any], *, handedness: Handedness | None = None
) -> Quality:
    """Measure a design that was read from a file, as :func:`measure_backbone`.

    Parameters
    ----------
    backbone
        The design.
    record
        Its line of the manifest, which says whether it is an L- or a D-protein and how near it came
        to its target; empty without one.
    handedness
        Judge it as this, whatever the line says.

    Raises
    ------
    InputError
        The handedness is neither L nor D.
    """
    quality = measure_backbone(backbone, handedness=handedness or record.get("handedness", "L"))
    recorded = record.get("quality")
    gap = recorded.get("partner_gap") if isinstance(recorded, Mapping) else None
    if not isinstance(gap, int | float):
        return quality
    return dataclasses.replace(quality, partner_gap=float(gap))


def index_by_number(backbone: Backbone) -> NDArray[np.int64]:
    """Return (residue,) positions along the chain of a backbone that was read from a file.

    Reading finds chain breaks by geometry, so a design that is broken by mistake would look like
    one with a known break. Here residues are linked if the file numbers them one after the other,
    or if they are bonded, whatever their numbers: antibodies are numbered with gaps.
    """
    step = np.diff(backbone.residue_number)
    # Insertion codes repeat a number, and a chain that is numbered backwards is odd, not broken.
    step = np.where((step < 1) | find_links(backbone.coordinates), 1, step)
    step = np.where(backbone.chain_id[1:] == backbone.chain_id[:-1], step, CHAIN_JUMP)
    return index_steps(step)


def _measure_bonds(xyz: Array, index: NDArray[np.int64]) -> dict[str, float]:
    """Measure the bonds, angles and steps, within residues and across the links between them."""
    lengths, angles = bond_lengths(xyz, index), bond_angles(xyz, index)
    linked = np.diff(index) == 1
    step = np.linalg.norm(np.diff(xyz[:, 1], axis=0), axis=-1)[linked]
    omega = backbone_dihedrals(xyz, index)[2][1:][linked]
    c_n = lengths["C-N"]
    c_n_good = np.abs(c_n - C_N_LENGTH) <= C_N_WIDTH
    step_good = np.abs(step - CA_CA_LENGTH) <= CA_CA_WIDTH
    trans = np.abs(omega) > 90.0
    return {
        "links": _mean(c_n_good & step_good),
        "links_c_n": _mean(c_n_good),
        "links_ca_ca": _mean(step_good),
        "longest_c_n": float(c_n.max(initial=0.0)),
        "longest_ca_ca": float(step.max(initial=0.0)),
        **_mean_and_sd("n_ca", lengths["N-CA"]),
        **_mean_and_sd("ca_c", lengths["CA-C"]),
        **_mean_and_sd("c_n", c_n),
        **_mean_and_sd("ca_ca", step[trans]),
        **_mean_and_sd("n_ca_c", angles["N-CA-C"]),
        **_mean_and_sd("ca_c_n", angles["CA-C-N"]),
        **_mean_and_sd("c_n_ca", angles["C-N-CA"]),
        **_mean_and_sd("omega", omega[trans] % 360.0 - 180.0),
        "planar": _mean(np.abs(omega) > TRANS_ABOVE),
        "cis": _mean(np.abs(omega) < CIS_BELOW),
    }


def _measure_torsions(xyz: Array, index: NDArray[np.int64]) -> dict[str, float | int]:
    """Place the residues on the Ramachandran plot."""
    phi, psi, _ = backbone_dihedrals(xyz, index)
    both = np.isfinite(phi) & np.isfinite(psi)
    runs = get_runs(both & (phi > 30) & (phi < 110) & (psi > -20) & (psi < 90))
    return {
        "ramachandran": _mean(is_favoured(phi[both], psi[both])),
        "phi_positive": _mean(phi[np.isfinite(phi)] > 0.0),
        "left_handed_runs": sum(
            stop - start for start, stop in runs if stop - start >= LEFT_HANDED_RUN
        ),
    }


def is_favoured(phi: Array, psi: Array) -> NDArray[np.bool_]:
    """Tell which torsions (degrees) lie in the alpha, beta or left-handed box of the plot.

    The boxes hold 93–95 % of native residues and 23.7 % of uniform random torsions.

    Examples
    --------
    >>> is_favoured(np.array([-60.0, -120.0, 60.0]), np.array([-45.0, 130.0, -120.0]))
    array([ True,  True, False])
    """
    alpha = (phi > -160) & (phi < -45) & (psi > -75) & (psi < 15)
    beta = (phi > -180) & (phi < -45) & ((psi > 80) | (psi < -165))
    left = (phi > 40) & (phi < 100) & (psi > -5) & (psi < 75)
    favoured: NDArray[np.bool_] = alpha | beta | left
    return favoured


def _measure_helices(xyz: Array, index: NDArray[np.int64]) -> dict[str, float]:
    """Measure helices of both hands by the CA trace, and secondary structure by H bonds."""
    ca = xyz[:, 1]
    quartet = np.flatnonzero(index[3:] - index[:-3] == 3)
    turn = np.full(max(len(ca) - 3, 0), np.nan)
    rise = np.full_like(turn, np.nan)
    four = [ca[quartet + i] for i in range(4)]
    turn[quartet] = measure_dihedral(*four)
    rise[quartet] = np.linalg.norm(four[3] - four[0], axis=-1)
    structure = assign_secondary_structure(xyz)
    return {
        "helix_right": _mean(find_helices(turn, rise)[: len(ca)]),
        "helix_left": _mean(find_helices(turn, rise, handedness=-1)[: len(ca)]),
        "helix": _mean(structure == "H"),
        "strand": _mean(structure == "E"),
    }


def _measure_packing(xyz: Array, index: NDArray[np.int64]) -> dict[str, float]:
    """Measure clashes, radius of gyration and contacts."""
    length, ca = len(xyz), xyz[:, 1]
    rg = float(radius_of_gyration(ca))
    return {
        "clashes": 100.0 * count_clashes(xyz, index) / length,
        "rg": rg,
        "rg_ratio": rg / expect_radius(length),
        "contacts": _mean(count_contacts(ca)),
        "contact_order": measure_contact_order(ca, index),
    }


def measure_contact_order(ca: Array, index: NDArray[np.integer]) -> float:
    r"""Measure the relative contact order of the chains of a backbone.

    .. math::  \mathrm{RCO} = \frac{1}{N} \sum_{(i, j)} \frac{|i - j|}{L}

    over the N pairs of residues of one chain, at least three apart, whose CA are within 8 Å, where
    L is the number of residues of that chain. Plaxco et al. take all pairs with heavy atoms within
    6 Å; a backbone has no side chains, and CA within 8 Å is the usual stand-in.

    Parameters
    ----------
    ca
        (residue, 3), Å.
    index
        (residue,) positions along the chain; a jump of 200 or more begins another chain.

    Returns
    -------
    float
        Between 0 and 1; NaN without a contact.

    References
    ----------
    K. W. Plaxco, K. T. Simons, D. Baker, Contact order, transition state placement and the
    refolding rates of single domain proteins, 1998.
    """
    chain = np.concatenate([[0], np.cumsum(np.diff(index) >= CHAIN_JUMP)])
    first, second = np.triu_indices(len(ca), k=CONTACT_ORDER_SEPARATION)
    distance = np.linalg.norm(ca[first] - ca[second], axis=-1)
    touching = (distance < CONTACT_ORDER_CUTOFF) & (chain[first] == chain[second])
    length = np.bincount(chain)[chain[first[touching]]]
    return _mean((second - first)[touching] / length)


def _nothing_measured(length: int) -> Quality:
    """Return the Quality of a backbone that cannot be measured."""
    numbers = {field.name: math.nan for field in dataclasses.fields(Quality)}
    return Quality(**{**numbers, "length": length, "finite": False, "left_handed_runs": 0})  # type: ignore[arg-type]


def _mean(values: NDArray[Any]) -> float:
    """Return the mean, NaN of nothing (without numpy's warning)."""
    return float(np.mean(values)) if len(values) else math.nan


def _mean_and_sd(name: str, values: Array) -> dict[str, float]:
    sd = float(np.std(values)) if len(values) else math.nan
    return {name: _mean(values), f"{name}_sd": sd}
