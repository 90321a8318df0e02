r"""Where the alpha carbons of a design may come beside a fixed structure.

About each point y_j of the structure lies a ball of radius c into which nothing may come. Their
union is bounded by the surface on which a point rolls that keeps the distance c, here sampled by
points s evenly spread on each sphere and kept where no other ball holds them. How deep a point x
stands in the union is, along the outward normal n of the nearest sample,

.. math:: d(x) = \max\big((s - x) \cdot n,\; c - \min_j |x - y_j|\big)
          \quad\text{within a ball}, \qquad 0 \text{ elsewhere}.

The first is the way out from anywhere inside, be it through several balls; where pairs of points
alone push, what stands in the middle of a globule is pushed from all sides and stays. The second,
which is never more than the true depth, takes over in crevices between two samples.

References
----------
Lee and Richards 1971, "The interpretation of protein structures: estimation of static
accessibility" (the surface). Shrake and Rupley 1973, "Environment and exposure to solvent of
protein atoms. Lysozyme and insulin" (its samples).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["AccessibleSurface", "spread_directions"]

_SAMPLES = 200  # of each sphere: one in 2 Å² where the radius is 6 Å
_ON_SURFACE = 1e-6  # Å


class AccessibleSurface:
    """The surface that points at a distance from a structure can reach.

    Parameters
    ----------
    points
        y, ``(point, 3)``, Å.
    radius
        c, Å.
    """

    def __init__(self, points: Tensor, radius: float) -> None:
        self.points = points
        self.radius = radius
        directions = spread_directions(_SAMPLES).to(points) @ _find_axes(points)
        samples = (points[:, None] + radius * directions).flatten(0, 1)
        nearest = torch.cat(
            [_measure_distances(part, points).amin(1) for part in samples.split(4096)]
        )
        free = nearest >= radius - _ON_SURFACE
        self.samples = samples[free]
        """s, ``(sample, 3)``, Å."""
        self.normals = directions.repeat(len(points), 1)[free]
        """n, ``(sample, 3)``, of unit length."""

    def measure_depth(self, positions: Tensor) -> Tensor:
        """Return how deep points stand in what they cannot reach, 0 outside.

        Parameters
        ----------
        positions
            x, ``(..., 3)``, Å, in the frame of the structure.

        Returns
        -------
        Tensor
            d, ``(...)``, Å.
        """
        flat = positions.reshape(-1, 3)
        points = self.points.to(flat)
        with torch.no_grad():
            nearest, owner = _measure_distances(flat, points).min(dim=1)
            inside = (nearest < self.radius).nonzero()[:, 0]
        depth = torch.zeros_like(flat[:, 0])
        if not len(inside):
            return depth.reshape(positions.shape[:-1])
        within = flat[inside]
        with torch.no_grad():
            exits = _measure_distances(within, self.samples.to(flat)).argmin(dim=1)
        way = self.samples.to(flat)[exits] - within
        along = (way * self.normals.to(flat)[exits]).sum(dim=-1)
        away = within - points[owner[inside]]
        short = self.radius - away.square().sum(dim=-1).clamp(min=1e-12).sqrt()
        depth = depth.index_put((inside,), torch.maximum(along, short))
        return depth.reshape(positions.shape[:-1])


def spread_directions(count: int) -> Tensor:
    """Return unit vectors evenly spread on a sphere, the golden spiral, ``(count, 3)``."""
    rise = (torch.arange(count, dtype=torch.float64) + 0.5) * (2 / count) - 1
    turn = math.pi * (1 + math.sqrt(5)) * torch.arange(count, dtype=torch.float64)
    flat = (1 - rise.square()).sqrt()
    return torch.stack([flat * turn.cos(), flat * turn.sin(), rise], dim=-1)


def _find_axes(points: Tensor) -> Tensor:
    """Return the principal axes of points as rows, which turn with them, ``(3, 3)``."""
    centred = points - points.mean(dim=0)
    axes = torch.linalg.eigh(centred.mT @ centred)[1].mT
    # An axis points to where the points reach further.
    skew = (centred @ axes.mT).pow(3).sum(dim=0)
    axes = torch.where(skew[:, None] < 0, -axes, axes)
    return torch.cat([axes[:2], torch.linalg.cross(axes[0], axes[1])[None]])


def _measure_distances(first: Tensor, second: Tensor) -> Tensor:
    return torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist")
