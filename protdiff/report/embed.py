"""Designs as JSON that a page can hold: coordinates as 16-bit integers in base64.

A number takes two bytes instead of the eight characters of a PDB file. The unit is 0.001 Å, that
of the PDB format, as long as the design reaches no further than 32 Å from its middle; for larger
ones it grows so that the design fits.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protdiff.report.collect import ReportDesign, Trajectory
from protdiff.report.native import get_native_band
from protdiff.structure import Backbone

__all__ = ["COLUMNS", "describe_columns", "embed_design", "pack", "unpack"]

FINEST = 0.001
"""Å: the unit of packed coordinates of proteins of up to 64 Å across."""

COARSE = 0.01
"""Å: the unit of the frames of a trajectory."""

LARGEST_INTEGER = 32767
NOT_A_NUMBER = -32768
"""Stands for NaN among packed angles."""

COLUMNS: dict[str, tuple[str, int, str]] = {
    "length": ("Residues", 0, "Number of residues"),
    "helix": ("Helix", 2, "Share of residues in helices, by hydrogen bonds"),
    "strand": ("Strand", 2, "Share of residues in strands, by hydrogen bonds"),
    "rg": ("Rg (Å)", 1, "Radius of gyration of the alpha carbons"),
    "rg_ratio": ("Rg / law", 2, "Rg over 2.2 L^0.38 Å, the law of globular proteins"),
    "contacts": ("Contacts", 2, "CA contacts within 8 Å, six or more apart, per residue"),
    "links": ("Links", 2, "Share of peptide links with C–N and CA–CA in band"),
    "ramachandran": ("Ramach.", 2, "Share of residues in the favoured boxes"),
    "phi_positive": ("φ > 0", 2, "Share of residues with positive φ"),
    "clashes": ("Clashes", 1, "Clashing atom pairs per 100 residues"),
}
"""Columns that the table shows: heading, digits, explanation. The CSV has every quantity."""

MOTIF_RMSD = "motif_rmsd"


def describe_columns(designs: Sequence[ReportDesign]) -> list[dict[str, Any]]:
    """Return the columns of the table, shown ones first, with the native band of each."""
    columns = [
        {"key": key, "label": label, "digits": digits, "help": text, "shown": True}
        for key, (label, digits, text) in COLUMNS.items()
    ]
    if any(_is_number(design.record.get(MOTIF_RMSD)) for design in designs):
        text = "RMSD of the motif's backbone to the input"
        columns.append(
            {"key": MOTIF_RMSD, "label": "Motif (Å)", "digits": 3, "help": text, "shown": True}
        )
    for key, value in designs[0].quality.to_dict().items():
        if key not in COLUMNS and type(value) in (int, float, type(None)):
            columns.append({"key": key, "label": key, "digits": 4, "help": "", "shown": False})
    return columns


def embed_design(design: ReportDesign, columns: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return a design as JSON knows it, for ``assets/data.js`` to unpack."""
    backbone = design.backbone
    numbers = design.quality.to_dict()
    motif_rmsd = design.record.get(MOTIF_RMSD)
    numbers[MOTIF_RMSD] = motif_rmsd if _is_number(motif_rmsd) else None
    seed, index = design.record.get("seed"), design.record.get("index")
    return {
        "name": design.name,
        "file": design.file,
        "seed": seed if type(seed) is int else None,
        "index": index if type(index) is int else None,
        "passes": design.quality.passes,
        "failed": list(design.quality.failed),
        "values": [numbers[column["key"]] for column in columns],
        "bands": [
            get_native_band(column["key"], len(backbone)) if column["shown"] else None
            for column in columns
        ],
        "length": len(backbone),
        "residues": _describe_residues(backbone),
        "names": _describe_names(backbone),
        "starts": backbone.segment_starts,
        "ss": design.secondary_structure,
        "motif": np.flatnonzero(backbone.motif_mask).tolist(),
        "xyz": pack(backbone.coordinates, FINEST),
        "axes": [round(value, 5) for value in find_principal_axes(backbone).ravel().tolist()],
        "torsions": _pack_angles(np.stack([design.phi, design.psi], axis=-1)),
        "trajectory": _embed_trajectory(design.trajectory),
    }


def pack(coordinates: NDArray[np.floating], unit: float) -> dict[str, Any]:
    """Pack positions about their middle into 16-bit integers.

    Parameters
    ----------
    coordinates
        (..., 3), Å.
    unit
        Å; a coarser one is taken where the positions reach too far.

    Returns
    -------
    dict
        ``unit`` and ``centre`` in Å, ``data`` in base64, little-endian, C order.
    """
    x = np.asarray(coordinates, dtype=np.float64)
    flat = x.reshape(-1, 3)
    centre = ((flat.min(0) + flat.max(0)) / 2.0).round(3)
    reach = float(np.abs(x - centre).max())
    # A coarser unit is a power of two of the finest: a short number, and exact in binary.
    while reach / unit > LARGEST_INTEGER:
        unit *= 2.0
    integers = ((x - centre) / unit).round().astype("<i2")
    data = base64.b64encode(integers.tobytes()).decode("ascii")
    return {"unit": unit, "centre": centre.tolist(), "data": data}


def unpack(packed: dict[str, Any]) -> NDArray[np.float64]:
    """Undo :func:`pack`, as the page does it: (point, 3), Å.

    Examples
    --------
    >>> unpack(pack(np.array([[0.0, 1.5, -2.25]]), 0.001)).tolist()
    [[0.0, 1.5, -2.25]]
    """
    integers = np.frombuffer(base64.b64decode(packed["data"]), dtype="<i2").reshape(-1, 3)
    positions: NDArray[np.float64] = integers * packed["unit"] + np.array(packed["centre"])
    return positions


def find_principal_axes(backbone: Backbone) -> NDArray[np.float64]:
    """Return the rotation (rows: right, up, towards the eye) that shows a backbone at its widest.

    The longest axis of the alpha carbons lies from left to right, the shortest along the view.
    """
    alpha = backbone.coordinates[:, 1].astype(np.float64)
    centred = alpha - alpha.mean(0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    _, up, right = vectors.T
    # The first residue goes left and up; a rotation has determinant 1.
    right = -right if centred[0] @ right > 0 else right
    up = -up if centred[0] @ up < 0 else up
    return np.stack([right, up, np.cross(right, up)])


def _describe_residues(backbone: Backbone) -> list[list[Any]]:
    """Write the author's numbering as runs: [chain, first number, insertion code, count]."""
    runs: list[list[Any]] = []
    rows = zip(
        backbone.chain_id.tolist(),
        backbone.residue_number.tolist(),
        backbone.insertion_code.tolist(),
        strict=True,
    )
    for chain, number, code in rows:
        last = runs[-1] if runs else None
        if last and not code and last[0] == chain and not last[2] and number == last[1] + last[3]:
            last[3] += 1
        else:
            runs.append([chain, number, code, 1])
    return runs


def _describe_names(backbone: Backbone) -> list[str]:
    """Return the three-letter names, a single one where all are the same."""
    names: list[str] = backbone.residue_name.tolist()
    return names[:1] if len(set(names)) == 1 else names


def _pack_angles(degrees: NDArray[np.floating]) -> str:
    """Pack angles in tenths of a degree."""
    tenths = np.where(np.isfinite(degrees), np.nan_to_num(degrees) * 10.0, NOT_A_NUMBER)
    return base64.b64encode(tenths.round().astype("<i2").tobytes()).decode("ascii")


def _embed_trajectory(trajectory: Trajectory | None) -> dict[str, Any] | None:
    if trajectory is None:
        return None
    return {
        "frames": len(trajectory.denoised),
        "noisyFrames": len(trajectory.noisy),
        "denoised": pack(trajectory.denoised, COARSE),
        "noisy": pack(trajectory.noisy, COARSE),
    }


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
