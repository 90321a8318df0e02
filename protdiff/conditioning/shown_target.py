r"""A target that the network is shown: one more chain of the design, whose shape is given.

Residues of the target around its hot spots are a motif in a chain of their own beside the design,
so the network itself sees what the design is to fit. What it cannot know is asked for as of a
partner that a motif holds (:mod:`~protdiff.conditioning.held_partner`): the design is to touch the
hot spots, and to keep out of the whole target, of which the network may see a part.

References
----------
Watson et al. 2023, "De novo design of protein structure and function with RFdiffusion" (binders as
chains beside a target, hot spots).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from protdiff.conditioning.accessible_surface import AccessibleSurface
from protdiff.conditioning.conditioner import Conditioner, Scene
from protdiff.conditioning.held_partner import HeldPartnerTerm
from protdiff.conditioning.mean_size import LARGEST_NOISE
from protdiff.conditioning.partner import Partner
from protdiff.diffusion.guidance import LikelihoodTerm
from protdiff.structure import Backbone, Motif
from protdiff.structure.crop import Stretch, crop_around

__all__ = ["ShownTarget"]

_CA = 1
_CLEARANCE = 4.5  # Å between alpha carbons: strands of two chains that pair stand at 4.8


class ShownTarget(Conditioner):
    """Ask for a design that binds a target which the network is shown as a motif.

    Parameters
    ----------
    partner
        The target and its hot spots.
    most
        How many residues the network is shown, at most; those nearest to the hot spots.
    """

    reads_mask = True
    beside = "target"

    def __init__(self, partner: Partner, most: int) -> None:
        self.partner = partner
        self.stretches: list[Stretch] = crop_around(partner.structure, partner.hot, most)

    @property
    def shown(self) -> NDArray[np.int64]:
        """(shown residue,) the places in the target of what the network is shown."""
        return np.concatenate([stretch.places for stretch in self.stretches])

    def describe(self) -> dict[str, Any]:
        """Return the request, and what the network is shown."""
        shown = ",".join(stretch.name for stretch in self.stretches)
        return {**self.partner.describe(), "shown": shown}

    def check_motif(self, motif: Motif | None) -> None:
        """Refuse a target without hot spots: the motif is the target itself."""
        self.partner.check_motif(None)

    def make_term(self, scene: Scene) -> LikelihoodTerm:
        """Return the likelihood of the hot spots and of a design that is out of the target."""
        assert scene.motif is not None
        partner = self.partner
        # Sampling runs in inference mode, whose tensors cannot take part in a gradient.
        with torch.inference_mode(False):
            device = scene.residue_mask.device
            alpha = torch.tensor(
                partner.structure.coordinates[:, _CA], dtype=torch.float64, device=device
            )
            centre = alpha.mean(dim=0)
            points = alpha - centre
            term = HeldPartnerTerm(
                scene.residue_mask,
                scene.motif,
                AccessibleSurface(points, min(partner.clearance, _CLEARANCE)),
                points[partner.hot],
                centre,
                partner.distance,
                partner.tolerance,
                motif_touches=False,
            )
        return term.within(0.0, LARGEST_NOISE)

    def measure(self, backbone: Backbone) -> dict[str, Any]:
        """Return the share of hot spots that a placed design touches, and the least gap in Å."""
        return self.partner.measure(backbone)
