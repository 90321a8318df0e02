"""From noise to coordinates: one batch of backbones of one length.

Here model, sampler, temperature and conditioning meet. Each design has its own generator, so that
it depends on nothing but its own numbers, and the noise lives in the subspace of the data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from protdiff.conditioning.excluded_volume import ExcludedVolume
from protdiff.design.samplers import make_grid, make_sampler
from protdiff.design.secondary_structure import SecondaryStructure, make_network_input
from protdiff.design.settings import SamplingSettings
from protdiff.diffusion import (
    Denoiser,
    PerSampleNoise,
    ProjectedNoise,
    ScaledNoise,
    ScaledScore,
)
from protdiff.diffusion.sampler import StepInfo, draw_prior

if TYPE_CHECKING:
    from protdiff.model import BackboneModel

__all__ = ["Conditioner", "sample_coordinates"]

Conditioner = Callable[[torch.Tensor], Denoiser]
"""Makes the denoiser to sample with of a residue mask, (batch, residue) bool."""


def sample_coordinates(
    model: BackboneModel,
    length: int,
    generators: Sequence[torch.Generator],
    settings: SamplingSettings,
    *,
    condition: Conditioner,
    callback: Callable[[StepInfo], None] | None = None,
) -> NDArray[np.float32]:
    """Sample a batch.

    Parameters
    ----------
    model
        The trained model.
    length
        Residues of each backbone.
    generators
        One CPU generator a design.
    settings
        How to sample.
    condition
        Makes the denoiser, conditioned or not.
    callback
        Called at each step; what it is shown is in model units.

    Returns
    -------
    numpy.ndarray
        (batch, residue, 3, 3), N, CA and C in Å. Not finite where sampling failed.
    """
    residue_mask = torch.ones(len(generators), length, dtype=torch.bool, device=model.device)
    denoiser = condition(residue_mask)
    if settings.step_scale != 1.0:
        denoiser = ScaledScore(denoiser, settings.step_scale)
        callback = callback and _show_means(callback, denoiser, settings.steps)
    noise = ProjectedNoise(PerSampleNoise(generators), model.subspace(residue_mask))
    times = make_grid(settings.grid)(denoiser.sde, settings.steps)
    like = torch.zeros(len(generators), length, 3, 3, device=model.device)
    # The prior is not a step: a temperature scales the noise that is added on the way only.
    start = draw_prior(denoiser.sde, noise, like)
    sampled = make_sampler(settings.sampler)(
        denoiser,
        start,
        times,
        noise=ScaledNoise(noise, settings.temperature),
        callback=callback,
    )
    coordinates: NDArray[np.float32] = model.to_angstrom(sampled).float().cpu().numpy()
    return coordinates


def _show_means(
    callback: Callable[[StepInfo], None], scaled: ScaledScore, steps: int
) -> Callable[[StepInfo], None]:
    """Show a callback the posterior mean, where the sampler saw that of the scaled score."""

    def show(info: StepInfo) -> None:
        if info.index < steps:  # the final denoising step is not scaled
            info = replace(info, denoised=scaled.recover(info.denoised, info.x_t, info.t))
        callback(info)

    return show


def make_denoiser(
    model: BackboneModel,
    residue_mask: torch.Tensor,
    settings: SamplingSettings,
    wanted: Sequence[SecondaryStructure] = (),
) -> Denoiser:
    """Return the model's denoiser for a batch, told of the secondary structure that is wanted."""
    denoiser: Denoiser = model.denoiser(
        residue_mask,
        handedness=settings.sign,
        self_condition=settings.self_conditioned,
        secondary_structure=make_network_input(wanted, model.device),
    )
    if settings.excluded_volume:
        denoiser = ExcludedVolume(
            denoiser, residue_mask, model.subspace(residue_mask), scale=model.scale
        )
    return denoiser
