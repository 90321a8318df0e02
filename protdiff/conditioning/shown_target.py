r"""A target that the network is shown: one more chain of the design, whose shape is given.

Residues of the target around its hot spots are a motif in a chain of their own beside the design,
so the network itself sees what the design is to fit. Of two proteins it only knows that they touch
somewhere. Where the design is to touch is asked for in two ways: while the noise decides where its
chain is as a whole, by the place of its middle,

.. math:: \log p(y \mid x_t) = -\frac{n}{2 (r^2 + v_t)} |\bar D - p|^2,

over the mean :math:`\bar D` of its *n* atoms and a place *p* outside the hot spots, at which a
globule of its size touches them and gives way a little; and once it has a fold, by the hot spots
that are out of its reach (:mod:`~protdiff.conditioning.held_partner`), together with what it must
keep out of: the residues of the target that the network is not shown.

A chain as a whole is as uncertain as one of its atoms, for they move together, and not *n* times
less, as atoms would be that know nothing of each other. Guidance takes them for the latter; hence
the factor *n*, by which the middle is moved as far as it would be by the true covariance.

References
----------
Watson et al. 2023, "De novo design of protein structure and function with RFdiffusion" (binders as
chains beside a target, hot spots).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from protdiff.conditioning.accessible_surface import AccessibleSurface
from protdiff.conditioning.conditioner import Conditioner, Scene
from protdiff.conditioning.docking import find_outward
from protdiff.conditioning.held_partner import HeldPartnerTerm
from protdiff.conditioning.mean_size import LARGEST_NOISE
from protdiff.conditioning.motif_frame import MotifFrame
from protdiff.conditioning.partner import Partner
from protdiff.device import send
from protdiff.diffusion.guidance import Estimate, LikelihoodTerm, SumOfTerms
from protdiff.structure import Backbone, Motif
from protdiff.structure.crop import crop_around
from protdiff.structure.size import expect_radius

__all__ = ["PlaceTerm", "ShownTarget"]

_CA = 1
_AWAY = 1.15  # radii of gyration from the middle to the hot spots; to the surface of a ball 1.29
_MARGIN = 1.0  # Å: what is asked of hot spots is that much more than what is wanted
_NOISE = (0.5, 8.0, 40.0)
"""In Å: hot spots draw from the first to the last, and the middle is led down to the second."""


class ShownTarget(Conditioner):
    """Ask for a design that binds a target which the network is shown as a motif.

    Parameters
    ----------
    partner
        The target and its hot spots.
    most
        How many residues the network is shown, at most; those nearest to the hot spots and to what
        the motif touches.
    motif
        Which the designs hold in one body with the target.

    Raises
    ------
    InputError
        There are neither hot spots nor a motif, or motif and target stand in one place.
    """

    reads_mask = True
    beside = "target"

    def __init__(self, partner: Partner, most: int, motif: Motif | None = None) -> None:
        partner.check_motif(motif)
        self.partner = partner
        self.motif = motif
        alpha = partner.structure.coordinates[:, _CA].astype(float)
        around, self.left = partner.hot, partner.hot
        if motif is not None:
            gaps = _measure_gaps(alpha, motif)
            touched = np.flatnonzero(gaps <= max(partner.distance, gaps.min()))
            around = np.union1d(around, touched)
            self.left = partner.hot[gaps[partner.hot] > partner.distance]
        self.stretches = crop_around(partner.structure, around, most)

    @property
    def shown(self) -> NDArray[np.int64]:
        """(shown residue,) the places in the target of what the network is shown."""
        places = [stretch.places or () for stretch in self.stretches]
        return np.concatenate(places).astype(np.int64)

    @property
    def chains(self) -> int:
        """How many chains of the target the network is shown."""
        return len(set(self.partner.structure.chain_id[self.shown].tolist()))

    def check_motif(self, motif: Motif | None) -> None:
        """Refuse a motif in the target's own place."""
        self.partner.check_motif(motif)

    def describe(self) -> dict[str, Any]:
        """Return the request, and what the network is shown."""
        shown = ",".join(map(str, self.stretches))
        return {**self.partner.describe(), "shown": shown}

    def make_term(self, scene: Scene) -> LikelihoodTerm | None:
        """Return the likelihood of the design's place and of what it touches, if any is asked."""
        frame, partner = scene.motif, self.partner
        assert frame is not None
        # Sampling runs in inference mode, whose tensors cannot take part in a gradient.
        with torch.inference_mode(False):
            alpha = torch.tensor(
                partner.structure.coordinates[:, _CA],
                dtype=torch.float64,
                device=scene.residue_mask.device,
            )
            centre = alpha.mean(dim=0)
            points = alpha - centre
            hidden = np.delete(np.arange(len(alpha)), self.shown)
            if not len(self.left) and not len(hidden):
                return None
            surface = AccessibleSurface(points[hidden], partner.clearance) if len(hidden) else None
            left = torch.from_numpy(self.left).to(points.device)
            touch = HeldPartnerTerm(
                scene.residue_mask,
                frame,
                surface,
                points[left],
                centre,
                partner.distance - min(_MARGIN, (partner.distance - partner.clearance) / 3),
                partner.tolerance,
                motif_touches=False,
            )
            low, middle, high = (noise / scene.scale for noise in _NOISE)
            reach = touch.within(low, high)
            if self.motif is not None:
                return reach
            origin, outward, _ = find_outward(points, left)
            designed = scene.residue_mask & ~frame.carries
            radii = [_AWAY * expect_radius(count) for count in designed.sum(dim=1).tolist()]
            away = torch.tensor(radii, device=points.device).to(points)[:, None]
            place = PlaceTerm(designed, frame, centre + origin + outward * away)
        return SumOfTerms(place.within(middle, LARGEST_NOISE), reach)

    def measure(self, backbone: Backbone) -> dict[str, Any]:
        """Return the share of hot spots that a placed design touches, and the least gap in Å."""
        return self.partner.measure(backbone)


def _measure_gaps(alpha: NDArray[np.float64], motif: Motif) -> NDArray[np.float64]:
    """Measure from alpha carbons to the nearest one of the motif's first body, Å."""
    given = motif.source.coordinates[motif.groups == 1, _CA].astype(float)
    gaps: NDArray[np.float64] = np.linalg.norm(alpha[:, None] - given, axis=-1).min(axis=1)
    return gaps


@dataclass(frozen=True, eq=False)
class PlaceTerm(LikelihoodTerm):
    """Log-likelihood of where the middle of a design is, in the frame of the target.

    Parameters
    ----------
    designed
        ``(batch, residue)``, True where the residue is of the design.
    frame
        Where the frame of the target is in what is sampled.
    place
        p, ``(batch, 3)``, float64, Å, in that frame.
    tolerance
        r, Å.
    """

    designed: Tensor
    frame: MotifFrame
    place: Tensor
    tolerance: float = 2.0

    def __call__(self, estimate: Estimate) -> Tensor:
        """Return the log-likelihood of each backbone, ``(batch,)``."""
        mean, scale = estimate.denoised, self.frame.scale
        weight = self.designed[:, :, None, None].to(mean)
        atoms = weight.sum(dim=(1, 2, 3)) * mean.shape[2]
        middle = (mean * weight).sum(dim=(1, 2)) / atoms[:, None]
        pose = self.frame.find_pose(mean.detach())
        wanted = pose.apply(self.place[:, None])[:, 0] / scale
        squared = (middle - wanted).square().sum(dim=1)
        variance = send(estimate.isotropic_variance(), squared)
        return -atoms * squared / (2 * ((self.tolerance / scale) ** 2 + variance))
