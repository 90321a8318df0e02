r"""Excluded volume: no two stretches of the chain in one place.

Van der Waals radii are knowledge that needs no learning. Where the noise is small enough for the
denoised mean to be a structure (and not the average of many), residues whose atoms overlap in it
are pushed apart: each pair of atoms nearer than its limit asks both residues for half of what is
missing, a residue moves by the mean of what it is asked, and its neighbours along the chain follow
in part. The bonds that this strains are mended by the denoiser in the steps that remain.

It is the condition of an observer who sees no overlap with an error as large as the posterior's
own, :math:`\log p(y \mid x_t) = -E(D) / 2 v_t` with *E* the sum of squared overlaps: the shift
:math:`v_t \nabla \log p` of :class:`~protdiff.diffusion.guidance.FrozenGuided` is then free of
:math:`v_t`, and is applied here in a few rounds of position-based relaxation.

References
----------
Bondi 1964, "van der Waals volumes and radii". Müller et al. 2007, "Position based dynamics".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from protdiff.device import send
from protdiff.diffusion import Denoiser, Subspace
from protdiff.diffusion.broadcasting import expand

__all__ = ["CLOSEST_APPROACH", "ExcludedVolume", "place_carbonyl_oxygen", "relieve_overlaps"]

# Å: closest approach of N, CA, C, O to each other: radii less 0.4 Å, 2.35 Å for a hydrogen bond.
CLOSEST_APPROACH = (
    (2.70, 2.85, 2.85, 2.35),
    (2.85, 3.00, 3.00, 2.82),
    (2.85, 3.00, 3.00, 2.82),
    (2.35, 2.82, 2.82, 2.64),
)
_MARGIN = 0.15  # Å of room beyond the limits
_NEAREST = 3  # residues nearer along the chain are held together by their bonds
_CARBONYL = 1.23  # Å
_FOLLOWING = (0.25, 0.5, 1.0, 0.5, 0.25)  # how far neighbours along the chain follow


class ExcludedVolume(Denoiser):
    """A denoiser of backbones whose estimates overlap less, at small noise.

    Parameters
    ----------
    denoiser
        Of backbones ``(batch, residue, 3 atoms, 3)``.
    residue_mask
        ``(batch, residue)``, True where the residue exists.
    subspace
        Where the estimate is centred again.
    scale
        Å per model unit.
    movable_mask
        ``(batch, residue)``, True where a residue may be moved; all, if not given.
    residue_index
        ``(batch, residue)``, places along the chain; one unbroken chain, if not given.
    noise_limit
        Largest noise, in Å, at which the estimate is taken for a structure.
    rounds
        Rounds of relaxation.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        residue_mask: Tensor,
        subspace: Subspace,
        *,
        scale: float,
        movable_mask: Tensor | None = None,
        residue_index: Tensor | None = None,
        noise_limit: float = 2.5,
        rounds: int = 2,
    ) -> None:
        self.sde = denoiser.sde
        self.denoiser = denoiser
        self.residue_mask = residue_mask
        self.movable_mask = residue_mask if movable_mask is None else movable_mask & residue_mask
        self.residue_index = residue_index
        self.subspace = subspace
        self.scale = scale
        self.noise_limit = noise_limit
        self.rounds = rounds

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Denoise and relieve, ``(batch, residue, 3, 3)``."""
        return self.relieve(self.denoiser(x_t, t), t)

    def finish(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give the estimate that ends a run: the denoiser's own, whose bonds are sound."""
        return self.denoiser.finish(x_t, t)

    def reorder(self, indices: Tensor) -> None:
        """Hand the resampling on."""
        self.denoiser.reorder(indices)
        self.residue_mask = self.residue_mask[indices]
        self.movable_mask = self.movable_mask[indices]
        if self.residue_index is not None:
            self.residue_index = self.residue_index[indices]

    def relieve(self, estimate: Tensor, t: Tensor) -> Tensor:
        """Relieve an estimate of x_0 made at time ``t``, where the noise is small enough."""
        noise = expand(self.sde.noise_ratio(t.double()), estimate) * self.scale
        small = noise <= self.noise_limit
        if not bool(small.any()):
            return estimate
        positions = estimate * self.scale
        for _ in range(self.rounds):
            positions = relieve_overlaps(
                positions, self.residue_mask, self.movable_mask, self.residue_index
            )
        relieved = self.subspace.project(positions / self.scale)
        return torch.where(send(small, estimate.device), relieved, estimate)


def relieve_overlaps(
    positions: Tensor,
    residue_mask: Tensor,
    movable_mask: Tensor,
    residue_index: Tensor | None = None,
) -> Tensor:
    """Move overlapping residues apart, one round.

    Parameters
    ----------
    positions
        N, CA, C, ``(batch, residue, 3, 3)``, Å.
    residue_mask, movable_mask
        ``(batch, residue)``: which residues exist, and which of them may move.
    residue_index
        ``(batch, residue)``, places along the chain; one unbroken chain, if not given. What stands
        on two sides of a break is held together by nothing: it is pushed apart, and neither
        follows the other.

    Returns
    -------
    Tensor
        ``(batch, residue, 3, 3)``.
    """
    batch, count = residue_mask.shape
    oxygen = place_carbonyl_oxygen(positions, residue_index)
    atoms = torch.cat([positions, oxygen[:, :, None]], dim=2)
    flat = atoms.flatten(1, 2)
    distance = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist")
    limits = send(torch.tensor(CLOSEST_APPROACH), positions) + _MARGIN
    missing = (limits.repeat(count, count) - distance).clamp(min=0)
    place = torch.arange(count, device=positions.device)
    if residue_index is not None:
        place = residue_index
    far = (place[..., None] - place[..., None, :]).abs() >= _NEAREST
    pairs = far & residue_mask[:, :, None] & residue_mask[:, None]
    missing = missing * pairs.to(missing).repeat_interleave(4, 1).repeat_interleave(4, 2)
    # Each atom is asked for half of what is missing, away from the other atom.
    weight = 0.5 * missing / distance.clamp(min=0.1)
    pushes = flat * weight.sum(-1, keepdim=True) - weight @ flat
    pushes = pushes.reshape(batch, count, 4, 3).sum(dim=2)
    asked = missing.sign().sum(-1).reshape(batch, count, 4).sum(dim=2)
    moves = pushes / asked.clamp(min=1)[..., None]
    share = _spread((asked > 0).to(moves)[..., None], residue_index)
    moves = _spread(moves, residue_index) / share.clamp(min=1)
    return positions + (moves * movable_mask[..., None])[:, :, None]


def _spread(moves: Tensor, residue_index: Tensor | None) -> Tensor:
    """Let neighbours along the chain follow, ``(batch, residue, any)``."""
    batch, count, size = moves.shape
    if residue_index is None:
        kernel = send(torch.tensor(_FOLLOWING), moves).reshape(1, 1, -1)
        padding = len(_FOLLOWING) // 2
        spread = nn.functional.conv1d(moves.mT.reshape(-1, 1, count), kernel, padding=padding)
        return spread.reshape(batch, size, count).mT
    weights = send(torch.tensor((*_FOLLOWING[len(_FOLLOWING) // 2 :], 0.0)), moves)
    separation = (residue_index[:, :, None] - residue_index[:, None]).abs()
    following: Tensor = weights[separation.clamp(max=len(weights) - 1)] @ moves
    return following


def place_carbonyl_oxygen(positions: Tensor, residue_index: Tensor | None = None) -> Tensor:
    """Return O about where the peptide plane puts it, ``(batch, residue, 3)``."""
    carbon = positions[:, :, 2]
    following = torch.cat([positions[:, 1:, 0], positions[:, -1:, 1]], dim=1)
    if residue_index is not None:
        # The last residue of a chain has no plane; away from its own CA is as good as any.
        linked = nn.functional.pad(residue_index.diff(dim=1) == 1, (0, 1))[..., None]
        following = torch.where(linked, following, positions[:, :, 1])
    unit = nn.functional.normalize
    outward = unit(carbon - positions[:, :, 1], dim=-1) + unit(carbon - following, dim=-1)
    return carbon + _CARBONYL * unit(outward, dim=-1)
