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

from protdiff.conditioning.compose import Conditions
from protdiff.conditioning.excluded_volume import ExcludedVolume
from protdiff.design.samplers import make_grid, make_sampler
from protdiff.design.secondary_structure import SecondaryStructure, make_network_input
from protdiff.design.settings import SamplingSettings
from protdiff.diffusion import (
    SDE,
    Denoiser,
    Noise,
    PerSampleNoise,
    ProjectedNoise,
    Restart,
    ScaledNoise,
    ScaledScore,
)
from protdiff.diffusion.sampler import StepInfo, draw_prior

if TYPE_CHECKING:
    from protdiff.model import BackboneModel

__all__ = ["count_steps", "make_denoiser", "prepare_sampling", "sample_coordinates", "sharpen"]

RESTART_FROM = 2.0  # Å of noise: the fold is decided, torsions and seams are not


def sample_coordinates(
    conditions: Conditions,
    denoiser: Denoiser,
    generators: Sequence[torch.Generator],
    settings: SamplingSettings,
    *,
    start: tuple[torch.Tensor, torch.Tensor] | None = None,
    callback: Callable[[StepInfo], None] | None = None,
) -> NDArray[np.float32]:
    """Sample a batch.

    Parameters
    ----------
    conditions
        The batch, and what is asked of it.
    denoiser
        Conditioned or not.
    generators
        One CPU generator a design.
    settings
        How to sample.
    start
        A state ``(batch, residue, 3, 3)`` to go on from and the times that are left of the way;
        from the beginning, if not given.
    callback
        Called at each step; what it is shown is in model units.

    Returns
    -------
    numpy.ndarray
        (batch, residue, 3, 3), N, CA and C in Å. Not finite where sampling failed.
    """
    model = conditions.scene.model
    noise, state, times = prepare_sampling(conditions, denoiser.sde, generators, settings)
    if start is not None:
        state, times = start
    if settings.step_scale != 1.0:
        denoiser = sharpen(denoiser, settings, times, make_sampler(settings.sampler).pull)
        callback = callback and _show_means(callback, denoiser, times[-1])
    # The noise that is put back has its full size, whatever the temperature of the steps.
    sampled = _make_restart(settings, model.scale, noise)(
        denoiser,
        state,
        times,
        noise=ScaledNoise(noise, settings.temperature),
        callback=callback,
    )
    coordinates: NDArray[np.float32] = model.to_angstrom(sampled).float().cpu().numpy()
    return coordinates


def sharpen(
    denoiser: Denoiser, settings: SamplingSettings, times: torch.Tensor, pull: float = 2.0
) -> ScaledScore:
    """Return a denoiser with the step scale that is asked for, which fades where noise hides folds.

    Where steps are too long for it, it is as large as they allow.

    Parameters
    ----------
    denoiser
        In model units, in which coordinates have about unit variance.
    settings
        How to sample.
    times, pull
        Those of the steps, as in :class:`~protdiff.diffusion.ScaledScore`.
    """
    return ScaledScore(denoiser, settings.step_scale, data_variance=1.0, times=times, pull=pull)


def prepare_sampling(
    conditions: Conditions,
    sde: SDE,
    generators: Sequence[torch.Generator],
    settings: SamplingSettings,
) -> tuple[Noise, torch.Tensor, torch.Tensor]:
    """Return the noise of a batch, where it starts, and the times of the way.

    Parameters
    ----------
    conditions, generators, settings
        As in :func:`sample_coordinates`.
    sde
        The forward process.
    """
    model, residue_mask = conditions.scene.model, conditions.scene.residue_mask
    plain = ProjectedNoise(PerSampleNoise(generators), model.subspace(residue_mask))
    noise = conditions.make_noise(plain)
    times = _make_times(sde, settings, residue_mask.shape[1])
    like = torch.zeros(*residue_mask.shape, 3, 3, dtype=torch.float32, device=model.device)
    # The start is not a step: a temperature scales the noise that is added on the way only.
    elsewhere = conditions.begin(sde, times, noise)
    start, times = elsewhere or (draw_prior(sde, noise, like, times[0]), times)
    return noise, start, times


def count_steps(model: BackboneModel, settings: SamplingSettings, length: int) -> int:
    """Return how many steps a design of a length takes, of adaptive samplers a guess.

    Restarts count, and so does the denoising at the end of each stretch.
    """
    times = _make_times(model.sde, settings, length)
    stretches = _make_restart(settings, model.scale).list_stretches(model.sde, times)
    return sum(map(len, stretches))


def _make_times(sde: SDE, settings: SamplingSettings, length: int) -> torch.Tensor:
    return make_grid(settings.grid, length)(sde, settings.get_steps(length))


def _make_restart(settings: SamplingSettings, scale: float, noise: Noise | None = None) -> Restart:
    return Restart(
        make_sampler(settings.sampler),
        RESTART_FROM / scale,
        restarts=settings.restarts or 0,
        noise=noise,
    )


def _show_means(
    callback: Callable[[StepInfo], None], scaled: ScaledScore, last: torch.Tensor
) -> Callable[[StepInfo], None]:
    """Show a callback the posterior mean, where the sampler saw that of the scaled score."""

    def show(info: StepInfo) -> None:
        if info.t > last:  # the final denoising step is not scaled
            info = replace(info, denoised=scaled.recover(info.denoised, info.x_t, info.t))
        callback(info)

    return show


def make_denoiser(
    model: BackboneModel,
    residue_mask: torch.Tensor,
    settings: SamplingSettings,
    wanted: Sequence[SecondaryStructure] = (),
    conditions: Conditions | None = None,
) -> Denoiser:
    """Return the denoiser of a batch of designs that are made from nothing.

    Parameters
    ----------
    model
        The trained model.
    residue_mask
        (batch, residue), True where a residue exists.
    settings
        How to sample.
    wanted
        Secondary structure that the network is told of, one for each element of the batch.
    conditions
        What else is asked of the batch; nothing, if not given.
    """
    broken = conditions is not None and not conditions.scene.is_unbroken
    residue_index = conditions.scene.residue_index if conditions and broken else None
    denoiser: Denoiser = model.denoiser(
        residue_mask,
        residue_index=residue_index,
        handedness=settings.sign,
        self_condition=settings.self_conditioned,
        secondary_structure=make_network_input(wanted, residue_mask),
        autoguidance=settings.autoguidance,
    )
    if conditions is not None:
        denoiser = conditions.guide(denoiser)
    if settings.excluded_volume:
        denoiser = ExcludedVolume(
            denoiser,
            residue_mask,
            model.subspace(residue_mask),
            scale=model.scale,
            residue_index=residue_index,
        )
    return denoiser if conditions is None else conditions.wrap(denoiser)
