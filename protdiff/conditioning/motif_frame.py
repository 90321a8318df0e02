"""The frame of a motif's input, as each design of a batch holds the motif.

Where a design has the motif, it has all that stands in a known pose to the motif: the target that
the motif binds, in the complex that both are of. A motif of several rigid groups has as many
frames; the first group's is meant, in which the finished design is written too.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from protdiff.conditioning.docking import Pose
from protdiff.conditioning.posed_motif import PosedMotif
from protdiff.conditioning.superposition import fit_rotation

__all__ = ["MotifFrame"]


@dataclass(frozen=True, eq=False)
class MotifFrame:
    """What brings the input's frame into each design.

    Attributes
    ----------
    motif
        The motif; the residues of its group 1 carry the frame.
    origin
        ``(batch, 1, 3)``, float64, Å: the point of the input's frame that was taken for the origin
        of the positions of ``motif``.
    scale
        Å per model unit.
    """

    motif: PosedMotif
    origin: Tensor
    scale: float

    @property
    def carries(self) -> Tensor:
        """``(batch, residue)``, True where the motif carries the frame."""
        return self.motif.group == 1

    @torch.no_grad()
    def find_pose(self, clean: Tensor) -> Pose:
        """Return the pose of the input's frame, in Å, where the motif fits clean backbones best.

        Parameters
        ----------
        clean
            ``(batch, residue, atom, 3)``, model units.
        """
        given, posed = self.motif.positions.to(clean), self.motif.pose(clean)
        weight = self.carries[:, :, None, None].to(clean)
        count = weight.sum(dim=(1, 2)) * clean.shape[2]
        start = (given * weight).sum(dim=(1, 2)) / count
        end = (posed * weight).sum(dim=(1, 2)) / count
        moving = ((given - start[:, None, None]) * weight).flatten(1, 2)
        turn = fit_rotation(moving.mT @ (posed - end[:, None, None]).flatten(1, 2))
        place = (end - (start[:, None] @ turn)[:, 0]) * self.scale
        return Pose(turn.mT, self.origin, place)
