r"""A partner that the motif holds: a fixed body, in its place in the complex.

Where a motif comes from a complex, its best pose in a design says where the partner stands beside
that design: nothing is docked. What is asked is that the residues around the motif keep out of the
partner and reach its hot spots,

.. math:: \log p(y \mid x_t) = -\frac{1}{2 (r^2 + \tilde u_t)} \Big[
          \sum_i d(\tilde D_i)^2 + \sum_h \max(0,\, \min_i |y_h - \tilde D_i| - g)^2 \Big],

over the alpha carbons :math:`\tilde D_i` of the mean at the size of a sample
(:mod:`~protdiff.conditioning.mean_size`), in the frame of the complex, with *d* their depth in
what the partner keeps to itself (:mod:`~protdiff.conditioning.accessible_surface`) and
:math:`y_h` those of its hot spots that the motif does not touch. The motif itself may be as near
as it is in the complex: it stands where it stands. The frame is held still in the gradient
(:mod:`~protdiff.conditioning.motif_frame`): it says where the partner is, and the partner does not
give way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from protdiff.conditioning.accessible_surface import AccessibleSurface
from protdiff.conditioning.mean_size import LOCAL_SHARE, restore_size
from protdiff.conditioning.motif_frame import MotifFrame
from protdiff.diffusion.guidance import Estimate, LikelihoodTerm

__all__ = ["HeldPartnerTerm"]

_CA = 1


@dataclass(frozen=True, eq=False)
class HeldPartnerTerm(LikelihoodTerm):
    """Log-likelihood of a partner whose pose the motif gives.

    Parameters
    ----------
    residue_mask
        ``(batch, residue)``, True where the residue exists.
    frame
        Where the frame of the complex is in each design.
    surface
        What the partner keeps to itself, Å, in the frame of the complex less ``centre``; None for
        nothing.
    hot
        y_h, ``(hot spot, 3)``, Å, in the same frame.
    centre
        ``(3,)``, float64, Å. Far from it, single precision would be lost on the distance.
    distance
        g, Å.
    tolerance
        r, Å.
    motif_touches
        Whether a hot spot that the motif touches is touched by the design.
    """

    residue_mask: Tensor
    frame: MotifFrame
    surface: AccessibleSurface | None
    hot: Tensor
    centre: Tensor
    distance: float
    tolerance: float
    motif_touches: bool = True

    def __call__(self, estimate: Estimate) -> Tensor:
        """Return the log-likelihood of each backbone, ``(batch,)``."""
        positions, variance = restore_size(estimate)
        scale = self.frame.scale
        pose = self.frame.find_pose(positions.detach())
        pose = replace(pose, origin=pose.origin - self.centre)
        alpha = pose.invert(positions[:, :, _CA] * scale)
        depth, excess = self.measure(alpha)
        squared = depth.square().sum(dim=1) + excess.square().sum(dim=1)
        spread = self.tolerance**2 + LOCAL_SHARE * variance * scale**2
        return -squared / (2 * spread)

    def measure(self, alpha: Tensor) -> tuple[Tensor, Tensor]:
        """Measure how far designs are from what is asked.

        Parameters
        ----------
        alpha
            ``(batch, residue, 3)``, alpha carbons, Å, in the frame of ``surface``.

        Returns
        -------
        Tensor, Tensor
            How deep each designed residue stands in the partner, ``(batch, residue)``, and how
            much too far each hot spot is from the design, ``(batch, hot spot)``, Å.
        """
        designed = self.residue_mask & ~self.frame.carries
        depth = torch.zeros_like(alpha[:, :, 0])
        if self.surface is not None:
            depth = self.surface.measure_depth(alpha) * designed
        hot = self.hot.to(alpha).expand(len(alpha), -1, -1)
        with torch.no_grad():
            apart = torch.cdist(hot, alpha, compute_mode="donot_use_mm_for_euclid_dist")
            by_motif = apart.masked_fill(~self.frame.carries[:, None], torch.inf).amin(dim=-1)
            nearest = apart.masked_fill(~designed[:, None], torch.inf).argmin(dim=-1)
        reached = alpha.gather(1, nearest[..., None].expand(-1, -1, 3))
        gap = (hot - reached).square().sum(dim=-1).clamp(min=1e-12).sqrt()
        excess = (gap - self.distance).clamp(min=0)
        if not self.motif_touches:
            return depth, excess
        return depth, torch.where(by_motif <= self.distance, 0.0, excess)
