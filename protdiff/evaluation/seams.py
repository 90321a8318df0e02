"""How well a motif is joined to what was designed around it.

A motif that is set into a design as a rigid body can be exact and of no use: the bond by which it
hangs on its neighbour may be torn, the angles at that bond strained, the chain led through it. So
the links between a given and a designed residue are held to the bonds and angles of natural
proteins, at the four standard deviations beyond which a structure's validation counts an outlier,
and clashes between what is given and what is designed are counted.

References
----------
Engh and Huber 1991, "Accurate bond and angle parameters for X-ray protein structure refinement".
Williams et al. 2018, "MolProbity: more and better reference data for improved all-atom structure
validation" (outliers at four standard deviations).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protdiff.evaluation.clashes import count_clashes
from protdiff.structure.geometry import measure_angle, place_oxygen

__all__ = ["SEAM_BANDS", "Seams", "measure_seams"]

SEAM_BANDS = {"c_n": (1.331, 0.06), "ca_c_n": (116.7, 7.6), "c_n_ca": (121.8, 8.4)}
"""Centre and half width: C–N in Å as of every link, angles in degrees, four native deviations."""


@dataclass(frozen=True)
class Seams:
    """The links between given and designed residues; NaN where there is none."""

    seams: int
    """How many such links there are."""
    sound_seams: int
    """Of how many of them the bond and both angles are in their bands."""
    seam_c_n: float
    """The C–N bond (Å) of the link where it is furthest from the centre of its band."""
    seam_ca_c_n: float
    """The same of the angle CA–C–N, in degrees."""
    seam_c_n_ca: float
    """The same of the angle C–N–CA, in degrees."""
    motif_clashes: int
    """Clashing pairs of atoms, one of the motif and one of what was designed."""

    @property
    def sound(self) -> bool:
        """Whether every link is in its bands and nothing clashes with the motif."""
        return self.sound_seams == self.seams and self.motif_clashes == 0

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as JSON knows them: rounded, None for NaN."""
        return {
            name: round(value, 3) if math.isfinite(value) else None
            for name, value in vars(self).items()
        }


def measure_seams(
    coordinates: NDArray[np.floating],
    motif_mask: NDArray[np.bool_],
    residue_index: NDArray[np.integer] | None = None,
) -> Seams:
    """Measure how the motif is joined to a design.

    Parameters
    ----------
    coordinates
        (residue, 4, 3), Å, N, CA, C, O; or (residue, 3, 3) without O, which is then placed.
    motif_mask
        (residue,) True where the residue is given.
    residue_index
        (residue,) positions along the chain; a jump is a chain break and no seam. Default: one
        unbroken chain.

    Returns
    -------
    Seams
        What cannot be measured, as coordinates that are not finite, counts as unsound.
    """
    xyz = np.asarray(coordinates, np.float64)
    index = np.arange(len(xyz)) if residue_index is None else np.asarray(residue_index)
    seam = np.flatnonzero((motif_mask[1:] != motif_mask[:-1]) & (np.diff(index) == 1))
    if not np.isfinite(xyz).all():
        return Seams(len(seam), 0, math.nan, math.nan, math.nan, 0)
    if xyz.shape[1] == 3:
        xyz = np.concatenate([xyz, place_oxygen(xyz, index)[:, None]], axis=1)
    ca, c, n, next_ca = xyz[seam, 1], xyz[seam, 2], xyz[seam + 1, 0], xyz[seam + 1, 1]
    measured = {
        "c_n": np.linalg.norm(n - c, axis=-1),
        "ca_c_n": measure_angle(ca, c, n),
        "c_n_ca": measure_angle(c, n, next_ca),
    }
    sound = np.ones(len(seam), dtype=bool)
    worst = {}
    for name, values in measured.items():
        centre, width = SEAM_BANDS[name]
        sound &= np.abs(values - centre) <= width
        worst[name] = float(values[np.abs(values - centre).argmax()]) if len(seam) else math.nan
    between = count_clashes(xyz, index)
    for part in (motif_mask, ~motif_mask):
        between -= count_clashes(xyz[part], index[part])
    return Seams(
        len(seam), int(sound.sum()), worst["c_n"], worst["ca_c_n"], worst["c_n_ca"], between
    )
