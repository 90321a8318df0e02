"""A motif written into a backbone, in the pose that fits it best, and the chain led up to it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from protdiff.conditioning.superposition import align_to
from protdiff.diffusion import Subspace

__all__ = ["PosedMotif"]

_ROUNDS = 5
_NEAREST = 3  # residues nearer along the chain are held together by their bonds
_TURNED = 3  # residues from the first on that follow a turn
_N, _CA, _C = range(3)


class PosedMotif:
    """A projection of clean backbones that writes the motif in, in its best pose.

    The designed residues next to the motif follow it. The first moves and turns with the motif
    residue that it is joined to as a rigid body, so the joint keeps the geometry that the denoiser
    gave it and its peptide link stays *trans*. Those further on follow less and less with their
    distance along the chain, and least where the motif turns only; so the strain is spread over
    residues that the denoiser is free to mend.

    Parameters
    ----------
    motif_mask
        ``(batch, residue)``, True where the residue is given.
    positions
        ``(batch, residue, atom, 3)`` in model units, any pose; read where ``motif_mask``.
    subspace
        Where the result is centred again.
    residue_index
        ``(batch, residue)``, places along the chain; 0, 1, 2, ... if not given. Nothing follows
        over a chain break.
    group
        ``(batch, residue)`` integers, from 1 where ``motif_mask``: residues of one rigid group; all
        are of one, if not given. Each group has a pose of its own.
    reach
        How many residues follow on either side.
    clearance
        How near the CA of two groups may come, in model units; groups that are nearer are moved
        apart as bodies, for nothing else would: each is in the way of the other only.
    """

    def __init__(
        self,
        motif_mask: Tensor,
        positions: Tensor,
        subspace: Subspace,
        *,
        group: Tensor | None = None,
        residue_index: Tensor | None = None,
        reach: int = 8,
        clearance: float = 0.0,
    ) -> None:
        self.motif_mask = motif_mask
        self.positions = positions
        self.subspace = subspace
        self.group = motif_mask.long() if group is None else group
        if residue_index is None:
            residue_index = torch.arange(motif_mask.shape[1])[None]
        residue_index = residue_index.to(motif_mask.device)
        self.leader, self.share = _choose_leaders(motif_mask, residue_index, reach)
        places = torch.arange(motif_mask.shape[1], device=motif_mask.device)
        beside = self.leader + torch.tensor([1, -1], device=motif_mask.device)[:, None, None]
        self.first = beside.clamp(0, len(places) - 1)
        self.distance = (places - beside).abs()
        # What depends on values is asked here, once: a GPU would have to be waited for.
        self.bodies = [self.group == number for number in range(1, int(self.group.max()) + 1)]
        far = (residue_index[:, :, None] - residue_index[:, None]).abs() >= _NEAREST
        of_two = self.group[:, :, None] != self.group[:, None]
        self.foreign = far & of_two & motif_mask[:, :, None] & motif_mask[:, None]
        self.clearance = clearance if bool(self.foreign.any()) else 0.0

    def pose(self, clean: Tensor) -> Tensor:
        """Return the motif in the pose nearest to a clean backbone, ``(batch, residue, atom, 3)``.

        Each group has its own. Entries of designed residues mean nothing.
        """
        atoms = clean.shape[2]
        given, found = self.positions.to(clean).flatten(1, 2), clean.flatten(1, 2)
        posed = torch.zeros_like(clean)
        for mask in self.bodies:
            points = mask[..., None].expand(*mask.shape, atoms).flatten(1)
            aligned = align_to(given, found, points).reshape(clean.shape)
            posed = torch.where(mask[..., None, None], aligned, posed)
        if self.clearance:
            for _ in range(_ROUNDS):
                posed = self._separate(posed)
        return posed

    def _separate(self, posed: Tensor) -> Tensor:
        """Move groups that are too near each other apart, each by the mean of what it is asked."""
        alpha_carbon = posed[:, :, 1]
        apart = alpha_carbon[:, :, None] - alpha_carbon[:, None]
        distance = apart.norm(dim=-1)
        missing = (self.clearance - distance).clamp(min=0) * self.foreign
        weight = missing / (2 * distance.clamp(min=1e-3))
        pushes = (weight[..., None] * apart).sum(dim=2)
        asked = (missing > 0).sum(dim=2)
        moved = torch.zeros_like(alpha_carbon)
        for mask in self.bodies:
            count = (asked * mask).sum(dim=1, keepdim=True).clamp(min=1)
            mean = (pushes * mask[..., None]).sum(dim=1) / count
            moved = moved + mask[..., None] * mean[:, None]
        return posed + moved[:, :, None]

    def __call__(self, clean: Tensor) -> Tensor:
        """Write the motif into a clean backbone, ``(batch, residue, atom, 3)``."""
        mask = self.motif_mask[..., None, None]
        posed = torch.where(mask, self.pose(clean), clean)
        # What stands after the motif hangs on its last C, what stands before it on its first N.
        moves = self._lead(clean, posed, 0, _C) + self._lead(clean, posed, 1, _N)
        return self.subspace.project(torch.where(mask, posed, clean + moves))

    def _lead(self, clean: Tensor, posed: Tensor, side: int, joint: int) -> Tensor:
        """Return how the residues on one side of the motif move with the residue they hang on."""
        place = self.leader[side]
        distance = self.distance[side].to(clean)[..., None, None]
        was, becomes = _take(clean, place), _take(posed, place)
        turn = _get_frames(was, joint).mT @ _get_frames(becomes, joint)
        moved = (becomes - was)[:, :, joint, None]
        swing = turn - torch.eye(3, dtype=turn.dtype, device=turn.device)
        turned = (clean - was[:, :, joint, None]) @ swing
        # Further on a turn would be a swing; there the chain follows the end of the first residue.
        end = _take(turned, self.first[side])[:, :, joint, None]
        turned = torch.where(distance == 0, turned, end * (1 - distance / _TURNED).clamp(min=0))
        return self.share[side].to(clean)[..., None, None] * (moved + turned)


def _take(residues: Tensor, places: Tensor) -> Tensor:
    """Return what stands at places, ``(batch, place)``, of ``(batch, residue, atom, 3)``."""
    index = places[..., None, None].expand(*places.shape, *residues.shape[2:])
    return residues.gather(1, index)


def _get_frames(backbone: Tensor, joint: int) -> Tensor:
    """Return the frame of each residue at its C or its N, ``(batch, residue, 3, 3)``, axes as rows.

    The first axis is the bond from CA, so that a turn keeps the angles at the joint as they are.
    """
    bond = backbone[:, :, joint] - backbone[:, :, _CA]
    other = backbone[:, :, _N + _C - joint] - backbone[:, :, _CA]
    first = normalize(bond, dim=-1)
    third = normalize(torch.linalg.cross(first, other), dim=-1)
    return torch.stack([first, torch.linalg.cross(third, first), third], dim=-2)


def _choose_leaders(motif_mask: Tensor, residue_index: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """Return which motif residue leads each designed one, and how far: two of ``(2, batch, L)``.

    That is the nearest motif residue before it (first) and after it (second). The residue beside
    the motif goes all the way, those further on less and less; where the two ask for more than a
    whole move, they share it.
    """
    separation = residue_index[:, :, None] - residue_index[:, None]  # [i, j]: j stands before i
    separation = separation.expand(len(motif_mask), -1, -1)
    leaders, shares = [], []
    for side in (1, -1):
        distance = separation * side
        beside = (distance > 0) & motif_mask[:, None] & ~motif_mask[:, :, None]
        nearest, place = distance.masked_fill(~beside, reach + 1).min(dim=-1)
        leaders.append(place)
        shares.append(((reach + 1 - nearest) / reach).clamp(min=0))
    share = torch.stack(shares)
    return torch.stack(leaders), share / share.sum(dim=0).clamp(min=1)
