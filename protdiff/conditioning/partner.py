r"""A fixed partner: designs that touch given residues of a given structure and clash with none.

Where the network is not shown the partner (:mod:`~protdiff.conditioning.shown_target` is how it
is), a design has no frame but its own; so the partner is brought to the design. At each evaluation
it is docked to the denoised mean (:mod:`~protdiff.conditioning.docking`), with its hot spots on the
design and out of its way as far as a rigid body can be, and what is then still wrong is asked of
the design:

.. math:: \log p(y \mid x_t) = -\frac{1}{2 (r^2 + \tilde u_t)} \min_{R, b} \Big[
          \sum_j \max(0,\, c - g_j)^2 + \sum_h \max(0,\, g_h - d)^2 \Big], \qquad
          g_j = \min_i |R y_j + b - \tilde D_i|

over the alpha carbons y_j of the partner, of which the hot spots are y_h, and :math:`\tilde D_i` of
the mean at the size of a sample (:mod:`~protdiff.conditioning.mean_size`). At the best pose the
pose has no first-order share in the gradient, so it is held still there.

Beside a motif nothing is docked: motif and partner come from one complex, and where a design has
the one it has the other (:mod:`~protdiff.conditioning.held_partner`).

:meth:`Partner.place` docks a finished design in the same way, and returns it in the frame of the
partner.

References
----------
Watson et al. 2023, "De novo design of protein structure and function with RFdiffusion" (hot spots).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from protdiff.conditioning.accessible_surface import AccessibleSurface, spread_directions
from protdiff.conditioning.conditioner import Conditioner, Scene
from protdiff.conditioning.docking import Docking
from protdiff.conditioning.held_partner import HeldPartnerTerm
from protdiff.conditioning.mean_size import LARGEST_NOISE, LOCAL_SHARE, restore_size
from protdiff.conditioning.motif_frame import MotifFrame
from protdiff.diffusion.guidance import Estimate, LikelihoodTerm
from protdiff.errors import InputError
from protdiff.structure import Backbone, Motif, read_backbone
from protdiff.structure.selection import parse_selection, select_residues

__all__ = ["Partner", "PartnerTerm"]

_CA = 1
_FURTHEST = 900.0  # Å; a frame further from the origin leaves no room in a structure file
_NEAREST_MOTIF = 3.0  # Å between alpha carbons; what is nearer is in one place
_PROBES = 400  # directions in which room is looked for beside a hot spot


class Partner(Conditioner):
    """Ask for a design that binds a given structure.

    Parameters
    ----------
    structure
        The partner, or its file; it stays as it is.
    hotspots
        Its residues that the design is to touch, by the author's names: ``"A45,A48"``, or a list.
        Beside a motif there need be none: the motif says where the partner is.
    distance
        The most, in Å, between the alpha carbon of a hot spot and the nearest one of the design.
    clearance
        The least between any two alpha carbons of design and partner, Å.
    tolerance
        The standard deviation allowed, Å.
    docked
        Keep the partner from the network, and dock it as a rigid body or, beside a motif, hold it
        where the motif has it. Without it, designs are made beside the partner wherever it can be
        shown to the network (:mod:`~protdiff.conditioning.shown_target`).

    Raises
    ------
    InputError
        A hot spot is not there, or nothing can touch it; or a number makes no sense.
    """

    reads_mask = True
    beside = "target"

    def __init__(
        self,
        structure: str | Path | Backbone,
        hotspots: str | Sequence[str] | None = None,
        *,
        distance: float = 8.0,
        clearance: float = 5.5,
        tolerance: float = 0.3,
        docked: bool = False,
    ) -> None:
        if not (0 < clearance < distance <= 20 and tolerance > 0):
            raise InputError(
                f"a partner at a clearance of {clearance} Å, hot spots within {distance} Å and a "
                f"tolerance of {tolerance} Å cannot be; give 0 < clearance < distance, at most "
                "20 Å, and a tolerance above 0"
            )
        self.structure = structure if isinstance(structure, Backbone) else read_backbone(structure)
        named = [] if hotspots is None else parse_selection(hotspots)
        self.hot = select_residues(self.structure, named)
        self.distance = distance
        self.clearance = clearance
        self.tolerance = tolerance
        self.docked = docked
        self._refuse_buried()

    def keep_unseen(self) -> Partner:
        """Return the same, docked: the network is not shown it."""
        unseen = copy(self)
        unseen.docked = True
        return unseen

    def describe(self) -> dict[str, Any]:
        """Return the request, with the digest of the partner."""
        return {
            "kind": "partner",
            "structure": self.structure.name,
            "sha256": self.structure.digest,
            "hotspots": [self.structure.label(int(place)) for place in self.hot],
            "distance": self.distance,
            "clearance": self.clearance,
            "tolerance": self.tolerance,
        }

    def check_motif(self, motif: Motif | None) -> None:
        """Refuse a motif in the partner's own place, and a partner that nothing holds."""
        if motif is None:
            if not len(self.hot):
                raise InputError(
                    f"a target and its hot spots go together where there is no motif; name the "
                    f"residues of {self.structure.name} that designs are to touch, such as A45,A48"
                )
            return
        carrying = np.flatnonzero(motif.groups == 1)
        given = motif.source.coordinates[carrying, _CA].astype(float)
        if np.abs(given).max() > _FURTHEST:
            raise InputError(
                f"the motif stands more than {_FURTHEST:g} Å from the origin, where designs are "
                "not written in its frame; move motif and target, together, nearer to it"
            )
        others = self.structure.coordinates[:, _CA].astype(float)
        apart = np.linalg.norm(given[:, None] - others, axis=-1)
        one, other = np.unravel_index(int(apart.argmin()), apart.shape)
        if apart[one, other] < _NEAREST_MOTIF:
            raise InputError(
                f"motif residue {motif.source.label(int(carrying[one]))} and residue "
                f"{self.structure.label(int(other))} of the target {self.structure.name} stand in "
                f"one place, {apart[one, other]:.1f} Å apart; give both from one complex, and of "
                "the target only the chains that the design is to bind, as FILE:A"
            )

    def make_term(self, scene: Scene) -> LikelihoodTerm:
        """Return the likelihood of the partner, of free pose or held by the motif."""
        # Sampling runs in inference mode, whose tensors cannot take part in a gradient.
        with torch.inference_mode(False):
            docking = self._make_docking(scene.residue_mask.device)
            term = (
                PartnerTerm(scene.residue_mask, docking, scene.scale, self.tolerance)
                if scene.motif is None
                else self._hold(docking, scene.residue_mask, scene.motif)
            )
        return term.within(0.0, LARGEST_NOISE)

    def _hold(self, docking: Docking, residue_mask: Tensor, frame: MotifFrame) -> LikelihoodTerm:
        centre = docking.points.mean(dim=0)
        points = docking.points - centre
        return HeldPartnerTerm(
            residue_mask,
            frame,
            AccessibleSurface(points, docking.clearance),
            points[docking.hot],
            centre,
            docking.distance,
            self.tolerance,
        )

    def measure(self, backbone: Backbone) -> dict[str, Any]:
        """Return the share of hot spots that a placed design touches, and the least gap in Å.

        The gap is the distance of the nearest two backbone atoms; under 2.5 Å is a clash.
        """
        if not backbone.is_finite:
            return {"hotspots_touched": None, "partner_gap": None}
        atoms = backbone.coordinates.reshape(-1, 1, 3).astype(float)
        others = self.structure.coordinates.reshape(-1, 3).astype(float)
        gap = {"partner_gap": round(float(np.linalg.norm(atoms - others, axis=-1).min()), 2)}
        if not len(self.hot):
            return gap
        touched = self.measure_contacts(backbone.coordinates).mean()
        return {"hotspots_touched": round(float(touched), 3), **gap}

    def place(self, coordinates: ArrayLike) -> NDArray[np.float32]:
        """Return a design in the frame of the partner, docked to it.

        Parameters
        ----------
        coordinates
            ``(residue, 3 or 4, 3)``, N, CA, C(, O) in Å, in any pose.

        Returns
        -------
        numpy.ndarray
            The same shape; the same design gives the same pose.
        """
        if not np.isfinite(coordinates).all():
            return np.asarray(coordinates, dtype=np.float32)
        design = torch.from_numpy(np.array(coordinates, dtype=np.float64))
        centred = design - design.mean(dim=(0, 1))
        alpha = centred[None, :, _CA]
        mask = torch.ones(alpha.shape[:2], dtype=torch.bool)
        pose = self._make_docking(torch.device("cpu")).find_pose(alpha, mask)
        placed = pose.invert(centred.reshape(1, -1, 3)).reshape(design.shape)
        return placed.numpy().astype(np.float32)

    def measure_contacts(self, placed: ArrayLike) -> NDArray[np.bool_]:
        """Return which hot spots a placed design touches, ``(hot spot,)``."""
        alpha = np.asarray(placed, dtype=float)[:, _CA]
        hot = self.structure.coordinates[self.hot, _CA].astype(float)
        touched: NDArray[np.bool_] = (
            np.linalg.norm(hot[:, None] - alpha, axis=-1).min(axis=1) <= self.distance
        )
        return touched

    def _make_docking(self, device: torch.device) -> Docking:
        # What is within two tolerances of what is asked is then within what was wanted.
        margin = min(2 * self.tolerance, (self.distance - self.clearance) / 3)
        return Docking(
            torch.tensor(self.structure.coordinates[:, _CA], dtype=torch.float64, device=device),
            torch.tensor(self.hot, device=device),
            distance=self.distance - margin,
            clearance=self.clearance + margin,
        )

    def _refuse_buried(self) -> None:
        """Refuse hot spots beside which the partner itself leaves no room."""
        alpha = self.structure.coordinates[:, _CA].astype(float)
        directions = spread_directions(_PROBES).numpy()
        for place in self.hot:
            probes = alpha[place] + 0.95 * self.distance * directions
            room = np.linalg.norm(probes[:, None] - alpha, axis=-1).min(axis=1)
            if room.max() < self.clearance:
                raise InputError(
                    f"hot spot {self.structure.label(int(place))} of {self.structure.name} is "
                    f"buried: nothing can be within {self.distance:g} Å of its alpha carbon and "
                    f"{self.clearance:g} Å off all others; name residues of the surface"
                )


@dataclass(frozen=True, eq=False)
class PartnerTerm(LikelihoodTerm):
    """Log-likelihood of a partner of free pose, given the denoised mean.

    Parameters
    ----------
    residue_mask
        ``(batch, residue)``, True where the residue exists.
    docking
        The partner, Å.
    scale
        Å per model unit.
    tolerance
        r, Å.
    """

    residue_mask: Tensor
    docking: Docking
    scale: float
    tolerance: float

    def __call__(self, estimate: Estimate) -> Tensor:
        """Return the log-likelihood of each backbone, ``(batch,)``."""
        positions, variance = restore_size(estimate)
        alpha = positions[:, :, _CA] * self.scale
        pose = self.docking.find_pose(alpha.detach(), self.residue_mask)
        depth, excess, _ = self.docking.measure(alpha, self.residue_mask, pose)
        squared = depth.square().sum(dim=1) + excess.square().sum(dim=1)
        spread = self.tolerance**2 + LOCAL_SHARE * variance * self.scale**2
        return -squared / (2 * spread)
