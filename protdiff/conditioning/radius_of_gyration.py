r"""Radius of gyration: how compact a design is.

.. math:: R_g^2 = \frac{1}{n} \sum_a |x_a - \bar x|^2, \qquad
          \log p(y \mid x_t) = -\frac{(R_g(\tilde D) - y)^2}{2 (r^2 + \tilde v_t / n)}

over the n atoms of the backbone. Its gradient has the squared norm 1/n whatever the structure, so
:math:`\tilde v_t / n` is the variance that the radius has from what the noise hides of each
coordinate, and the tilde means the mean at the size of a sample
(:mod:`~protdiff.conditioning.mean_size`). The shift scales the structure about its centre.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from protdiff.conditioning.conditioner import Conditioner, Scene
from protdiff.conditioning.mean_size import LARGEST_NOISE, restore_size
from protdiff.diffusion.guidance import Estimate, LikelihoodTerm
from protdiff.errors import InputError
from protdiff.structure.size import RadiusRequest, parse_radius

__all__ = ["RadiusOfGyration", "RadiusTerm"]


class RadiusOfGyration(Conditioner):
    """Ask for a radius of gyration.

    Parameters
    ----------
    target
        In Å, or a multiple of the 2.2 L^0.38 Å of globular proteins, ``"x1.1"``.
    tolerance
        The standard deviation allowed, Å.

    Raises
    ------
    InputError
        The radius cannot be understood, or the tolerance is not positive.

    Examples
    --------
    >>> RadiusOfGyration("x1.1").describe()
    {'kind': 'radius-of-gyration', 'target': 'x1.1', 'tolerance': 0.2}
    """

    reads_mask = True

    def __init__(self, target: float | str | RadiusRequest, tolerance: float = 0.2) -> None:
        self.target = target if isinstance(target, RadiusRequest) else parse_radius(target)
        if not tolerance > 0:
            raise InputError(f"the tolerance of a radius is {tolerance} Å; give a number above 0")
        self.tolerance = tolerance

    def describe(self) -> dict[str, Any]:
        """Return the request."""
        return {
            "kind": "radius-of-gyration",
            "target": str(self.target),
            "tolerance": self.tolerance,
        }

    def check(self, length: int) -> None:
        """Refuse a radius that no chain of this length has."""
        self.target.check(length)

    def make_term(self, scene: Scene) -> LikelihoodTerm:
        """Return the likelihood of the radius."""
        lengths = scene.residue_mask.sum(dim=1).tolist()
        target = [self.target.at(int(length)) / scene.scale for length in lengths]
        return RadiusTerm(
            scene.residue_mask,
            torch.tensor(target, device=scene.residue_mask.device),
            self.tolerance / scene.scale,
        ).within(0.0, LARGEST_NOISE)


@dataclass(frozen=True, eq=False)
class RadiusTerm(LikelihoodTerm):
    """Log-likelihood of the radius of gyration, given the denoised mean.

    Parameters
    ----------
    residue_mask
        ``(batch, residue)``, True where the residue exists.
    target
        ``(batch,)``, model units.
    tolerance
        r, model units.
    """

    residue_mask: Tensor
    target: Tensor
    tolerance: float

    def __call__(self, estimate: Estimate) -> Tensor:
        """Return the log-likelihood of each backbone, ``(batch,)``."""
        positions, variance = restore_size(estimate)
        mask = self.residue_mask[..., None, None].to(positions)
        count = mask.sum(dim=(1, 2, 3)) * positions.shape[2]
        centre = (positions * mask).sum(dim=(1, 2), keepdim=True) / count[:, None, None, None]
        squared = ((positions - centre).square() * mask).sum(dim=(1, 2, 3)) / count
        # At a single point the root has no gradient.
        radius = squared.clamp(min=1e-12).sqrt()
        spread = self.tolerance**2 + variance / count
        return -(radius - self.target.to(radius)).square() / (2 * spread)
