r"""A fixed partner: designs that touch given residues of a given structure and clash with none.

The network knows single chains only, and a design has no frame but its own; so the partner is
brought to the design. At each evaluation it is docked to the denoised mean
(:mod:`~protdiff.conditioning.docking`), with its hot spots on the design and out of its way as far
as a rigid body can be, and what is then still wrong is asked of the design:

.. math:: \log p(y \mid x_t) = -\frac{1}{2 (r^2 + \tilde u_t)} \min_{R, b} \Big[
          \sum_j \max(0,\, c - g_j)^2 + \sum_h \max(0,\, g_h - d)^2 \Big], \qquad
          g_j = \min_i |R y_j + b - \tilde D_i|

over the alpha carbons y_j of the partner, of which the hot spots are y_h, and :math:`\tilde D_i` of
the mean at the size of a sample (:mod:`~protdiff.conditioning.mean_size`). At the best pose the
pose has no first-order share in the gradient, so it is held still there.

:meth:`Partner.place` docks a finished design in the same way, and returns it in the frame of the
partner.

References
----------
Watson et al. 2023, "De novo design of protein structure and function with RFdiffusion" (hot spots).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from protdiff.conditioning.conditioner import Conditioner, Scene
from protdiff.conditioning.docking import Docking
from protdiff.conditioning.mean_size import LARGEST_NOISE, LOCAL_SHARE, restore_size
from protdiff.diffusion.guidance import Estimate, LikelihoodTerm
from protdiff.errors import InputError
from protdiff.structure import Backbone
from protdiff.structure.selection import parse_selection, select_residues

__all__ = ["Partner", "PartnerTerm"]

_CA = 1
_PROBES = 400  # directions in which room is looked for beside a hot spot


class Partner(Conditioner):
    """Ask for a design that binds a given structure.

    Parameters
    ----------
    structure
        The partner, which stays as it is.
    hotspots
        Its residues that the design is to touch, by the author's names: ``"A45,A48"``, or a list.
    distance
        The most, in Å, between the alpha carbon of a hot spot and the nearest one of the design.
    clearance
        The least between any two alpha carbons of design and partner, Å.
    tolerance
        The standard deviation allowed, Å.

    Raises
    ------
    InputError
        A hot spot is not there, or nothing can touch it; or a number makes no sense.
    """

    reads_mask = True

    def __init__(
        self,
        structure: Backbone,
        hotspots: str | Sequence[str],
        *,
        distance: float = 8.0,
        clearance: float = 5.5,
        tolerance: float = 0.3,
    ) -> None:
        if not (0 < clearance < distance <= 20 and tolerance > 0):
            raise InputError(
                f"a partner at a clearance of {clearance} Å, hot spots within {distance} Å and a "
                f"tolerance of {tolerance} Å cannot be; give 0 < clearance < distance, at most "
                "20 Å, and a tolerance above 0"
            )
        self.structure = structure
        self.hot = select_residues(structure, parse_selection(hotspots))
        self.distance = distance
        self.clearance = clearance
        self.tolerance = tolerance
        self._refuse_buried()

    def describe(self) -> dict[str, Any]:
        """Return the request, with a hash of the partner's coordinates."""
        return {
            "kind": "partner",
            "structure": self.structure.name,
            "sha256": hashlib.sha256(self.structure.coordinates.tobytes()).hexdigest()[:16],
            "hotspots": [self.structure.label(int(place)) for place in self.hot],
            "distance": self.distance,
            "clearance": self.clearance,
            "tolerance": self.tolerance,
        }

    def make_term(self, scene: Scene) -> LikelihoodTerm:
        """Return the likelihood of the partner, whose pose is free."""
        # Sampling runs in inference mode, whose tensors cannot take part in a gradient.
        with torch.inference_mode(False):
            docking = self._make_docking(scene.residue_mask.device)
        term = PartnerTerm(scene.residue_mask, docking, scene.scale, self.tolerance)
        return term.within(0.0, LARGEST_NOISE)

    def measure(self, backbone: Backbone) -> dict[str, Any]:
        """Return the share of hot spots that a placed design touches, and the least gap in Å.

        The gap is the distance of the nearest two backbone atoms; under 2.5 Å is a clash.
        """
        if not backbone.is_finite:
            return {"hotspots_touched": None, "partner_gap": None}
        atoms = backbone.coordinates.reshape(-1, 1, 3).astype(float)
        others = self.structure.coordinates.reshape(-1, 3).astype(float)
        touched = self.measure_contacts(backbone.coordinates).mean()
        gap = np.linalg.norm(atoms - others, axis=-1).min()
        return {"hotspots_touched": round(float(touched), 3), "partner_gap": round(float(gap), 2)}

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
        rise = np.linspace(-1, 1, _PROBES)
        turn = np.pi * (1 + 5**0.5) * np.arange(_PROBES)
        flat = np.sqrt(1 - rise**2)
        directions = np.stack([flat * np.cos(turn), flat * np.sin(turn), rise], axis=-1)
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
