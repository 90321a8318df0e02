"""The end of a scaffold: the input's own motif in the design, sound seams, the input's frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protdiff.conditioning.relaxation import relax_designed
from protdiff.evaluation.seams import measure_seams
from protdiff.structure import Backbone, Motif, superimpose

__all__ = ["set_motif_in"]

_FURTHEST = 900.0  # Å; a frame further from the origin leaves no room in a structure file


def set_motif_in(
    motif: Motif,
    coordinates: NDArray[np.float32],
    *,
    hold: str,
    name: str,
    place: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None,
) -> tuple[Backbone, dict[str, Any]]:
    """Make the finished design of what was sampled.

    Sampling brings the motif to within a fraction of an Å of the input's geometry. With a hard hold
    the input's geometry itself is set in, each group as a rigid body, and the designed residues are
    relaxed around it; with a soft one the design stays as it was sampled. Either way it is written
    in the frame of the input: its motif, or the first group of it, stands where the input's stands;
    unless something else says where a design belongs.

    Parameters
    ----------
    motif
        The motif and its place in the design.
    coordinates
        (residue, 3, 3), as sampled, in Å.
    hold
        ``"hard"`` or ``"soft"``.
    name
        Of the design.
    place
        Brings a finished design, (residue, 3, 3) in Å, where it belongs; into the frame of the
        input, if not given.

    Returns
    -------
    backbone, notes
        The notes are those of the manifest: ``motif_rmsd`` of the design, the largest over
        ``group_rmsds``, and the ``groups`` that these are of; and under ``quality`` that of the
        sample, how far relaxation moved the designed atoms (RMSD), and the seams.
    """
    rmsds = sampled = relaxed = None
    if np.isfinite(coordinates).all():
        sampled = motif.measure_group_rmsds(coordinates)
        if hold == "hard":
            exact = motif.set_into(coordinates)
            coordinates = relax_designed(exact, motif.motif_mask, motif.residue_index)
            moved = (coordinates - exact)[~motif.motif_mask]
            relaxed = float(np.sqrt((moved**2).sum(-1).mean())) if len(moved) else 0.0
        coordinates = _move_into_frame(motif, coordinates) if place is None else place(coordinates)
        rmsds = motif.measure_group_rmsds(coordinates)
    backbone = motif.apply(coordinates, name=name)
    seams = measure_seams(backbone.coordinates, motif.motif_mask, motif.residue_index)
    return backbone, {
        "hold": hold,
        "motif_rmsd": None if rmsds is None else round(max(rmsds), 4),
        "groups": list(motif.layout.group_names),
        "group_rmsds": None if rmsds is None else [round(rmsd, 4) for rmsd in rmsds],
        "quality": {
            "motif_rmsd_sampled": None if sampled is None else round(max(sampled), 4),
            "relaxed_by": None if relaxed is None else round(relaxed, 4),
            **seams.to_dict(),
        },
    }


def _move_into_frame(motif: Motif, coordinates: NDArray[np.float32]) -> NDArray[np.float32]:
    first = motif.groups == 1
    given = motif.source.coordinates[first, :3]
    if np.abs(given).max() > _FURTHEST:
        return coordinates
    motion = superimpose(coordinates[motif.motif_positions[first]], given)
    return motion.apply(coordinates).astype(np.float32)
