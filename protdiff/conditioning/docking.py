r"""The pose of a fixed structure beside a design: rigid docking by Gauss–Newton.

The structure touches the design with its hot spots and clashes with nothing where

.. math:: E(R, b) = \sum_j \max(0,\, c - \min_i |R y_j + b - x_i|)^2
                  + \sum_h \max(0,\, \min_i |R y_h + b - x_i| - d)^2

is zero: x_i are points of the design, y_j of the structure, y_h its hot spots. Twelve starts put
the hot spots, facing the design, on either end of each of its principal axes, in two turns; a few
damped Gauss–Newton steps in the six directions of a rigid motion are made from each, and more from
the best; of several that are right, the one with the larger interface. The starts turn with the
design, so the pose does too, and nothing is random.

References
----------
Golub, Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems whose
variables separate", 1973 (at the best pose, the pose has no first-order share in the gradient).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Docking", "Pose", "find_outward"]

_COARSE_STEPS = 5
_FINE_STEPS = 15
_CLOSENESS = 1e-2  # Å², what a point of the interface is worth among poses that are all good
_DAMPING = 1e-2  # Å², against directions that nothing holds
_LARGEST_TURN = 0.3  # of a step, radians
_LARGEST_MOVE = 3.0  # of a step, Å
_NO_DIRECTION = 1e-3  # Å: a shorter vector has none
_NEIGHBOURHOOD = 8.0  # Å: what around the hot spots says which way is out


@dataclass(frozen=True, eq=False)
class Pose:
    """A rigid motion of the structure into the frame of each design.

    Attributes
    ----------
    rotation
        R, ``(batch, 3, 3)``, proper.
    origin
        ``(3,)``, the point of the structure about which it turns, or ``(batch, 1, 3)``.
    place
        ``(batch, 3)``, where that point is in the design's frame.
    """

    rotation: Tensor
    origin: Tensor
    place: Tensor

    def apply(self, points: Tensor) -> Tensor:
        """Bring points of the structure, ``(batch or none, point, 3)``, beside the designs."""
        return (points - self.origin).to(self.place) @ self.rotation.mT + self.place[:, None]

    def invert(self, points: Tensor) -> Tensor:
        """Bring points of the designs, ``(batch, point, 3)``, beside the structure."""
        return (points - self.place[:, None]) @ self.rotation + self.origin.to(self.place)


class Docking:
    """A structure that is to be docked to designs.

    Parameters
    ----------
    points
        y, ``(point, 3)``, Å.
    hot
        ``(hot spot,)``, their places among the points.
    distance
        d, Å.
    clearance
        c, Å.
    """

    def __init__(self, points: Tensor, hot: Tensor, *, distance: float, clearance: float) -> None:
        self.points = points
        self.hot = hot
        self.distance = distance
        self.clearance = clearance

    def measure(self, design: Tensor, mask: Tensor, pose: Pose) -> tuple[Tensor, Tensor, Tensor]:
        """Measure how far a pose is from being right.

        Parameters
        ----------
        design
            x, ``(batch, residue, 3)``, Å.
        mask
            ``(batch, residue)``, True where x exists.
        pose
            The pose of the structure.

        Returns
        -------
        Tensor, Tensor, Tensor
            How deep each point of the structure is in the design and how far each hot spot is from
            it, ``(batch, point)`` and ``(batch, hot spot)``, Å, and the nearest residues of the
            design, ``(batch, point)``.
        """
        moved = pose.apply(self.points)
        with torch.no_grad():
            apart = torch.cdist(moved, design, compute_mode="donot_use_mm_for_euclid_dist")
            nearest = apart.masked_fill(~mask[:, None], torch.inf).argmin(dim=-1)
        partner = design.gather(1, nearest[..., None].expand(-1, -1, 3))
        gap = (moved - partner).square().sum(dim=-1).clamp(min=1e-12).sqrt()
        depth = (self.clearance - gap).clamp(min=0)
        return depth, (gap[:, self.hot] - self.distance).clamp(min=0), nearest

    @torch.no_grad()
    def find_pose(self, design: Tensor, mask: Tensor) -> Pose:
        """Dock the structure to each design; parameters as in :meth:`measure`."""
        batch, starts = len(design), 12
        pose = self._start(design, mask)
        wide = design.repeat_interleave(starts, 0), mask.repeat_interleave(starts, 0)
        for _ in range(_COARSE_STEPS):
            pose = self._improve(*wide, pose)
        best = self._score(*wide, pose).reshape(batch, starts).argmin(1)
        best = best + starts * torch.arange(batch, device=best.device)
        pose = Pose(pose.rotation[best], pose.origin, pose.place[best])
        for _ in range(_FINE_STEPS):
            pose = self._improve(design, mask, pose)
        return pose

    def _score(self, design: Tensor, mask: Tensor, pose: Pose) -> Tensor:
        """Return how bad each pose is, ``(batch,)``; of equally good ones the closer is better."""
        depth, excess, _ = self.measure(design, mask, pose)
        apart = torch.cdist(
            pose.apply(self.points), design, compute_mode="donot_use_mm_for_euclid_dist"
        )
        gap = apart.masked_fill(~mask[:, None], torch.inf).amin(dim=-1)
        interface = (-(gap / self.distance).square()).exp().sum(dim=1)
        return depth.square().sum(1) + excess.square().sum(1) - _CLOSENESS * interface

    def _start(self, design: Tensor, mask: Tensor) -> Pose:
        """Return twelve poses of each design, ``(12 batch, ...)``."""
        weight = mask[..., None].to(design)
        centre = (design * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True)
        centred = (design - centre) * weight
        axes = torch.linalg.eigh(centred.mT @ centred)[1].mT  # (batch, 3, xyz), thinnest first
        outward = torch.cat([axes, -axes], 1).repeat_interleave(2, 1)
        across = torch.cat([axes.roll(1, 1)] * 2, 1)
        across = torch.stack([across, -across], 2).flatten(1, 2)  # (batch, 12, xyz)
        reach = (centred @ outward.mT).amax(1)[..., None] + self.clearance
        place = (centre + outward * reach).flatten(0, 1)
        points = self.points.to(design)
        origin, away, around = find_outward(points, self.hot)
        # The second direction of the structure's own frame: along its surface.
        around = around - (around @ away)[:, None] * away
        along = torch.linalg.eigh(around.mT @ around)[1][:, -1]
        own = _make_frame(away[None], along[None])
        theirs = _make_frame(-outward.flatten(0, 1), across.flatten(0, 1))
        return Pose(theirs @ own.mT, origin, place)

    def _improve(self, design: Tensor, mask: Tensor, pose: Pose) -> Pose:
        """Make one damped Gauss–Newton step."""
        depth, excess, nearest = self.measure(design, mask, pose)
        moved = pose.apply(self.points)
        arm = moved - pose.place[:, None]
        away = moved - design.gather(1, nearest[..., None].expand(-1, -1, 3))
        away = away / away.norm(dim=-1, keepdim=True).clamp(min=1e-6)
        slope = torch.cat([torch.linalg.cross(arm, away), away], -1)  # of each gap
        clash = slope * (depth > 0)[..., None]
        pull = slope[:, self.hot] * (excess > 0)[..., None]
        matrix = clash.mT @ clash + pull.mT @ pull
        size = torch.ones_like(matrix[0, 0])
        size[:3] = 100.0  # a turn moves what is some 10 Å away
        matrix = matrix + _DAMPING * torch.diag(size)
        wanted = (clash * depth[..., None]).sum(1) - (pull * excess[..., None]).sum(1)
        step, _ = torch.linalg.solve_ex(matrix, wanted)  # damped, so not singular: not checked
        turn, move = step[:, :3], step[:, 3:]
        turn = turn * (_LARGEST_TURN / turn.norm(dim=1, keepdim=True).clamp(min=_LARGEST_TURN))
        move = move * (_LARGEST_MOVE / move.norm(dim=1, keepdim=True).clamp(min=_LARGEST_MOVE))
        return Pose(_rotate(turn) @ pose.rotation, pose.origin, pose.place + move)


def find_outward(points: Tensor, hot: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Find which way is out of a structure at its hot spots.

    Parameters
    ----------
    points
        The structure, ``(point, 3)``, Å.
    hot
        ``(hot spot,)``, their places among the points.

    Returns
    -------
    origin, outward : Tensor
        The middle of the hot spots, ``(3,)``, and the direction from the points around it, of unit
        length.
    around : Tensor
        Those points from their own middle, ``(point, 3)``, weighted by how near they are.
    """
    origin = points[hot].mean(0)
    near = (-(points - origin).square().sum(-1) / (2 * _NEIGHBOURHOOD**2)).exp()[:, None]
    middle = (near * points).sum(0) / near.sum()
    away = origin - middle
    # Of one residue, or of hot spots all around, no direction is outward: any will do.
    away = torch.where(away.norm() < _NO_DIRECTION, _make_axes(away)[2], away)
    return origin, away / away.norm(), near.sqrt() * (points - middle)


def _make_frame(first: Tensor, second: Tensor) -> Tensor:
    """Return a right-handed frame, in columns, from a unit vector and a second direction.

    Where the second is along the first, any across it will do.
    """
    across = _reject(second, first)
    any_across = _reject(_make_axes(first)[first.abs().argmin(dim=-1)], first)
    is_across = across.norm(dim=-1, keepdim=True) > _NO_DIRECTION
    across = torch.where(is_across, across, any_across)
    across = across / across.norm(dim=-1, keepdim=True)
    return torch.stack([first, across, torch.linalg.cross(first, across)], -1)


def _make_axes(like: Tensor) -> Tensor:
    """Return the unit vectors of the axes, ``(3, 3)``, made where a tensor is."""
    return torch.eye(3, dtype=like.dtype, device=like.device)


def _reject(vector: Tensor, unit: Tensor) -> Tensor:
    """Return what of a vector is across a unit vector."""
    return vector - (vector * unit).sum(-1, keepdim=True) * unit


def _rotate(turn: Tensor) -> Tensor:
    """Return the rotation by each vector's length about its direction, ``(batch, 3, 3)``."""
    x, y, z = turn.unbind(-1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(-1, 3, 3)
    angle = turn.norm(dim=-1)[:, None, None]
    rotation: Tensor = (
        _make_axes(skew)
        + torch.sinc(angle / torch.pi) * skew
        + torch.sinc(angle / (2 * torch.pi)).square() / 2 * (skew @ skew)
    )
    return rotation
