r"""Motifs of known shape and unknown pose, as a condition on any denoiser of backbones.

A motif is given by the positions *y* of some residues, up to a rotation and a translation; a motif
of several rigid groups, up to one of each for every group. There are three ways to hold a design to
it, each a Denoiser made of a Denoiser:

- **amortised**: the network itself is told the shape of the motif, as it was in training;
- **projected**: the denoised mean has its motif residues replaced by *y*, in the pose (Kabsch) that
  fits that mean best, :math:`D' = P(D)`;
- **guided**: :math:`D' = D + (\sigma_t^2/\alpha_t) \nabla_{x_t} \log p(y \mid x_t)` with
  :math:`p(y \mid x_t) = N(R D_{motif} + b;\, (v_t + r^2) I)`, the pose again the best one and
  :math:`v_t` the posterior variance of a coordinate, so that the motif is held loosely while the
  noise is large. The gradient tells the other residues what the motif needs of them. It passes
  through the network, so it is weighed by the network's own posterior covariance,
  :math:`\partial D/\partial x_t = (\alpha_t/\sigma_t^2) \mathrm{Cov}[x_0 \mid x_t]`; only how
  far the motif itself is trusted is taken as isotropic. Moment matching
  (:class:`~protdiff.diffusion.guidance.MomentMatching`), which would take the covariance there too,
  costs three or more backward passes an evaluation, and no method here is built on it.

The methods are combinations: every one ends with the projection, ``replacement`` is the
projection alone. Two also need a sampling of their own (:mod:`protdiff.design.motif_sampling`):
``repaint`` walks every step of ``replacement`` back and forth, and ``twisted-smc`` weighs and
resamples particles that ``guidance`` moves, which corrects what is approximate in it.

The best pose is found anew at every evaluation, from the denoised mean alone; so a rotation or
reflection of x_t (the latter with the motif's and the network's handedness) carries through.

References
----------
Ho et al. 2022, "Video diffusion models" (reconstruction guidance). Song et al. 2023,
"Pseudoinverse-guided diffusion models for inverse problems" (the variance). Watson et al. 2023,
"De novo design of protein structure and function with RFdiffusion" (the task).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from protdiff.conditioning.compose import Conditions
from protdiff.conditioning.conditioner import Scene
from protdiff.conditioning.excluded_volume import ExcludedVolume
from protdiff.conditioning.motif_frame import MotifFrame
from protdiff.conditioning.posed_motif import PosedMotif
from protdiff.device import send
from protdiff.diffusion import Denoiser
from protdiff.diffusion.guidance import Estimate, LikelihoodTerm, ProjectedMean
from protdiff.errors import InputError
from protdiff.model import BackboneModel, MotifInput, SecondaryStructureInput
from protdiff.motif_methods import METHODS

if TYPE_CHECKING:
    from protdiff.structure import Motif

__all__ = ["MotifConditions", "MotifTerm", "make_motif_conditions"]

# The network is told the shape of the motif.
_TOLD = ("amortized-guidance", "amortized", "twisted-smc")
# Guidance through the network moves the design.
_GUIDED = ("amortized-guidance", "guidance", "twisted-smc")
# Noise in Å at which guidance is worth its backward pass to a network that is told of the motif. At
# more, what it was told says as much; at less, the projection holds the motif. It is a fifth of
# the steps, and none that a restart takes again.
_WORTHWHILE = (4.0, 10.0)

# How exactly the motif is to be held by guidance, in model units (0.1 is 0.8 Å at the usual scale).
_TOLERANCE = 0.02
# Å between the CA of two groups: strands that pair stand at 4.8.
_CLEARANCE = 5.0
# No guidance moves the atoms of a design by more than this, root-mean-square over the motif.
_LARGEST_SHIFT = 0.5


class MotifTerm(LikelihoodTerm):
    r"""Log-likelihood of a motif of free pose, given the denoised mean.

    .. math:: \log p(y \mid x_t) = -\frac{1}{2 (v_t + r^2)} \min_{R, b}
              \sum_{a \in motif} |R y_a + b - D_a(x_t)|^2

    Parameters
    ----------
    motif
        The motif, whose pose is found at every evaluation. At the minimum the pose has no
        first-order share in the gradient, so it is held still there.
    tolerance
        r, in model units.
    """

    def __init__(self, motif: PosedMotif, tolerance: float = _TOLERANCE) -> None:
        self.motif = motif
        self.tolerance = tolerance

    def __call__(self, estimate: Estimate) -> Tensor:
        """Return the log-likelihood of each backbone, ``(batch,)``."""
        posed = self.motif.pose(estimate.denoised.detach())
        mask = self.motif.motif_mask[..., None, None]
        squared = ((estimate.denoised - posed) * mask).square().sum(dim=(1, 2, 3))
        variance = send(estimate.isotropic_variance(), squared) + self.tolerance**2
        return -squared / (2 * variance)


@dataclass(frozen=True, eq=False)
class MotifConditions:
    """What holds a batch to its motifs, apart for a method that puts it together itself.

    Attributes
    ----------
    denoiser
        The network's, told of the motif and guided to it as the method has it.
    posed
        The projection.
    volume
        The excluded volume of that denoiser, which moves no motif; None where it is not wanted.
    conditions
        What else is asked of the batch; its likelihoods guide the denoiser already.
    noise_floor
        Noise, in model units, below which nothing holds the motif.
    """

    denoiser: Denoiser
    posed: PosedMotif
    volume: ExcludedVolume | None
    conditions: Conditions
    noise_floor: float = 0.0

    def project(self) -> ProjectedMean:
        """Return the denoiser of the batch, all put together, its mean projected."""
        denoiser = self.denoiser if self.volume is None else self.volume
        return ProjectedMean(
            self.conditions.wrap(denoiser), self.posed, noise_floor=self.noise_floor
        )


def make_motif_conditions(
    model: BackboneModel,
    residue_mask: Tensor,
    motifs: Sequence[Motif],
    *,
    method: str = METHODS[0],
    handedness: float = 1.0,
    self_condition: bool = True,
    excluded_volume: bool = True,
    secondary_structure: SecondaryStructureInput | None = None,
    autoguidance: float = 1.0,
    conditions: Conditions | None = None,
    free_below: float = 0.0,
) -> MotifConditions:
    """Make what holds a batch to its motifs; :meth:`MotifConditions.project` is its denoiser.

    Parameters
    ----------
    model
        The trained model.
    residue_mask
        ``(batch, residue)``, True where a residue exists.
    motifs
        One for each element of the batch.
    method
        One of :data:`~protdiff.motif_methods.METHODS`. Where it guides, an evaluation takes a
        backward pass through the network too.
    excluded_volume
        Keep the designed residues off each other and off the motif.
    handedness, self_condition, secondary_structure, autoguidance
        As in :meth:`protdiff.model.BackboneModel.denoiser`.
    conditions
        What else is asked of the batch; nothing, if not given.
    free_below
        Noise in Å below which neither guidance nor projection holds the motif.

    Raises
    ------
    InputError
        The method does not exist, or the motifs do not fit the batch.
    """
    if method not in METHODS:
        raise InputError(f"there is no method {method!r}; there are {', '.join(METHODS)}")
    if len(motifs) != len(residue_mask):
        raise InputError(f"{len(motifs)} motifs for a batch of {len(residue_mask)}; give one each")
    count = residue_mask.shape[1]
    group = torch.zeros(len(motifs), count, dtype=torch.int64)
    positions = torch.zeros(len(motifs), count, 3, 3, dtype=torch.float32)
    origin = torch.zeros(len(motifs), 1, 3, dtype=torch.float64)
    residue_index = torch.arange(count).repeat(len(motifs), 1)
    for row, motif in enumerate(motifs):
        places = torch.from_numpy(np.asarray(motif.motif_positions))
        group[row, places] = torch.from_numpy(np.asarray(motif.groups))
        given = torch.from_numpy(np.asarray(motif.source.coordinates[:, :3], dtype=np.float32))
        # Far from the origin, single precision would be lost on the distance to it.
        centre = given.mean(dim=(0, 1))
        positions[row, places], origin[row, 0] = given - centre, centre.double()
        residue_index[row, : motif.length] = torch.from_numpy(np.asarray(motif.residue_index))
    group = group.to(model.device)
    mask = group > 0
    positions = model.from_angstrom(positions).to(model.device)
    known = MotifInput(group, positions) if method in _TOLD else None
    denoiser: Denoiser = model.denoiser(
        residue_mask,
        residue_index=residue_index,
        handedness=handedness,
        self_condition=self_condition,
        motif=known,
        secondary_structure=secondary_structure,
        autoguidance=autoguidance,
    )
    subspace = model.subspace(residue_mask)
    posed = PosedMotif(
        mask,
        positions,
        subspace,
        group=group,
        residue_index=residue_index,
        clearance=_CLEARANCE / model.scale if excluded_volume else 0.0,
    )
    if conditions is None:
        index = residue_index.to(model.device)
        conditions = Conditions(Scene(model, residue_mask, index, torch.zeros_like(index)))
    frame = MotifFrame(posed, origin.to(model.device), model.scale)
    conditions = replace(conditions, scene=replace(conditions.scene, motif=frame))
    coordinates = torch.tensor([9.0 * len(motif.source) for motif in motifs])
    low, high = _WORTHWHILE if method == "amortized-guidance" else (0.0, math.inf)
    term = MotifTerm(posed).within(max(low, free_below) / model.scale, high / model.scale)
    denoiser = conditions.guide(
        denoiser,
        term if method in _GUIDED else None,
        max_shift=_LARGEST_SHIFT * coordinates**0.5,
    )
    volume = None
    if excluded_volume:
        volume = ExcludedVolume(
            denoiser,
            residue_mask,
            subspace,
            scale=model.scale,
            movable_mask=~mask,
            residue_index=residue_index.to(model.device),
        )
    return MotifConditions(denoiser, posed, volume, conditions, free_below / model.scale)
